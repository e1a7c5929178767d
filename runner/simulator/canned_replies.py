"""Simple things a person tries first: who are you, hello, a sum, a capital, say this."""

import operator
import re
from collections.abc import Callable, Mapping

from runner.simulator.dialogue import Dialogue
from runner.simulator.tokens import HAS_CJK

ASKS_IDENTITY = re.compile(
    r"who are you|what are you\b|your name|introduce yourself"
    r"|你(?:是|叫)(?:谁|什么|啥)|(?:介绍|说说).{0,4}你?自己|自我介绍",
    re.IGNORECASE,
)
GREETS = re.compile(
    r"\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|你好|您好|嗨|早上好|晚上好)\W*",
    re.IGNORECASE,
)
THANKS = re.compile(r"\W*(?:thanks|thank you)(?: very much| a lot)?\W*|\W*(?:谢谢你?|多谢)\W*", re.IGNORECASE)
ASKS_ECHO = re.compile(
    r"(?:say|reply|answer|respond|repeat)(?: after me)?(?: only| just| exactly| with| the| words?)*\s*:?\s*"
    r"[\"“'‘](.+?)[\"”'’]"
    r"|(?:回答|回复|重复|输出|说)(?:一遍|一句)?[:：]?\s*[\"“「](.+?)[\"”」]",
    re.IGNORECASE | re.DOTALL,
)
SUM = re.compile(
    r"(?<![\w.])(-?\d{1,15})\s*([-+*/x×÷]|加上?|减去?|乘以?|除以|plus|minus|times|divided by)\s*(-?\d{1,15})(?![\d.])",
    re.IGNORECASE,
)
OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    **dict.fromkeys(("+", "加", "加上", "plus"), operator.add),
    **dict.fromkeys(("-", "减", "减去", "minus"), operator.sub),
    **dict.fromkeys(("*", "×", "x", "乘", "乘以", "times"), operator.mul),
}
CAPITALS = {
    "france": "Paris",
    "germany": "Berlin",
    "japan": "Tokyo",
    "china": "Beijing",
    "italy": "Rome",
    "spain": "Madrid",
    "法国": "巴黎",
    "德国": "柏林",
    "日本": "东京",
    "中国": "北京",
    "意大利": "罗马",
    "西班牙": "马德里",
}
ASKS_CAPITAL = re.compile(
    rf"capital (?:city )?of (\w+)|({'|'.join(filter(HAS_CJK.match, CAPITALS))})的?首都",
    re.IGNORECASE,
)


def introduce(dialogue: Dialogue) -> str | None:
    """Answer "who are you"."""
    if not ASKS_IDENTITY.search(dialogue.question):
        return None
    persona = dialogue.persona
    return dialogue.choose(
        zh=f"我是“{persona.name}”，compare 内置的模拟角色，不是真正的语言模型。{persona.manner_zh}。",
        en=f"I am “{persona.name}”, a simulated persona of compare, not a language model. My manner: {persona.manner}.",
    )


def greet(dialogue: Dialogue) -> str | None:
    """Answer a greeting or thanks, if there is nothing else."""
    name = dialogue.persona.name
    if GREETS.fullmatch(dialogue.question):
        return dialogue.choose(
            zh=f"你好！我是模拟角色“{name}”，想问什么？",
            en=f"Hello! I am “{name}”, simulated. What would you like to ask?",
        )
    if THANKS.fullmatch(dialogue.question):
        return dialogue.choose(zh="不客气！", en="You are welcome!")
    return None


def echo(dialogue: Dialogue) -> str | None:
    """Say the quoted words, and nothing else, when asked to."""
    asked = ASKS_ECHO.search(dialogue.question)
    return (asked[1] or asked[2]) if asked else None


def calculate(dialogue: Dialogue) -> str | None:
    """Work out the first sum of two whole numbers."""
    asked = SUM.search(dialogue.question)
    if asked is None:
        return None
    left, sign, right = int(asked[1]), asked[2].lower(), int(asked[3])
    return f"{left} {asked[2]} {right} = {_work_out(left, sign, right, dialogue)}"


def _work_out(left: int, sign: str, right: int, dialogue: Dialogue) -> str:
    if sign in OPERATIONS:
        return str(OPERATIONS[sign](left, right))
    if right == 0:
        return dialogue.choose(zh="无意义（除数为零）", en="undefined (division by zero)")
    return str(left // right) if left % right == 0 else f"{left / right:.6g}"


def name_capital(dialogue: Dialogue) -> str | None:
    """Name one of the few capitals known here."""
    asked = ASKS_CAPITAL.search(dialogue.question)
    country = (asked[1] or asked[2]) if asked else ""
    capital = CAPITALS.get(country.lower())
    if capital is None:
        return None
    return dialogue.choose(zh=f"{country}的首都是{capital}。", en=f"The capital of {country} is {capital}.")

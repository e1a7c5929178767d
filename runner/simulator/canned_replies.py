"""Canned replies to simple questions, and to questions about the conversation itself.

Each rule returns an answer to a dialogue's last question, or None.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.simulator.attachments import ReceivedAttachment
from runner.simulator.chat_request import HAS_HAN, ChatMessage
from runner.simulator.persona import Persona

Language = Literal["en", "zh"]
QUOTE_CHARS = 60
QUESTION_CHARS_READ = 4000


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The last question, the messages before it, and the persona that answers."""

    question: str
    before: tuple[ChatMessage, ...]
    language: Language
    persona: Persona
    files: tuple[ReceivedAttachment, ...] = ()
    """Images, files and audio that came with the question."""

    def said_by(self, role: str) -> list[str]:
        """Return the texts of one role before the question, oldest first."""
        return [message.text for message in self.before if message.role == role]

    def choose(self, *, zh: str, en: str) -> str:
        """Return the text in the question's language."""
        return zh if self.language == "zh" else en


def read_dialogue(persona: Persona, messages: Sequence[ChatMessage]) -> Dialogue:
    """Return a conversation as a dialogue, with its last question."""
    last = max((index for index, message in enumerate(messages) if message.role == "user"), default=len(messages))
    question = messages[last].text.strip()[:QUESTION_CHARS_READ] if last < len(messages) else ""
    return Dialogue(
        question=question,
        before=tuple(messages[:last]),
        language="zh" if HAS_HAN.search(question) else "en",
        persona=persona,
        files=messages[last].files if last < len(messages) else (),
    )


def quote(text: str) -> str:
    """Return a text on one line, shortened and in quotation marks."""
    line = " ".join(text[:QUESTION_CHARS_READ].split())
    return f"“{line}”" if len(line) <= QUOTE_CHARS else f"“{line[:QUOTE_CHARS].rstrip()}…”"


def tell_results(dialogue: Dialogue, results: Sequence[str]) -> str:
    """Return one sentence with the results of tools since the question."""
    listed = dialogue.choose(zh="；", en="; ").join(map(quote, results))
    return dialogue.choose(zh=f"工具的结果是：{listed}。", en=f"The tools say: {listed}.")


# Simple questions

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
    rf"capital (?:city )?of (\w+)|({'|'.join(filter(HAS_HAN.match, CAPITALS))})的?首都",
    re.IGNORECASE,
)


def describe_files(dialogue: Dialogue) -> str | None:
    """Answer a question with files: name each with its size, the only thing that a persona knows about an image."""
    if not dialogue.files:
        return None
    shown = [file.describe() for file in dialogue.files]
    return dialogue.choose(zh=f"你给我看的是：{'；'.join(shown)}。", en=f"I was shown: {'; '.join(shown)}.")


def introduce(dialogue: Dialogue) -> str | None:
    """Answer questions such as "who are you"."""
    if not ASKS_IDENTITY.search(dialogue.question):
        return None
    persona = dialogue.persona
    return dialogue.choose(
        zh=f"我是“{persona.name}”，compare 内置的模拟角色，不是真正的语言模型。{persona.manner_zh}。",
        en=f"I am “{persona.name}”, a simulated persona of compare, not a language model. My manner: {persona.manner}.",
    )


def greet(dialogue: Dialogue) -> str | None:
    """Answer a greeting or thanks without further text."""
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
    """Repeat quoted words if the question asks for them."""
    match = ASKS_ECHO.search(dialogue.question)
    return (match[1] or match[2]) if match else None


def calculate(dialogue: Dialogue) -> str | None:
    """Calculate with the first two whole numbers in the question."""
    match = SUM.search(dialogue.question)
    if match is None:
        return None
    left, sign, right = int(match[1]), match[2].lower(), int(match[3])
    return f"{left} {match[2]} {right} = {_result(left, sign, right, dialogue)}"


def _result(left: int, sign: str, right: int, dialogue: Dialogue) -> str:
    if sign in OPERATIONS:
        return str(OPERATIONS[sign](left, right))
    if right == 0:
        return dialogue.choose(zh="无意义（除数为零）", en="undefined (division by zero)")
    return str(left // right) if left % right == 0 else f"{left / right:.6g}"


def name_capital(dialogue: Dialogue) -> str | None:
    """Answer with one of the few known capitals."""
    match = ASKS_CAPITAL.search(dialogue.question)
    country = (match[1] or match[2]) if match else ""
    capital = CAPITALS.get(country.lower())
    if capital is None:
        return None
    return dialogue.choose(zh=f"{country}的首都是{capital}。", en=f"The capital of {country} is {capital}.")


# Conversation memory

ASKS_NAME = re.compile(
    r"what(?:'s| is) my name|(?:know|remember) my name|who am i\b|我(?:叫|是)(?:什么|谁|啥)|我的名字",
    re.IGNORECASE,
)
STATES_NAME = re.compile(
    r"(?i:my name is|my name's|call me)\s+([^\W\d_][\w'-]*)"
    r"|(?:I am|I'm)\s+([A-Z][\w'-]*)"
    r"|(?:我叫|我的名字(?:是|叫)|叫我)\s*([^\W\d_]{1,12})"
)
NOT_NAMES = ("什么", "啥", "谁")
ASKS_BEFORE = re.compile(
    r"what (?:did|have) i (?:just )?(?:say|said|ask|asked|tell|told|mention|write)"
    r"|what(?:'s| is| was| are) my\b"
    r"|my (?:last|previous|first|earlier) (?:question|message|sentence)"
    r"|did i (?:ask|tell) you|i (?:told|asked) you|do you remember"
    r"|我(?:们)?(?:刚才|刚刚|之前|前面|上一句|先前)|(?:刚才|之前|上一个|上个|前面).{0,6}(?:什么|问题|哪)"
    r"|还?记得|我的?最.{0,12}(?:什么|哪|多少)|我的.{0,12}(?:什么|哪|多少)",
    re.IGNORECASE,
)
ASKS_OWN_WORDS = re.compile(
    r"what did you (?:just )?(?:say|answer|reply)|你(?:刚才|刚刚|之前|前面)(?:说|答|回答)",
    re.IGNORECASE,
)


def tell_user_name(dialogue: Dialogue) -> str | None:
    """Answer "what is my name" from the user's earlier messages."""
    if not ASKS_NAME.search(dialogue.question):
        return None
    names = [name for text in dialogue.said_by("user") if (name := _stated_name(text))]
    if not names:
        return dialogue.choose(zh="你还没有告诉我你的名字。", en="You have not told me your name yet.")
    return dialogue.choose(zh=f"你叫{names[-1]}。", en=f"Your name is {names[-1]}.")


def _stated_name(text: str) -> str | None:
    names = (match[1] or match[2] or match[3] for match in STATES_NAME.finditer(text))
    return next((name for name in names if not name.startswith(NOT_NAMES)), None)


def quote_last_reply(dialogue: Dialogue) -> str | None:
    """Answer "what did you just say" with the last reply."""
    if not ASKS_OWN_WORDS.search(dialogue.question):
        return None
    texts = dialogue.said_by("assistant")
    if not texts:
        return dialogue.choose(zh="我还什么都没有说过。", en="I have said nothing before this.")
    return dialogue.choose(zh=f"我刚才说的是：{quote(texts[-1])}。", en=f"I said: {quote(texts[-1])}.")


def quote_user_messages(dialogue: Dialogue) -> str | None:
    """Answer "what did I say before" and similar questions with all of the user's messages."""
    if not ASKS_BEFORE.search(dialogue.question):
        return None
    texts = [quote(text) for text in dialogue.said_by("user")]
    if not texts:
        return dialogue.choose(zh="在这之前你什么也没有说过。", en="You have said nothing before this.")
    return dialogue.choose(zh=f"你之前说过：{'；'.join(texts)}。", en=f"Before this you said: {'; '.join(texts)}.")

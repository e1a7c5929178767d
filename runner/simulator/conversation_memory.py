"""Questions about the conversation itself, answered from the history that was sent along."""

import re

from runner.simulator.dialogue import Dialogue, quote

ASKS_NAME = re.compile(
    r"what(?:'s| is) my name|(?:know|remember) my name|who am i\b|我(?:叫|是)(?:什么|谁|啥)|我的名字",
    re.IGNORECASE,
)
TELLS_NAME = re.compile(
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


def recall_name(dialogue: Dialogue) -> str | None:
    """Answer "what is my name"."""
    if not ASKS_NAME.search(dialogue.question):
        return None
    names = [name for text in dialogue.said_by("user") if (name := _told_name(text))]
    if not names:
        return dialogue.choose(zh="你还没有告诉我你的名字。", en="You have not told me your name yet.")
    return dialogue.choose(zh=f"你叫{names[-1]}。", en=f"Your name is {names[-1]}.")


def _told_name(text: str) -> str | None:
    names = (match[1] or match[2] or match[3] for match in TELLS_NAME.finditer(text))
    return next((name for name in names if not name.startswith(NOT_NAMES)), None)


def recall_answer(dialogue: Dialogue) -> str | None:
    """Answer "what did you just say"."""
    if not ASKS_OWN_WORDS.search(dialogue.question):
        return None
    said = dialogue.said_by("assistant")
    if not said:
        return dialogue.choose(zh="我还什么都没有说过。", en="I have said nothing before this.")
    return dialogue.choose(zh=f"我刚才说的是：{quote(said[-1])}。", en=f"I said: {quote(said[-1])}.")


def recall_question(dialogue: Dialogue) -> str | None:
    """Answer "what did I say before", and whatever else only the history can know."""
    if not ASKS_BEFORE.search(dialogue.question):
        return None
    said = [quote(text) for text in dialogue.said_by("user")]
    if not said:
        return dialogue.choose(zh="在这之前你什么也没有说过。", en="You have said nothing before this.")
    return dialogue.choose(zh=f"你之前说过：{'；'.join(said)}。", en=f"Before this you said: {'; '.join(said)}.")

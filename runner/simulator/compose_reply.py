"""Compose a persona's reply from the conversation alone, deterministically. Performs no I/O."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from runner.simulator.canned_replies import (
    Dialogue,
    calculate,
    describe_files,
    echo,
    greet,
    introduce,
    name_capital,
    quote,
    quote_last_reply,
    quote_user_messages,
    read_dialogue,
    tell_user_name,
)
from runner.simulator.chat_request import ChatMessage
from runner.simulator.judge import judge_reply
from runner.simulator.persona import Persona

RULES = (
    describe_files,
    tell_user_name,
    quote_last_reply,
    quote_user_messages,
    echo,
    introduce,
    greet,
    calculate,
    name_capital,
)

OPENINGS_EN = ("You asked: {}", "Your question was {}", "On {}:")
OPENINGS_ZH = ("你问的是：{}。", "关于{}：", "你的问题是{}。")
POINTS_EN = (
    "A real model would begin by saying what the question is about.",
    "It would give the two or three facts that matter most.",
    "It would add an example, so that the facts can be checked.",
    "It would name what it is not sure of.",
    "It would end with one sentence that can be quoted.",
)
POINTS_ZH = (
    "真正的模型会先说明问题问的是什么。",
    "它会给出两三个最重要的事实。",
    "它会举一个例子，方便核对。",
    "它会指出自己不确定的地方。",
    "它会用一句可以引用的话作结。",
)
DOUBTS_EN = ("What was said before?", "What is really meant?", "No hurry with conclusions.")
DOUBTS_ZH = ("先看看前面说过什么。", "先确认问题的意思。", "不要急着下结论。")


@dataclass(frozen=True, slots=True)
class PersonaReply:
    """A whole reply; `reasoning` is None for a persona that shows none."""

    answer: str
    reasoning: str | None = None


def compose(persona: Persona, messages: Sequence[ChatMessage], rng: random.Random) -> PersonaReply:
    """Return the reply; the random generator only chooses among wordings."""
    question = next((message.text for message in reversed(messages) if message.role == "user"), "")
    if (verdict := judge_reply(persona, question)) is not None:
        return PersonaReply(verdict)
    dialogue = read_dialogue(persona, messages)
    answers = (rule(dialogue) for rule in RULES)
    return PersonaReply(
        answer=next((answer for answer in answers if answer is not None), None) or _placeholder(dialogue, rng),
        reasoning=_think_aloud(dialogue, rng) if persona.thinks else None,
    )


def _placeholder(dialogue: Dialogue, rng: random.Random) -> str:
    """Return an answer that repeats the question and says that it was not written by a model."""
    name, quoted = dialogue.persona.name, quote(dialogue.question)
    opening = rng.randrange(len(OPENINGS_EN))
    paragraph = dialogue.choose(
        zh=f"{OPENINGS_ZH[opening].format(quoted)}我是模拟角色“{name}”，背后没有语言模型，这只是一段占位的回答。",
        en=f"{OPENINGS_EN[opening].format(quoted)} I am “{name}”, simulated: "
        "no language model stands behind this placeholder.",
    )
    return "\n\n".join(filter(None, [paragraph, _list_points(dialogue, rng)]))


def _list_points(dialogue: Dialogue, rng: random.Random) -> str:
    chosen = sorted(rng.sample(range(len(POINTS_EN)), dialogue.persona.points))
    points = POINTS_ZH if dialogue.language == "zh" else POINTS_EN
    return "\n".join(f"{number}. {points[index]}" for number, index in enumerate(chosen, 1))


def _think_aloud(dialogue: Dialogue, rng: random.Random) -> str:
    turn, quoted = len(dialogue.said_by("user")) + 1, quote(dialogue.question)
    doubt = rng.randrange(len(DOUBTS_EN))
    return dialogue.choose(
        zh=f"用户在第 {turn} 轮问：{quoted}。{DOUBTS_ZH[doubt]}我是模拟的，自己什么也不知道，"
        "所以只用对话里已有的内容，把话说清楚就好。",
        en=f"In turn {turn} the user asks {quoted} {DOUBTS_EN[doubt]} I am simulated and know nothing by myself, "
        "so I use what the conversation holds and keep it plain.",
    )

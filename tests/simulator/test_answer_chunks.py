"""Answers of personas and the parsing of model names."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import runner.simulator
from runner.core.events import Channel
from runner.simulator.answer_chunks import TimedAnswer, answer
from runner.simulator.chat_request import ChatMessage, ChatRequest, tokenize
from runner.simulator.http_request import RequestError
from runner.simulator.model_names import Model, parse_model
from runner.simulator.persona import MS, PERSONAS, Persona

HOME = str(Path(runner.simulator.__path__[0]).parents[1])


def conversation(*texts: str) -> tuple[ChatMessage, ...]:
    """Return texts as a conversation that ends with the user."""
    roles = ("user", "assistant")
    return tuple(ChatMessage(roles[index % 2], text) for index, text in enumerate(texts))


def reply_text(*texts: str, persona: str = "quick", seed: int | None = None) -> str:
    """Return what a persona answers to a conversation."""
    return answer(PERSONAS[persona], ChatRequest(model=persona, messages=conversation(*texts), seed=seed)).text


def test_equal_requests_get_equal_answers_and_delays() -> None:
    """Words and delays depend on persona, messages and seed only; another seed has other delays."""
    chat = ChatRequest(model="steady", messages=conversation("Why is the sky blue?"), seed=1)
    answer_one = answer(PERSONAS["steady"], chat)
    process_answers = [_answer_in_another_process() for _ in range(2)]

    assert process_answers == [repr(answer_one.chunks)] * 2
    other_seed = ChatRequest(model="steady", messages=chat.messages, seed=2)
    assert answer(PERSONAS["steady"], other_seed).chunks != answer_one.chunks


@pytest.mark.parametrize("name", ["steady", "exact?jitter=0.3"])
def test_a_repeat_draws_other_delays(name: str) -> None:
    """A repeated request gets the same words with other delays; an exact model without jitter keeps its delays."""
    chat = ChatRequest(model=name, messages=conversation("Why is the sky blue?"))
    first, second = (answer(parse_model(name).persona, chat, nth) for nth in (1, 2))

    assert first.text == second.text
    assert first.chunks != second.chunks
    exact = parse_model("exact").persona
    assert answer(exact, chat, 1) == answer(exact, chat, 2)


@pytest.mark.parametrize(("name", "whole"), [("thinker", None), ("steady", None), ("exact?thinking=8", 8)])
def test_effort_decides_how_long_a_persona_thinks(name: str, whole: int | None) -> None:
    """Low is half and high three times as long; a thinking persona uses medium by default, and none if turned off."""
    persona = parse_model(name).persona

    def asked(**more: Any) -> TimedAnswer:
        return answer(persona, ChatRequest(model=name, messages=conversation("Why is the sky blue?"), **more))

    low, medium, high = (asked(effort=effort) for effort in ("low", "medium", "high"))
    assert medium.reasoning_tokens == (whole or medium.reasoning_tokens) > 0
    assert low.reasoning_tokens == medium.reasoning_tokens // 2
    assert high.reasoning_tokens == 3 * medium.reasoning_tokens
    assert high.last_due_ns > medium.last_due_ns > low.last_due_ns
    assert {each.text for each in (low, medium, high, asked())} == {medium.text}
    assert asked().reasoning_tokens == (medium.reasoning_tokens if persona.thinks else 0)
    assert asked(effort="high", thinking_off=True).reasoning_tokens == 0
    assert asked(effort="high", max_tokens=high.reasoning_tokens).text == "", "thinking counts against the limit"


def test_a_temperature_lets_the_wording_of_repeats_vary() -> None:
    """At 0, without a temperature, or with a seed, all repeats are equal; the first reply is always the same."""
    persona = PERSONAS["steady"]

    def said(**more: Any) -> list[str]:
        chat = ChatRequest(model="steady", messages=conversation("Why is the sky blue?"), **more)
        return [answer(persona, chat, nth).text for nth in range(1, 9)]

    assert len({*said(), *said(temperature=0.0)}) == 1
    assert len({*said(temperature=1.0, seed=7)}) == 1
    warm = said(temperature=1.0)
    assert len({*warm}) > 2
    assert warm[0] == said()[0]
    assert warm == said(temperature=1.0), "it can be repeated"


def _answer_in_another_process() -> str:
    code = (
        "from runner.simulator.answer_chunks import *; from runner.simulator.persona import *;"
        "print(repr(answer(PERSONAS['steady'], ChatRequest(model='steady',"
        "messages=(ChatMessage('user', 'Why is the sky blue?'),), seed=1)).chunks))"
    )
    environment = {**os.environ, "PYTHONPATH": HOME, "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, encoding="utf-8", check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        (("My name is Ada.", "Hello Ada.", "What is my name?"), "Your name is Ada."),
        (("I'm Grace", "Hello.", "do you know my name?"), "Your name is Grace."),
        (("Hi", "Hello.", "What is my name?"), "not told me"),
        (("我叫小明。", "你好", "我叫什么名字？"), "你叫小明。"),
        (("Name a colour", "Red.", "What did I say before?"), "“Name a colour”"),
        (("Name a colour", "Red.", "What did you say?"), "“Red.”"),
        (("我最喜欢的颜色是绿色", "好的", "我最喜欢的颜色是什么？"), "“我最喜欢的颜色是绿色”"),
        (("天空为什么是蓝色的？", "因为散射。", "我刚才说了什么？"), "“天空为什么是蓝色的？”"),
        (("天空为什么是蓝色的？", "因为散射。", "你刚才说了什么？"), "“因为散射。”"),
        (("My favourite number is 7.", "Noted.", "What's my favourite number?"), "favourite number is 7"),
        (("what did I say before?",), "nothing before this"),
        (("我刚才说了什么？",), "什么也没有说过"),
    ],
)
def test_replies_use_the_conversation_history(conversation: tuple[str, ...], words: str) -> None:
    """Questions about what was said before are answered from the messages in the request, and only from them."""
    assert words in reply_text(*conversation)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who are you?", "“quick”, a simulated persona"),
        ("你是谁？", "“quick”，compare 内置的模拟角色"),
        ("你好", "你好！"),
        ("Hello!", "Hello!"),
        ("thank you", "You are welcome!"),
        ("What is 17 * 23?", "17 * 23 = 391"),
        ("7除以2等于几？", "= 3.5"),
        ("1 / 0", "undefined"),
        ("What is the capital of France?", "Paris"),
        ("法国的首都是哪里？", "巴黎"),
        ('Reply with exactly "OK".', "OK"),
        ("Why is the sky blue?", "“Why is the sky blue?”"),
        ("为什么天空是蓝色的？", "模拟角色“quick”"),
        ("", "simulated"),
    ],
)
def test_a_reply_fits_its_question(question: str, words: str) -> None:
    """Simple questions are answered; others are repeated with the note that the reply is not from a model."""
    assert words in reply_text(question)


messages_of_any_kind = st.lists(
    st.builds(ChatMessage, st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1, max_size=5
).map(tuple)


@given(
    persona=st.sampled_from(list(PERSONAS.values())),
    messages=messages_of_any_kind,
    max_tokens=st.none() | st.integers(1, 50),
    stop=st.lists(st.text(min_size=1), max_size=2).map(tuple),
)
def test_any_conversation_gets_a_consistent_answer(
    persona: Persona, messages: tuple[ChatMessage, ...], max_tokens: int | None, stop: tuple[str, ...]
) -> None:
    """Chunks are in order and join to the text; the counts respect max_tokens."""
    spoken = answer(persona, ChatRequest("m", messages, max_tokens=max_tokens, stop=stop))
    parts = [(chunk.channel, chunk.text) for chunk in spoken.chunks]
    dues = [chunk.due_ns for chunk in spoken.chunks]

    assert dues == sorted(dues)
    assert "".join(text for channel, text in parts if channel is Channel.ANSWER) == spoken.text
    assert "".join(text for channel, text in parts if channel is Channel.REASONING) == spoken.reasoning
    assert max_tokens is None or spoken.output_tokens <= max_tokens
    assert (spoken.finish_reason == "length") <= (spoken.output_tokens == max_tokens)


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    """No character is lost between tokens."""
    assert "".join(tokenize(text)) == text


@given(ttft=st.integers(0, 10**6), gap=st.integers(0, 10**6), tokens=st.integers(1, 999), chunk=st.integers(1, 9))
def test_an_exact_model_has_exactly_the_delays_in_its_name(ttft: int, gap: int, tokens: int, chunk: int) -> None:
    """Chunk i is due at ttft + i * gap, so that delays do not add up."""
    model = parse_model(f"sim/exact?ttft_ms={ttft}&gap_ms={gap}&tokens={tokens}&chunk={chunk}")
    spoken = answer(model.persona, ChatRequest(model.name, conversation("?")))

    assert spoken.output_tokens == tokens
    assert [c.due_ns for c in spoken.chunks] == [(ttft + i * gap) * MS for i in range(-(-tokens // chunk))]


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("sim/exact?", 400, "'' is not one of ttft_ms="),
        ("sim/exact?speed=1", 400, "'speed=1' is not one of"),
        ("sim/exact?tokens", 400, "'tokens' is not one of"),
        ("sim/exact?tokens=0", 400, "from 1 to 100000"),
        ("sim/exact?tokens=1&tokens=2", 400, "given twice"),
        ("sim/exact?tokens=١", 400, "whole number"),
        ("sim/exact?gap_ms=-1", 400, "number of milliseconds"),
        ("sim/exact?gap_ms=nan", 400, "number of milliseconds"),
        ("sim/exact?ttft_ms=3600001", 400, "up to 3600000"),
        ("sim/exact?hold_ms=1", 400, "not one of"),
        ("sim/quick?gap_ms=1", 400, "not one of served_by=, fingerprint=, tier="),
        ("sim/quick?served_by=", 400, "'' is not a vendor's name"),
        ("sim/quick?served_by=a,b*0", 400, "'b*0' is not a vendor's name"),
        ("sim/exact?fingerprint=a,/", 400, "'/' is not a name of letters"),
        ("sim/exact?tier=" + ",".join("abcdefghijklmnopqrstu"), 400, "at most 20 names"),
        ("sim/fault-nothing", 404, "does not exist"),
        ("sim/fault-htlm", 404, "Did you mean `sim/fault-html`?"),
        ("sim/sim/quick", 404, "does not exist"),
        ("", 404, "does not exist"),
    ],
)
def test_a_wrong_model_name_is_a_clear_error(name: str, status: int, words: str) -> None:
    """The status is 404 for an unknown model, and 400 for an invalid option."""
    with pytest.raises(RequestError) as refused:
        parse_model(name)
    assert (refused.value.status, words in refused.value.message) == (status, True), refused.value.message


@given(st.text() | st.builds("sim/{}?{}={}".format, st.sampled_from(["exact", "fault-flaky"]), st.text(), st.text()))
def test_any_model_name_is_parsed_or_refused(name: str) -> None:
    """The parser of names raises nothing but `RequestError`."""
    try:
        outcome: Model | RequestError = parse_model(name)
    except RequestError as refusal:
        outcome = refusal
    assert isinstance(outcome, Model) or outcome.status in (400, 404)

"""An answer with its timetable: which piece of text is due how long after the request. Pure.

The same persona, messages and seed give the same words, on every machine; asked for the n-th time they give the same
delays as any other n-th time, but not those of the times before, or repeats would tell nothing.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, NamedTuple

from runner.simulator.chat import ChatMessage, ChatRequest
from runner.simulator.persona import Length, Persona
from runner.simulator.reply import compose
from runner.simulator.tokens import tokenize

WORDS = (" one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten")
"""What a reply of a given length consists of."""


class Chunk(NamedTuple):
    """One piece of text and its moment, counted from the request's last byte."""

    due_ns: int
    delta: bytes
    """The JSON of `choices[0].delta`."""


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """All that will be said to one request, and when."""

    chunks: tuple[Chunk, ...]
    reasoning: str
    text: str
    reasoning_tokens: int
    output_tokens: int
    finish_reason: Literal["stop", "length", "content_filter"]
    first_due_ns: int

    @property
    def last_due_ns(self) -> int:
        """When all is said."""
        return self.chunks[-1].due_ns if self.chunks else self.first_due_ns


@dataclass(frozen=True, slots=True)
class _Speech:
    """Tokens, thought and spoken, before they have a time."""

    thoughts: tuple[str, ...]
    words: tuple[str, ...]

    def within(self, max_tokens: int | None) -> "_Speech":
        """Return as much of it as a budget allows; thinking is paid first."""
        if max_tokens is None:
            return self
        return _Speech(self.thoughts[:max_tokens], self.words[: max(0, max_tokens - len(self.thoughts))])


def answer(persona: Persona, chat: ChatRequest, nth: int = 1) -> TimedAnswer:
    """Say what the persona answers, and when, to a content that is asked for the n-th time."""
    thinks = persona.thinks and not chat.thinking_off
    if persona.length is not None and not persona.varies:
        return _answer_at_length(persona, persona.length, chat.max_tokens, "", thinks=thinks)
    seed = _seed(persona, chat.messages, chat.seed)
    pace = f"{seed}/{nth}"
    if persona.length is not None:
        return _answer_at_length(persona, persona.length, chat.max_tokens, pace, thinks=thinks)
    return _time(persona, _speak(persona, chat.messages, seed, chat.stop, thinks=thinks), chat.max_tokens, pace)


@lru_cache(maxsize=64)
def _answer_at_length(
    persona: Persona, length: Length, max_tokens: int | None, pace: str, *, thinks: bool
) -> TimedAnswer:
    speech = _Speech(
        thoughts=_count_up(length.thinking_tokens or 0 if thinks else 0),
        words=_count_up(length.tokens),
    )
    return _time(persona, speech, max_tokens, pace)


@lru_cache(maxsize=256)
def _speak(
    persona: Persona, messages: tuple[ChatMessage, ...], seed: int, stop: tuple[str, ...], *, thinks: bool
) -> _Speech:
    reply = compose(persona, messages, random.Random(seed))  # noqa: S311 - repeatable, not secret
    return _Speech(
        thoughts=tokenize(reply.reasoning) if thinks and reply.reasoning else (),
        words=tokenize(_cut_at_stop(reply.answer, stop)),
    )


def _seed(persona: Persona, messages: Sequence[ChatMessage], seed: int | None) -> int:
    conversation = json.dumps([persona.name, seed, [(said.role, said.text) for said in messages]])
    return int.from_bytes(blake2b(conversation.encode(), digest_size=8).digest())


def _count_up(tokens: int) -> tuple[str, ...]:
    return tuple(WORDS[index % len(WORDS)] for index in range(tokens))


def _cut_at_stop(text: str, stops: Sequence[str]) -> str:
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def _time(persona: Persona, whole: _Speech, max_tokens: int | None, pace: str) -> TimedAnswer:
    rng = random.Random(pace)  # noqa: S311 - repeatable, not secret
    speech = whole.within(max_tokens)
    first_due_ns = persona.first.draw_ns(rng)
    return TimedAnswer(
        chunks=tuple(_chunks(persona, speech, first_due_ns, rng)),
        reasoning="".join(speech.thoughts),
        text="".join(speech.words),
        reasoning_tokens=len(speech.thoughts),
        output_tokens=len(speech.thoughts) + len(speech.words),
        finish_reason="stop" if speech == whole else "length",
        first_due_ns=first_due_ns,
    )


def _chunks(persona: Persona, speech: _Speech, first_due_ns: int, rng: random.Random) -> Iterator[Chunk]:
    due_ns = first_due_ns
    for field, tokens in (("reasoning_content", speech.thoughts), ("content", speech.words)):
        for start in range(0, len(tokens), persona.chunk_tokens):
            text = "".join(tokens[start : start + persona.chunk_tokens])
            yield Chunk(due_ns, _delta(field, text))
            due_ns += persona.gap.draw_ns(rng)


@lru_cache(maxsize=4096)
def _delta(field: str, text: str) -> bytes:
    return json.dumps({field: text}, ensure_ascii=False, separators=(",", ":")).encode()

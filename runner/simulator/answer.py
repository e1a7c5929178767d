"""An answer with its timetable: which piece of text is due how long after the request. Pure.

The same persona, messages and seed give the same words and the same delays, on every machine.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, NamedTuple

from runner.simulator.chat import ChatRequest, Said
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
class Answer:
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


def answer(persona: Persona, chat: ChatRequest) -> Answer:
    """Say what the persona answers, and when."""
    thinks = persona.thinks and not chat.thinking_off
    if persona.length is not None:
        return _answer_at_length(persona, persona.length, chat.max_tokens, thinks=thinks)
    return _answer_in_words(persona, chat.messages, chat.seed, chat.max_tokens, chat.stop, thinks=thinks)


@lru_cache(maxsize=64)
def _answer_at_length(persona: Persona, length: Length, max_tokens: int | None, *, thinks: bool) -> Answer:
    speech = _Speech(
        thoughts=_count_up(length.thinking_tokens or 0 if thinks else 0),
        words=_count_up(length.tokens),
    )
    return _time(persona, speech, max_tokens, random.Random(0))  # noqa: S311 - repeatable, not secret


@lru_cache(maxsize=256)
def _answer_in_words(
    persona: Persona,
    messages: tuple[Said, ...],
    seed: int | None,
    max_tokens: int | None,
    stop: tuple[str, ...],
    *,
    thinks: bool,
) -> Answer:
    rng = random.Random(_seed(persona, messages, seed))  # noqa: S311 - repeatable, not secret
    reply = compose(persona, messages, rng)
    speech = _Speech(
        thoughts=tokenize(reply.reasoning) if thinks and reply.reasoning else (),
        words=tokenize(_cut_at_stop(reply.answer, stop)),
    )
    return _time(persona, speech, max_tokens, rng)


def _seed(persona: Persona, messages: Sequence[Said], seed: int | None) -> int:
    conversation = json.dumps([persona.name, seed, [(said.role, said.text) for said in messages]])
    return int.from_bytes(blake2b(conversation.encode(), digest_size=8).digest())


def _count_up(tokens: int) -> tuple[str, ...]:
    return tuple(WORDS[index % len(WORDS)] for index in range(tokens))


def _cut_at_stop(text: str, stops: Sequence[str]) -> str:
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def _time(persona: Persona, whole: _Speech, max_tokens: int | None, rng: random.Random) -> Answer:
    speech = whole.within(max_tokens)
    first_due_ns = persona.first.draw_ns(rng)
    return Answer(
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

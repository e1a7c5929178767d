"""The answer of a persona: its chunks of text, and the delay of each after the request. Performs no I/O.

The same persona, messages and seed give the same words on every machine. The delays depend on these and on the number
of the request for them, so that repeats vary in a reproducible way.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from itertools import cycle, islice
from typing import Literal, NamedTuple

from runner.core.events import Channel
from runner.core.tool_call import ToolCall
from runner.simulator.canned_replies import read_dialogue, tell_results
from runner.simulator.chat_request import ChatMessage, ChatRequest, Effort, tokenize
from runner.simulator.compose_reply import compose
from runner.simulator.persona import Length, Persona
from runner.simulator.tool_use import calls_as_text, structured_answer

WORDS = (" one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten")
"""Words of a reply of fixed length."""


REASONING_SHARES: Mapping[Effort | None, Fraction] = {
    "low": Fraction(1, 2),
    "medium": Fraction(1),
    None: Fraction(1),
    "high": Fraction(3),
}
"""Effort -> share of a persona's reasoning that it writes; above 1 it repeats the reasoning."""

SUMMARISED_CHUNKS = 8
"""Number of chunks of reasoning for each chunk of a summary."""


class Chunk(NamedTuple):
    """A piece of text, and its delay after the request's last byte, in nanoseconds.

    `call` is the number of the tool call to which it belongs; the first piece of a call is the name of its tool.
    """

    due_ns: int
    channel: Channel
    text: str
    call: int | None = None
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """The answer to one request, with the time of each chunk."""

    chunks: tuple[Chunk, ...]
    reasoning: str
    text: str
    reasoning_tokens: int
    output_tokens: int
    finish_reason: Literal["stop", "length", "content_filter", "tool_calls"]
    first_due_ns: int
    summarised: bool = False
    """Whether `reasoning` is a summary, while `reasoning_tokens` counts the whole reasoning."""
    calls: tuple[ToolCall, ...] = ()
    """Tool calls; the token limit may cut off the arguments of the last one."""

    @property
    def last_due_ns(self) -> int:
        """Delay of the last chunk, in nanoseconds."""
        return self.chunks[-1].due_ns if self.chunks else self.first_due_ns


@dataclass(frozen=True, slots=True)
class _CallTokens:
    """A tool call, and the tokens of its arguments."""

    call: ToolCall
    arguments: tuple[str, ...]

    @property
    def name_tokens(self) -> int:
        """Number of tokens of the tool's name, which is sent in one piece."""
        return len(tokenize(self.call.name))

    @property
    def value(self) -> ToolCall:
        """The call with the arguments that `arguments` has, which may be cut off."""
        return replace(self.call, arguments="".join(self.arguments))


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The tokens of an answer: its reasoning, its text and its tool calls."""

    reasoning: tuple[str, ...]
    text: tuple[str, ...]
    calls: tuple[_CallTokens, ...] = ()

    def within(self, max_tokens: int | None) -> "_Tokens":
        """Return the first `max_tokens` tokens, in the order in which they are sent; None for all."""
        if max_tokens is None:
            return self
        text = self.text[: max(0, max_tokens - len(self.reasoning))]
        left, calls = max_tokens - len(self.reasoning) - len(text), list[_CallTokens]()
        for each in self.calls:
            if left < each.name_tokens:
                break
            calls.append(replace(each, arguments=each.arguments[: left - each.name_tokens]))
            left -= each.name_tokens + len(calls[-1].arguments)
        return _Tokens(self.reasoning[:max_tokens], text, tuple(calls))

    def __len__(self) -> int:
        """Return the number of tokens."""
        of_calls = sum(each.name_tokens + len(each.arguments) for each in self.calls)
        return len(self.reasoning) + len(self.text) + of_calls


def answer(persona: Persona, chat: ChatRequest, nth: int = 1) -> TimedAnswer:
    """Return the persona's answer to the n-th request with this content."""
    whole = _answer(persona, chat, nth)
    return _summarise(whole) if chat.summarise and whole.reasoning else whole


def _summarise(whole: TimedAnswer) -> TimedAnswer:
    """Return an answer with a few chunks of its reasoning as a summary; time and tokens stay those of the whole."""
    thought = [chunk for chunk in whole.chunks if chunk.channel is Channel.REASONING]
    kept = thought[::SUMMARISED_CHUNKS]
    chunks = (*kept, *whole.chunks[len(thought) :])
    return replace(whole, chunks=chunks, reasoning="".join(chunk.text for chunk in kept), summarised=True)


def _answer(persona: Persona, chat: ChatRequest, nth: int) -> TimedAnswer:
    thinks = (persona.thinks or chat.effort is not None) and not chat.thinking_off
    effort = REASONING_SHARES[chat.effort] if thinks else Fraction(0)
    if chat.tools.tools or chat.schema is not None or chat.results:
        return _answer_with_tools(persona, chat, nth, effort)
    if persona.length is not None and not persona.varies:
        return _answer_at_length(persona, persona.length, chat.max_tokens, "", effort)
    seed = _seed(persona, chat.messages, chat.seed)
    pace = f"{seed}/{nth}"
    if persona.length is not None:
        return _answer_at_length(persona, persona.length, chat.max_tokens, pace, effort)
    # With a temperature the wording of repeats varies, like their delays; a seed keeps it the same.
    varies = nth > 1 and bool(chat.temperature) and chat.seed is None
    wording = int.from_bytes(blake2b(pace.encode(), digest_size=8).digest()) if varies else seed
    tokens = _compose_tokens(persona, chat.messages, wording, chat.stop, effort)
    return _schedule(persona, tokens, chat.max_tokens, pace)


def _answer_with_tools(persona: Persona, chat: ChatRequest, nth: int, effort: Fraction) -> TimedAnswer:
    """Return tool calls, an answer from their results, one that fits a schema, or else a plain one.

    Only a plain answer of the persona `exact` has the given length.
    """
    seed = _seed(persona, chat.messages, chat.seed)
    tokens = _compose_tokens(persona, chat.messages, seed, chat.stop, effort)
    if persona.length is not None:
        tokens = _tokens_of_length(persona.length, effort)
    calls = chat.tools.calls(chat.question, persona.skill, len(chat.results))
    if calls and persona.skill != "in_text":
        called = (_CallTokens(call, tokenize(call.arguments)) for call in calls)
        tokens = _Tokens(tokens.reasoning, (), tuple(called))
    elif (text := _special_answer(persona, chat, calls)) is not None:
        tokens = replace(tokens, text=tokenize(_cut_at_stop(text, chat.stop)))
    return _schedule(persona, tokens, chat.max_tokens, f"{seed}/{nth}")


def _special_answer(persona: Persona, chat: ChatRequest, calls: Sequence[ToolCall]) -> str | None:
    """Return the text of an answer with calls, a schema or results of tools; None if the answer is a plain one."""
    if calls:
        return calls_as_text(calls)
    if chat.schema is not None:
        return structured_answer(chat.schema, " ".join((chat.question, *chat.results)), persona.skill)
    return tell_results(read_dialogue(persona, chat.messages), chat.results) if chat.results else None


@lru_cache(maxsize=64)
def _answer_at_length(
    persona: Persona, length: Length, max_tokens: int | None, pace: str, effort: Fraction
) -> TimedAnswer:
    return _schedule(persona, _tokens_of_length(length, effort), max_tokens, pace)


def _tokens_of_length(length: Length, effort: Fraction) -> _Tokens:
    return _Tokens(_count_up(int((length.thinking_tokens or 0) * effort)), _count_up(length.tokens))


@lru_cache(maxsize=256)
def _compose_tokens(
    persona: Persona, messages: tuple[ChatMessage, ...], seed: int, stop: tuple[str, ...], effort: Fraction
) -> _Tokens:
    thinker = replace(persona, thinks=bool(effort))
    reply = compose(thinker, messages, random.Random(seed))  # noqa: S311 - repeatable, not secret
    thoughts = tokenize(reply.reasoning or "")
    return _Tokens(
        reasoning=tuple(islice(cycle(thoughts), int(len(thoughts) * effort))),
        text=tokenize(_cut_at_stop(reply.answer, stop)),
    )


def _seed(persona: Persona, messages: Sequence[ChatMessage], seed: int | None) -> int:
    conversation = json.dumps(
        [persona.name, seed, [(message.role, message.text_with_file_marks) for message in messages]]
    )
    return int.from_bytes(blake2b(conversation.encode(), digest_size=8).digest())


def _count_up(tokens: int) -> tuple[str, ...]:
    return tuple(WORDS[index % len(WORDS)] for index in range(tokens))


def _cut_at_stop(text: str, stops: Sequence[str]) -> str:
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def _schedule(persona: Persona, whole: _Tokens, max_tokens: int | None, pace: str) -> TimedAnswer:
    rng = random.Random(pace)  # noqa: S311 - repeatable, not secret
    tokens = whole.within(max_tokens)
    first_due_ns = persona.first.draw_ns(rng)
    return TimedAnswer(
        chunks=tuple(_chunks(persona, tokens, first_due_ns, rng)),
        reasoning="".join(tokens.reasoning),
        text="".join(tokens.text),
        reasoning_tokens=len(tokens.reasoning),
        output_tokens=len(tokens),
        finish_reason="length" if tokens != whole else "tool_calls" if tokens.calls else "stop",
        first_due_ns=first_due_ns,
        calls=tuple(each.value for each in tokens.calls),
    )


def _chunks(persona: Persona, tokens: _Tokens, first_due_ns: int, rng: random.Random) -> Iterator[Chunk]:
    due_ns = first_due_ns
    for channel, words in ((Channel.REASONING, tokens.reasoning), (Channel.ANSWER, tokens.text)):
        for start in range(0, len(words), persona.chunk_tokens):
            yield Chunk(due_ns, channel, "".join(words[start : start + persona.chunk_tokens]))
            due_ns += persona.gap.draw_ns(rng)
    for number, each in enumerate(tokens.calls):
        yield Chunk(due_ns, Channel.TOOL, each.call.name, number, is_name=True)
        due_ns += persona.gap.draw_ns(rng)
        for start in range(0, len(each.arguments), persona.chunk_tokens):
            yield Chunk(due_ns, Channel.TOOL, "".join(each.arguments[start : start + persona.chunk_tokens]), number)
            due_ns += persona.gap.draw_ns(rng)

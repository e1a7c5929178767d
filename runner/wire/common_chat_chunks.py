"""The chunks of chat completions of which most streams consist: their shape is declared, and decoding checks it.

A plain chunk adds one piece of text and nothing else; nearly all chunks do. A common chunk may also be the one that
opens a reply, the one with its finish_reason, or the one with its counts. `chat_completions.decode_chunk` returns the
same for them in five times the time and more, which matters where decoding shares a core with measuring.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

from msgspec import DecodeError, Meta, Struct, field
from msgspec.json import Decoder

from runner.core.events import Channel, EmptyChunk, Event, Finished, Text, Usage
from runner.wire.json_value import decode_together
from runner.wire.usage_counts import counts_something

ANSWER, REASONING = Channel.ANSWER, Channel.REASONING
"""Members of an enumeration, each of which Python looks up in as long as a fifth of the decoding."""

CHUNK = "chat.completion.chunk"
"""The `object` of a chunk. One that is called otherwise may be an error or a ping."""

ASSISTANT = "assistant"
"""The common role. Others say that the text is reasoning."""

COMMON_REASONS = frozenset({"stop", "length"})
"""Values of finish_reason that say nothing else than what they say."""

Names = tuple[object, object, object]
"""A chunk's `provider`, `system_fingerprint` and `service_tier`: see `answered_by_fields.py`."""


class _Delta(Struct, gc=False, forbid_unknown_fields=True):
    content: str | None = None
    reasoning_content: str | None = None
    role: object = None
    refusal: None = None
    reasoning: None = None
    tool_calls: None = None
    function_call: None = None


class _Choice(Struct, gc=False, forbid_unknown_fields=True):
    delta: _Delta
    index: Literal[0] = 0
    finish_reason: str | None = None
    native_finish_reason: None = None
    logprobs: object = None


class CommonChunk(Struct, gc=False, forbid_unknown_fields=True):
    """A chunk with no fields but these."""

    choices: Annotated[list[_Choice], Meta(max_length=1)]
    model: str | None = None
    sent_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    usage: dict[str, object] | None = None
    id: object = None
    kind: object = field(name="object", default=None)
    created: object = None
    provider: object = None
    system_fingerprint: object = None
    service_tier: object = None
    obfuscation: object = None

    @property
    def names(self) -> Names:
        """The names of who answered."""
        return self.provider, self.system_fingerprint, self.service_tier

    def events(self, at_ns: int) -> list[Event]:
        """Return the chunk's events, text first; `EmptyChunk` where it holds none."""
        events: list[Event] = []
        for choice in self.choices:
            answer, reasoning = choice.delta.content, choice.delta.reasoning_content
            if answer:
                events.append(Text(at_ns, ANSWER, answer, self.sent_ns, self.model or None))
            elif reasoning:
                events.append(Text(at_ns, REASONING, reasoning, self.sent_ns, self.model or None))
            if choice.finish_reason is not None:
                events.append(Finished(at_ns, choice.finish_reason))
        if self.usage is not None:  # its counts are read where they are merged with those of other chunks
            events.append(Usage(at_ns, None, None, None, None, self.usage))
        return events or [EmptyChunk(at_ns, self.model or None)]


_COMMON = Decoder(CommonChunk)


def decode_plain_chunks(objects: Sequence[bytes], times_ns: Sequence[int], names: Names | None = None) -> list[Text]:
    """Return the texts of the first chunks that add one piece of text each and nothing else.

    A chunk that names somebody else than the chunk before them, whose names are `names`, is none of these.
    """
    texts: list[Text] = []
    for at_ns, chunk in zip(times_ns, decode_together(_COMMON, objects), strict=False):
        own = (chunk.provider, chunk.system_fingerprint, chunk.service_tier)
        if not chunk.choices or (names is not None and own != names and any(map(_is_news, own, names))):
            break
        choice = chunk.choices[0]
        answer, reasoning, role = choice.delta.content, choice.delta.reasoning_content, choice.delta.role
        if choice.finish_reason is not None or chunk.usage is not None or not (role is None or role == ASSISTANT):
            break
        if bool(answer) == bool(reasoning):
            break
        channel = ANSWER if answer else REASONING
        texts.append(_new_text((at_ns, channel, answer or reasoning, chunk.sent_ns, chunk.model or None)))
    return texts


_new_text = partial(tuple.__new__, Text)
"""Makes a text of its fields, in about half the time that `Text` takes."""


def _is_news(name: object, before: object) -> bool:
    return name is not None and name != before


def read_common_chunk(data: bytes) -> CommonChunk | None:
    """Return a chunk that opens a reply, adds one piece of text, ends it or counts its tokens; None for every other."""
    try:
        chunk = _COMMON.decode(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    usage = chunk.usage
    if chunk.kind != CHUNK or not (chunk.choices or usage):
        return None
    if usage is not None and ("service_tier" in usage or not counts_something(usage)):
        return None
    return chunk if all(map(_is_common, chunk.choices)) else None


def _is_common(choice: _Choice) -> bool:
    delta = choice.delta
    is_one_text = not (delta.content and delta.reasoning_content)
    is_end_known = choice.finish_reason is None or choice.finish_reason in COMMON_REASONS
    return is_one_text and is_end_known and (delta.role is None or delta.role == ASSISTANT)

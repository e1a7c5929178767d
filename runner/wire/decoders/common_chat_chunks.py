"""The common chunks of chat completions, whose shape is declared and checked by the JSON decoder.

A plain chunk adds one piece of text and nothing else, like nearly all chunks. A common chunk may also open a reply, or
hold its finish_reason or its token counts. `chat_completions.decode_chunk` returns the same for them in at least five
times the time, which matters because decoding shares a core with measuring.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

from msgspec import DecodeError, Meta, Struct, field
from msgspec.json import Decoder

from runner.core.events import ANSWER, REASONING, EmptyChunk, Event, Finished, Text, Usage
from runner.wire.decoders.lenient_json import decode_together
from runner.wire.decoders.merge_usage import counts_something

CHUNK = "chat.completion.chunk"
"""The `object` of a chunk. A value with another one may be an error or a ping."""

ASSISTANT = "assistant"
"""The common role. Other roles may mark the text as reasoning."""

COMMON_REASONS = frozenset({"stop", "length"})
"""Values of finish_reason that need no interpretation."""

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
    """A chunk with no fields except these."""

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
        """The names in the chunk that show who answered."""
        return self.provider, self.system_fingerprint, self.service_tier

    def events(self, at_ns: int) -> list[Event]:
        """Return the chunk's events, text first; `EmptyChunk` if it holds none."""
        events: list[Event] = []
        for choice in self.choices:
            answer, reasoning = choice.delta.content, choice.delta.reasoning_content
            if answer:
                events.append(Text(at_ns, ANSWER, answer, self.sent_ns, self.model or None))
            elif reasoning:
                events.append(Text(at_ns, REASONING, reasoning, self.sent_ns, self.model or None))
            if choice.finish_reason is not None:
                events.append(Finished(at_ns, choice.finish_reason))
        if self.usage is not None:  # counts are parsed when they are merged with those of other chunks
            events.append(Usage(at_ns, None, None, None, None, self.usage))
        return events or [EmptyChunk(at_ns, self.model or None)]


_COMMON = Decoder(CommonChunk)


def decode_plain_chunks(objects: Sequence[bytes], times_ns: Sequence[int], names: Names | None = None) -> list[Text]:
    """Return the texts of the first chunks that add one piece of text each and nothing else.

    `names` are those of the chunk before; a chunk with other names is not included.
    """
    texts: list[Text] = []
    for at_ns, chunk in zip(times_ns, decode_together(_COMMON, objects), strict=False):
        own = (chunk.provider, chunk.system_fingerprint, chunk.service_tier)
        if not chunk.choices or (names is not None and own != names and any(map(_is_other_name, own, names))):
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
"""Makes a `Text` from a tuple of its fields, in about half the time of the constructor."""


def _is_other_name(name: object, before: object) -> bool:
    return name is not None and name != before


def read_common_chunk(data: bytes) -> CommonChunk | None:
    """Return a chunk that opens a reply, adds one piece of text, ends it or counts its tokens; None for any other."""
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

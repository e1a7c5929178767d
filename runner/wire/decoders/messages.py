"""The decoder of the Messages dialect: the events of Anthropic's published format, from any server that speaks it.

A reply is a list of content blocks. The kind of text in a piece is read from the piece itself and not from the block
that its index names: servers skip, repeat and interleave indexes, and omit a block's beginning. The index only decides
which of several tool calls a piece belongs to, if a call has begun under it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct
from msgspec.json import Decoder

from runner.core.events import (
    ANSWER,
    REASONING,
    CallPiece,
    Channel,
    EmptyChunk,
    Event,
    Finished,
    Flagged,
    SignedThinking,
    StreamDone,
    Text,
    Usage,
)
from runner.core.failure_kinds import failure
from runner.core.finish_reasons import FinishClass, classify_reason
from runner.core.surrogates import repair_surrogates
from runner.core.usage_fields import CACHE_WRITE, CACHED
from runner.wire.decoders.answered_by_fields import model_of, origin_ns_of
from runner.wire.decoders.chat_completions import PING
from runner.wire.decoders.error_body import find_error, first_object, reports_error
from runner.wire.decoders.lenient_json import as_object, decode_together, write_json
from runner.wire.decoders.merge_usage import UsageCounts, counts_something
from runner.wire.decoders.reply_text import ReplyText

EVENTS = (
    *("content_block_delta", "content_block_start", "content_block_stop"),
    *("message_start", "message_delta", "message_stop"),
)
"""Types of the events that belong to a reply."""

TEXT_NAMES = (("thinking", REASONING), ("text", ANSWER), ("partial_json", Channel.TOOL))
"""Fields in which a delta or a block holds text, and the channel of that text."""

WITHOUT_TEXT = frozenset({"signature_delta", "citations_delta", "compaction_delta"})
"""Types of the deltas that add no text. Any other delta without text counts as unreadable content."""

CALL = re.compile(r"(\w+_)?tool_use")
"""Matches the types of the blocks that call a tool of the client, the server or an MCP server."""


class MessagesDecoder:
    """Decodes the events of one response, or the message of one that was not streamed."""

    reply_name: ClassVar[str] = "message"

    def __init__(self, status: int) -> None:
        self._status = status
        self._text = ReplyText()
        self._usage = UsageCounts()
        self._thinking_blocks: dict[str, _ThinkingBlock] = {}
        """Index -> block of thinking that has not ended."""
        self._calls: dict[str, CallPiece] = {}
        """Index -> tool call that has begun there and not ended, without its text."""
        self._calls_begun = 0
        self._call = CallPiece(0, "")
        """Tool call of the latest piece."""
        self._complete_calls: set[str] = set()
        """Keys of the tool calls that began with all of their arguments."""
        self._had_text = self._is_finished = False
        self._unread_ns: int | None = None
        """Arrival time of the latest delta whose content could not be read as text; None if there is none."""

    @property
    def settled(self) -> bool:
        """Whether `decode_plain` may be used: text has arrived, and nothing is held back."""
        return self._had_text and self._text.settled

    def decode_plain(self, objects: Sequence[bytes], times_ns: Sequence[int]) -> list[Text]:
        """Return the texts of the first events that add only to the answer or to a thinking block that has begun."""
        texts: list[Text] = []
        thoughts: list[_ThinkingBlock | None] = []
        for at_ns, event in zip(times_ns, decode_together(_PLAIN, objects), strict=False):
            if isinstance(event.delta, _TextDelta):
                texts.append(Text(at_ns, ANSWER, event.delta.text, event.sent_ns))
                thoughts.append(None)
            elif (thought := self._thinking_blocks.get(str(event.index))) is not None:
                texts.append(Text(at_ns, REASONING, event.delta.thinking, event.sent_ns))
                thoughts.append(thought)
            else:
                break
        added = self._text.add_plain(texts, "thinking")
        for text, thought in zip(added, thoughts, strict=False):
            if thought is not None:
                thought.pieces.append(text.text)
        return added

    def decode_common(self, data: bytes, at_ns: int) -> None:
        """Return None: `decode` handles all events except those with plain text."""

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the events of one JSON object: `EmptyChunk` if it holds none, nothing if its type is unknown."""
        kind = value.get("type")
        if kind == "message_stop":
            # Without a stop_reason it proves nothing: some gateways send it before an error, or in place of one.
            return [StreamDone(at_ns)] if self._is_finished else []
        if not self.holds_reply(value):
            return []
        events = self._interpret(self._read(value, kind, at_ns), at_ns)
        reason = next((event.reason for event in events if isinstance(event, Finished)), None)
        if reason is not None and classify_reason(reason) is FinishClass.ERROR:
            message = f"the reply ended with stop_reason {reason}"
            events.append(failure("server", message, at_ns, status=self._status, code=reason))
        return events

    def find_error(self, value: object) -> Mapping[str, object] | None:
        """Return the object within a JSON value that reports an error: the value itself, or the first of a list."""
        found = first_object(value)
        return None if self.holds_reply(found) and not reports_error(found) else find_error(found)

    def holds_reply(self, value: object) -> bool:
        """Return whether a JSON value is an event of a reply, or a whole message."""
        found = as_object(value)
        return found.get("type") in EVENTS or isinstance(found.get("content"), list)

    def is_ping(self, value: object) -> bool:
        """Return whether a JSON value only keeps the connection alive: `{"type": "ping"}`, `{}`, `"ping"`."""
        word = value.get("type") if isinstance(value, dict) else value
        return value in (None, "", [], {}) or (isinstance(word, str) and PING.fullmatch(word.strip()) is not None)

    def is_foreign(self, value: object) -> bool:
        """Return whether a JSON object is neither an event of a reply, nor an error, nor a ping."""
        return isinstance(value, dict) and not (self.holds_reply(value) or self.is_ping(value) or find_error(value))

    def flush(self) -> list[Event]:
        """Return the text that is held back, and a flag if nothing could be read."""
        return self._text.flush(None if self._had_text else self._unread_ns)

    def _read(self, value: Mapping[str, object], kind: object, at_ns: int) -> list[Event]:
        """Return the raw events of an event of the stream, or of a whole message."""
        index, origin_ns = str(value.get("index")), origin_ns_of(value)
        match kind:
            case "message_start":
                message = as_object(value.get("message"))
                return [EmptyChunk(at_ns, model_of(message)), *self._count(message, at_ns, so_far=True)]
            case "content_block_start":
                return self._begin_block(index, as_object(value.get("content_block")), at_ns, origin_ns)
            case "content_block_delta":
                return self._add_to_block(index, as_object(value.get("delta")), at_ns, origin_ns)
            case "content_block_stop":
                self._calls.pop(index, None)
                return self._end_blocks([index], at_ns)
            case "message_delta":
                ended = self._end_blocks([*self._thinking_blocks], at_ns)
                return [*ended, *_finish(as_object(value.get("delta")), at_ns), *self._count(value, at_ns)]
        return self._read_whole(value, at_ns, origin_ns)

    def _read_whole(self, message: Mapping[str, object], at_ns: int, origin_ns: int | None) -> list[Event]:
        events: list[Event] = [EmptyChunk(at_ns, model_of(message))]
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else []):
            events += self._begin_block(str(index), as_object(block), at_ns, origin_ns)
        events += self._end_blocks([*self._thinking_blocks], at_ns)
        return [*events, *_finish(message, at_ns), *self._count(message, at_ns)]

    def _begin_block(self, index: str, block: Mapping[str, object], at_ns: int, origin_ns: int | None) -> list[Event]:
        """Return the text with which a block begins; in a stream that is usually just a tool's name."""
        ended = self._end_blocks([index], at_ns)
        kind = str(block.get("type"))
        self._calls.pop(index, None)
        if kind == "redacted_thinking":
            return [*ended, *_signed({"type": kind}, "data", block.get("data"), at_ns)]
        if not CALL.fullmatch(kind):
            return [*ended, *self._add_to_block(index, block, at_ns, origin_ns)]
        self._calls_begun += 1
        own_id = block.get("id")
        begun = CallPiece(at_ns, str(self._calls_begun), by_provider=kind != "tool_use", origin_ns=origin_ns)
        self._calls[index] = self._call = begun
        name, given = block.get("name"), block.get("input")
        arguments = given if isinstance(given, str) else write_json(given) if given else ""
        if arguments:
            self._complete_calls.add(begun.call)
        piece = begun._replace(
            name=name if isinstance(name, str) else "",
            arguments=arguments,
            id=own_id if isinstance(own_id, str) and own_id else None,
        )
        return [*ended, *([piece] if piece.text.text else [])]

    def _add_to_block(self, index: str, delta: Mapping[str, object], at_ns: int, origin_ns: int | None) -> list[Event]:
        """Return the text that a delta adds, and store thinking that a later turn may have to send back."""
        texts = [(channel, text) for name, channel in TEXT_NAMES if isinstance(text := delta.get(name), str)]
        thought = next((text for channel, text in texts if channel is Channel.REASONING), None)
        signature = delta.get("signature")
        if thought is not None or isinstance(signature, str):
            block = self._thinking_blocks.setdefault(index, _ThinkingBlock())
            block.pieces.append(thought or "")
            block.signature += signature if isinstance(signature, str) else ""
        elif not texts and str(delta.get("type")).endswith("_delta") and delta.get("type") not in WITHOUT_TEXT:
            self._unread_ns = at_ns
        return [self._piece(index, Text(at_ns, channel, text, origin_ns)) for channel, text in texts if text]

    def _piece(self, index: str, text: Text) -> Event:
        """Return a text as an event; arguments become a piece of the call at their index, else of the latest call."""
        if text.channel is not Channel.TOOL:
            return text
        self._call = self._calls.get(index, self._call)
        if self._call.call in self._complete_calls:
            return Flagged(text.at_ns, "repeated_reply")
        return self._call._replace(at_ns=text.at_ns, arguments=text.text, origin_ns=text.origin_ns)

    def _end_blocks(self, indexes: Iterable[str], at_ns: int) -> list[Event]:
        """Return the signed thinking of blocks that have ended."""
        ended = [self._thinking_blocks.pop(index) for index in indexes if index in self._thinking_blocks]
        return [event for thought in ended for event in thought.signed(at_ns)]

    def _count(self, holder: Mapping[str, object], at_ns: int, *, so_far: bool = False) -> list[Event]:
        """Return the token counts of an event; if `so_far`, without the output, which is not final."""
        raw = as_object(holder.get("usage"))
        if so_far:
            raw = {name: value for name, value in raw.items() if not name.startswith("output_tokens")}
        if not counts_something(raw, CACHED, CACHE_WRITE):
            return []
        usage, counts = self._usage.add(raw, at_ns), self._usage
        if counts.input is None:
            return [usage]
        # Other APIs include cached tokens in the input; this one counts them separately.
        return [replace(usage, input_tokens=counts.input + (counts.cached or 0) + (counts.cache_write or 0))]

    def _interpret(self, events: Iterable[Event], at_ns: int) -> list[Event]:
        """Return events with characters joined and think tags removed, and `EmptyChunk` if none of them has data."""
        interpreted: list[Event] = []
        for event in events:
            if isinstance(event, Text):
                self._had_text = True
                interpreted += self._text.add(event, "thinking")
            elif isinstance(event, CallPiece):
                self._had_text = True
                interpreted += self._text.add_call(event)
            elif isinstance(event, Finished):
                self._is_finished = True
                interpreted += [*self._text.end_answer(), event]
            else:
                interpreted.append(event)
        if not any(isinstance(event, Text | CallPiece | EmptyChunk | Usage | Finished) for event in interpreted):
            interpreted.append(EmptyChunk(at_ns))
        return interpreted


@dataclass(slots=True)
class _ThinkingBlock:
    """A block of thinking, as far as it has arrived."""

    pieces: list[str] = field(default_factory=list)
    signature: str = ""

    def signed(self, at_ns: int) -> list[Event]:
        """Return the block as an event, if it has a signature."""
        thinking = repair_surrogates("".join(self.pieces))[0]
        return _signed({"type": "thinking", "thinking": thinking}, "signature", self.signature, at_ns)


def _signed(block: Mapping[str, str], name: str, signature: object, at_ns: int) -> list[Event]:
    """Return a block of thinking as an event, with its signature in the field `name`; nothing without a signature."""
    if not isinstance(signature, str) or not signature:
        return []
    return [SignedThinking(at_ns, {**block, name: repair_surrogates(signature)[0]})]


def _finish(holder: Mapping[str, object], at_ns: int) -> list[Event]:
    """Return the end of a reply with its reason, followed by the category of a refusal if there is one."""
    reason, category = holder.get("stop_reason"), as_object(holder.get("stop_details")).get("category")
    if not isinstance(reason, str) or not reason:
        return []
    detail = f": {category}" if isinstance(category, str) and category else ""
    return [Finished(at_ns, repair_surrogates(reason + detail)[0])]


# The plain event, which nearly all events are


class _TextDelta(Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="text_delta"):
    text: Annotated[str, Meta(min_length=1)]


class _ThinkingDelta(Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="thinking_delta"):
    thinking: Annotated[str, Meta(min_length=1)]


class _TextEvent(Struct, gc=False, forbid_unknown_fields=True):
    type: Literal["content_block_delta"]
    delta: _TextDelta | _ThinkingDelta
    index: int = 0
    sent_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


_PLAIN = Decoder(_TextEvent)

"""The decoder of the Responses dialect: the events of OpenAI's published format, from any server that speaks it.

Text is read from the deltas. If an event at the end of a part, an item or the response holds more text, that is added:
some servers send no deltas for a part, or none at all. Indexes and ids only show which part a delta belongs to, since
some servers omit them, restart them with each delta or change them midway.
"""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Annotated, ClassVar, Literal, NamedTuple

from msgspec import Meta, Struct
from msgspec.json import Decoder

from runner.core.events import CallPiece, Channel, EmptyChunk, Event, Failed, Finished, Flagged, StreamDone, Text
from runner.core.failure_kinds import NO_MESSAGE, failure
from runner.core.surrogates import repair_surrogates, rest_of
from runner.wire.decoders.answered_by_fields import model_of, origin_ns_of
from runner.wire.decoders.chat_completions import PING
from runner.wire.decoders.error_body import find_error, first_object, has_error_object, one_line
from runner.wire.decoders.lenient_json import as_object, decode_together, write_json
from runner.wire.decoders.merge_usage import UsageCounts, find_usage
from runner.wire.decoders.reply_text import ReplyText
from runner.wire.decoders.responses_calls import CALL_STREAMS, ResponseCalls, is_call


class TextKind(NamedTuple):
    """A kind of text: its channel, and the name of its source if reasoning may come from several."""

    channel: Channel
    source: str = ""


ANSWER, REFUSAL = TextKind(Channel.ANSWER), TextKind(Channel.ANSWER, "refusal")
REASONING, SUMMARY = TextKind(Channel.REASONING, "text"), TextKind(Channel.REASONING, "summary")

STREAMED: Mapping[str, TextKind] = {
    "output_text": ANSWER,
    "text": ANSWER,
    "audio.transcript": ANSWER,
    "refusal": REFUSAL,
    "reasoning_text": REASONING,
    "reasoning": REASONING,
    "reasoning_summary_text": SUMMARY,
    "reasoning_summary": SUMMARY,
}
"""NAME in `response.NAME.delta` and `response.NAME.done` -> kind of text in the event."""

DONE_TEXTS = ("text", "refusal", "transcript", "delta")
"""Fields in which `response.NAME.done` holds the whole text of its part."""

PARTS: Mapping[str, TextKind] = {
    "output_text": ANSWER,
    "text": ANSWER,
    "refusal": REFUSAL,
    "reasoning_text": REASONING,
    "reasoning": REASONING,
    "summary_text": SUMMARY,
}
"""Type of a part of an item -> kind of text in the part."""

WHOLE = "response"
"""Name that stands for a whole response, to a request that was not streamed."""

ENDINGS = frozenset({"completed", "incomplete", "failed", "cancelled", "canceled", "done"})
"""Names of the events that end a response, and statuses of a response that has ended."""

FLAGS: Mapping[TextKind, str] = {REFUSAL: "refusal", SUMMARY: "reasoning_summary"}


class ResponsesDecoder:
    """Decodes the events of one response, or the response of a request that was not streamed."""

    reply_name: ClassVar[str] = "response"

    def __init__(self, status: int) -> None:
        self._status = status
        self._text = ReplyText()
        self._usage = UsageCounts()
        self._received: dict[tuple[Channel, str], StringIO] = {}
        """Channel and part of the output -> text that has arrived for it, as it was sent."""
        self._calls = ResponseCalls()
        self._had_text = False
        self._unread_ns: int | None = None
        """Arrival time of the latest delta whose content could not be read as text; None if there is none."""

    @property
    def settled(self) -> bool:
        """Whether `decode_plain` may be used: text has arrived, and nothing is held back."""
        return self._had_text and self._text.settled

    def decode_plain(self, objects: Sequence[bytes], times_ns: Sequence[int]) -> list[Text]:
        """Return the texts of the first events that add one piece of answer or reasoning each and nothing else."""
        events = decode_together(_PLAIN, objects)
        kinds = [ANSWER if event.type == "response.output_text.delta" else REASONING for event in events]
        each = zip(times_ns, events, kinds, strict=False)
        texts = [Text(at_ns, kind.channel, event.delta, event.sent_ns) for at_ns, event, kind in each]
        added = self._text.add_plain(texts, REASONING.source)
        for event, kind, _ in zip(events, kinds, added, strict=False):
            self._note(kind, _part_key(event.output_index, event.item_id), event.delta)
        return added

    def decode_common(self, data: bytes, at_ns: int) -> None:
        """Return None: `decode` handles all events except those with plain text."""

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the events of one JSON object: `EmptyChunk` if it holds none, nothing if it is unknown."""
        name = _name_of(value)
        if name is None or self.is_ping(value):
            return []
        response = as_object(value.get("response"))
        if name in ENDINGS or name == WHOLE:
            return self._end(response or value, name, at_ns)
        stem, _, phase = name.rpartition(".")
        if stem in CALL_STREAMS or (stem == "output_item" and is_call(as_object(value.get("item")))):
            events = self._add_calls(self._read_call(value, stem, phase, at_ns))
        else:
            key = _part_key(value.get("output_index"), value.get("item_id") or as_object(value.get("item")).get("id"))
            events = self._add(self._read_text(value, stem, phase, key, at_ns), key, at_ns, origin_ns_of(value))
        return events or [EmptyChunk(at_ns, model_of(response))]

    def _read_call(self, value: Mapping[str, object], stem: str, phase: str, at_ns: int) -> list[CallPiece]:
        """Return what an event adds to a tool call."""
        if stem == "output_item":
            return self._calls.add_item(value, at_ns, begins=phase == "added")
        if phase == "delta":
            return self._calls.add_delta(stem, value, at_ns)
        return self._calls.add_done(stem, value, at_ns) if phase == "done" else []

    def _read_text(
        self, value: Mapping[str, object], stem: str, phase: str, key: str, at_ns: int
    ) -> list[tuple[TextKind, str]]:
        """Return the texts that an event adds to a part of the output, each with its kind."""
        if phase == "delta":
            text = _text_of(value.get("delta")) if stem in STREAMED else ""
            self._unread_ns = at_ns if value.get("delta") and not text else self._unread_ns
            return [(STREAMED[stem], text)] if text else []
        if phase != "done":
            return []
        if stem in STREAMED:
            whole = next(filter(None, map(_text_of, map(value.get, DONE_TEXTS))), "")
            return self._rest(STREAMED[stem], key, whole)
        texts = _texts_of_item(as_object(value.get("item"))) if stem == "output_item" else {}
        return [rest for kind, whole in texts.items() for rest in self._rest(kind, key, whole)]

    def find_error(self, value: object) -> Mapping[str, object] | None:
        """Return the object within a JSON value that reports an error: the value itself, or its response."""
        outer = first_object(value)
        response = as_object(outer.get("response")) or outer
        for holder in (response, outer):
            if self.holds_reply(outer) and has_error_object(holder):
                return {"error": holder["error"]}
        return None if self.holds_reply(outer) else find_error(outer)

    def holds_reply(self, value: object) -> bool:
        """Return whether a JSON value is an event of a response, or a whole response."""
        return _name_of(as_object(value)) is not None

    def is_ping(self, value: object) -> bool:
        """Return whether a JSON value only keeps the connection alive: `{"type": "keepalive"}`, `{}`, `"ping"`."""
        word = value.get("type") if isinstance(value, dict) else value
        if not isinstance(word, str):
            return value in (None, "", [], {})
        return not word or PING.fullmatch(word.strip().removeprefix("response.").rpartition(":")[2]) is not None

    def is_foreign(self, value: object) -> bool:
        """Return whether a JSON object is neither an event of a response, nor an error, nor a ping."""
        return isinstance(value, dict) and not (self.holds_reply(value) or self.is_ping(value) or find_error(value))

    def flush(self) -> list[Event]:
        """Return the text that is held back, and a flag if nothing could be read."""
        return self._text.flush(None if self._had_text else self._unread_ns)

    def _note(self, kind: TextKind, key: str, text: str) -> None:
        self._had_text = True
        place = kind.channel, key
        if place not in self._received:
            self._received[place] = StringIO()
        self._received[place].write(text)

    def _all_received(self, channel: Channel) -> str:
        return "".join(text.getvalue() for (each, _), text in self._received.items() if each is channel)

    def _add(self, texts: Iterable[tuple[TextKind, str]], key: str, at_ns: int, origin_ns: int | None) -> list[Event]:
        """Return the events of texts that belong to one part of the output."""
        events: list[Event] = []
        for kind, text in texts:
            if text:
                self._note(kind, key, text)
                new = self._text.add(Text(at_ns, kind.channel, text, origin_ns), kind.source)
                is_flagged = kind is REFUSAL or (kind is SUMMARY and new)  # some servers repeat the reasoning in it
                events += [*new, Flagged(at_ns, FLAGS[kind])] if is_flagged else new
        return events

    def _add_calls(self, pieces: Iterable[CallPiece]) -> list[Event]:
        events = [event for piece in pieces for event in self._text.add_call(piece)]
        self._had_text = self._had_text or bool(events)
        return events

    def _rest(self, kind: TextKind, key: str, whole: str) -> list[tuple[TextKind, str]]:
        """Return the rest of the whole text of a part, or of an item, after the text that has arrived for it."""
        found = self._received.get((kind.channel, key))
        received, whole = found.getvalue() if found is not None else "", _joined(whole)
        if not whole or _joined(received).endswith(whole):
            return []
        if not received:
            return [] if whole in _joined(self._all_received(kind.channel)) else [(kind, whole)]
        rest = rest_of(whole, received)
        return [(kind, rest)] if rest else []

    def _end(self, response: Mapping[str, object], name: str, at_ns: int) -> list[Event]:
        """Return the last events of a response: the text that has not arrived yet, its token counts and its end."""
        output = response.get("output")
        items = [as_object(item) for item in output] if isinstance(output, list) else []
        events: list[Event] = [EmptyChunk(at_ns, model_of(response)), *self._end_text(items, at_ns)]
        usage = find_usage(response, ())
        if usage is not None:
            events.append(self._usage.add(usage, at_ns))
        return [*events, *self._text.end_answer(), *self._ending(response, name, at_ns)]

    def _end_text(self, items: Sequence[Mapping[str, object]], at_ns: int) -> list[Event]:
        """Return the text of the whole output that has not arrived yet, and a flag if the two differ."""
        whole: dict[Channel, list[tuple[TextKind, str]]] = {}
        for item in items:
            for kind, text in _texts_of_item(item).items():
                whole.setdefault(kind.channel, []).append((kind, text))
        events: list[Event] = []
        for channel, texts in whole.items():
            received, whole_text = self._all_received(channel), _joined("".join(text for _, text in texts))
            if not received:
                events += self._add(texts, "", at_ns, None)
            elif channel is Channel.ANSWER and whole_text.strip() != _joined(received).strip():
                rest = rest_of(whole_text, received)
                events += self._add([(ANSWER, rest or "")], "", at_ns, None)
                events += [] if rest else [Flagged(at_ns, "message_differs")]
        return [*events, *self._add_calls(self._calls.add_output(items, at_ns))]

    def _ending(self, response: Mapping[str, object], name: str, at_ns: int) -> list[Event]:
        """Return the event of a response's end, given by its status, else by the name of its last event."""
        status = str(response.get("status")) if str(response.get("status")) in ENDINGS else name
        if status == "failed":
            return [self._failed(f"the response failed {NO_MESSAGE}", "failed", at_ns)]
        if status in ("cancelled", "canceled"):
            return [self._failed("the provider cancelled the response", "cancelled", at_ns)]
        if status not in ENDINGS:
            message = one_line(f"a response that has not ended: its status is {write_json(response.get('status'))}")
            return [failure("not_a_reply", message, at_ns, status=self._status)]
        reason = _text_of(as_object(response.get("incomplete_details")).get("reason"))
        stated = reason or ("incomplete" if status == "incomplete" else "completed")
        return [Finished(at_ns, _joined(stated)), StreamDone(at_ns)]

    def _failed(self, message: str, code: str, at_ns: int) -> Failed:
        return failure("server", message, at_ns, status=self._status, code=code)


def _name_of(value: Mapping[str, object]) -> str | None:
    """Return the name of an event without `response.`, `WHOLE` for a whole response, None for any other value."""
    kind = value.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        return kind.removeprefix("response.")
    return WHOLE if value.get("object") == "response" or isinstance(value.get("output"), list) else None


def _texts_of_item(item: Mapping[str, object]) -> dict[TextKind, str]:
    """Return the text of each kind in an item of the output; a tool call has none."""
    texts: dict[TextKind, str] = {}
    kind = str(item.get("type"))
    if is_call(item):
        return texts
    for place in ("content", "summary"):
        parts = item.get(place)
        for part in parts if isinstance(parts, list) else [parts]:
            found = {"type": "output_text", "text": part} if isinstance(part, str) else as_object(part)
            part_kind = PARTS.get(str(found.get("type")))
            if place == "content" and kind == "reasoning":
                part_kind = REASONING
            text = _text_of(found.get("text")) or _text_of(found.get("refusal"))
            if part_kind is not None and text:
                texts[part_kind] = texts.get(part_kind, "") + text
    return texts


def _text_of(value: object) -> str:
    """Return a text, or that in an object, since some gateways nest it; empty for any other value."""
    found = value.get("text") if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""


def _joined(text: str) -> str:
    """Return a text with surrogate pairs joined and lone surrogates replaced."""
    return repair_surrogates(text)[0]


def _part_key(output_index: object, item_id: object) -> str:
    """Return a key for an item of the output: its position, else its id."""
    return str(output_index) if isinstance(output_index, int) else item_id if isinstance(item_id, str) else ""


# The plain event, which nearly all events are


class _PlainEvent(Struct, gc=False, forbid_unknown_fields=True):
    type: Literal["response.output_text.delta", "response.reasoning_text.delta"]
    delta: Annotated[str, Meta(min_length=1)]
    model: object = None
    item_id: str | None = None
    output_index: int | None = None
    sent_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    content_index: object = None
    sequence_number: object = None
    logprobs: object = None
    obfuscation: object = None


_PLAIN = Decoder(_PlainEvent)

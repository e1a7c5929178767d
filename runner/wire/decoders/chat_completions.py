"""The decoder of the chat completions dialect: JSON chunks become events, in every shape that providers send."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

from runner.core.events import (
    REASONING,
    CallPiece,
    Channel,
    EmptyChunk,
    Event,
    Finished,
    Flagged,
    Text,
    Usage,
    WholeMessage,
)
from runner.core.failure_kinds import failure
from runner.core.finish_reasons import FinishClass, classify_reason
from runner.core.record_from_events import Fold
from runner.core.surrogates import repair_surrogates
from runner.wire.decoders.answered_by_fields import model_of, origin_ns_of, who_answered
from runner.wire.decoders.chat_completion_calls import ToolCalls, whole_calls
from runner.wire.decoders.chat_completion_choices import ChoiceNumbers
from runner.wire.decoders.chat_completion_fields import (
    Choice,
    as_parts,
    is_unread,
    objects_of,
    parts_of,
    reason_of,
    reasoning_of,
    reasons_of,
    stops_otherwise,
    texts_by_channel,
)
from runner.wire.decoders.common_chat_chunks import Names, decode_plain_chunks, read_common_chunk
from runner.wire.decoders.error_body import find_error, first_object, has_error_object, has_message, reports_error
from runner.wire.decoders.lenient_json import as_object
from runner.wire.decoders.merge_usage import UsageCounts, find_usage
from runner.wire.decoders.reply_text import ReplyText
from runner.wire.decoders.think_tags import ThinkTags

REPLY_NAMES = frozenset({"usage", "x_groq", "model", "delta", "message", "prompt_filter_results"})
"""Fields that only a chunk of a reply has. An object with neither choices nor one of these is a ping."""

OWN_NAMES = frozenset({"choices", "usage", "x_groq", "error"})
"""Fields of which a stream of this dialect has at least one."""

WITH_DATA = frozenset({Text, CallPiece, EmptyChunk, Usage, Finished, WholeMessage})
"""Types of the events that a chunk with data yields."""

PING = re.compile(r"(server[_ -]?)?(ping|pong|heart[_ -]?beat|keep[_ -]?alive|hb|alive|noop)", re.IGNORECASE)
PING_NAMES = ("type", "event", "object", "status", "kind", "action", "message")


def is_ping(value: object) -> bool:
    """Return whether a JSON value only keeps the connection alive: `{"type": "ping"}`, `{}`, `"ping"`, `["PING"]`."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value in ("", [], {}):
        return True
    if isinstance(value, str):
        return PING.fullmatch(value.strip()) is not None
    if not isinstance(value, dict) or value.get("choices") or value.get("usage"):
        return False
    if any(isinstance(name := value.get(key), str) and PING.fullmatch(name.strip()) for key in PING_NAMES):
        return True
    return not (_says_something_else(value) or "choices" in value or value.keys() & REPLY_NAMES)


def _says_something_else(value: Mapping[str, object]) -> bool:
    """Return whether an object is no part of a reply but has a message, such as that of a gateway's failure."""
    return not (value.get("choices") or value.get("usage")) and has_message(value)


class ChatCompletionsDecoder:
    """Decodes the chunks of one response, or the completion of one that was not streamed."""

    reply_name: ClassVar[str] = "chat completion"

    def __init__(self, status: int) -> None:
        self._status = status
        self._text = ReplyText()
        self._choices = ChoiceNumbers()
        self._usage = UsageCounts()
        self._tool_calls = ToolCalls()
        self._had_text = False
        self._had_delta = False
        """Whether text has arrived outside whole messages."""
        self._text_since_usage = False
        self._names: Names = (None, None, None)
        self._source = ""
        """Name of the field that held the latest reasoning."""
        self._unread_ns: int | None = None
        """Arrival time of the latest chunk whose content could not be read as text; None if there is none."""

    @property
    def settled(self) -> bool:
        """Whether `decode_plain` may be used: text has arrived, and nothing is held back."""
        return self._had_text and self._choices.plain and self._text.settled

    def decode_plain(self, objects: Sequence[bytes], times_ns: Sequence[int]) -> list[Text]:
        """Return the texts of the first chunks that add one piece of text each and nothing else."""
        texts = self._text.add_plain(decode_plain_chunks(objects, times_ns, self._names), "reasoning_content")
        self._text_since_usage = self._text_since_usage or bool(texts)
        return texts

    def decode_common(self, data: bytes, at_ns: int) -> list[Event] | None:
        """Return the events of a chunk that opens a reply, adds text, ends it or counts tokens; None for any other."""
        chunk = read_common_chunk(data)
        if chunk is None or (chunk.choices and not self._choices.plain):
            return None
        events = chunk.events(at_ns)
        if chunk.choices:
            channels = [event.channel for event in events if isinstance(event, Text)]
            self._choices.note_plain(channels, finishes=chunk.choices[0].finish_reason is not None)
            self._source = "reasoning_content" if REASONING in channels else ""
            self._had_text, self._had_delta = self._had_text or bool(channels), self._had_delta or bool(channels)
        events = self._interpret(events, at_ns)
        names = chunk.names
        if names == self._names:
            return events
        self._names = names
        named = who_answered(at_ns, *names)
        return events if named is None else [*events, named]

    def decode(self, value: Mapping[str, object], at_ns: int) -> list[Event]:
        """Return the events of a chunk or a whole completion: `EmptyChunk` if it holds none, nothing for a ping."""
        if is_ping(value):
            return []
        if _says_something_else(value):
            return [Flagged(at_ns, "skipped_data")]
        self._names = (value.get("provider"), value.get("system_fingerprint"), value.get("service_tier"))
        choices, events = self._select(value, at_ns)
        had = {"had_text": self._had_text, "had_delta": self._had_delta}
        events += decode_chunk(value, at_ns, choices, self._tool_calls, **had)
        events = self._interpret(events + self._note_texts(choices, events, at_ns), at_ns)
        reason = next((e.reason for e in events if isinstance(e, Finished) and _is_error(e.reason)), None)
        if reason is not None:
            message = f"the reply ended with finish_reason {reason}"
            events.append(failure("server", message, at_ns, status=self._status, code=reason))
        return events

    def find_error(self, value: object) -> Mapping[str, object] | None:
        """Return the object within a JSON value that reports an error: the value itself, or its first choice."""
        outer = first_object(value)
        choices = outer.get("choices")
        if not choices or reports_error(outer):
            return find_error(outer)
        first = as_object(choices[0]) if isinstance(choices, list) else {}
        return first if has_error_object(first) else None

    def holds_reply(self, value: object) -> bool:
        """Return whether a JSON value has choices."""
        return bool(as_object(value).get("choices"))

    def is_ping(self, value: object) -> bool:
        """Return whether a JSON value only keeps the connection alive."""
        return is_ping(value)

    def is_foreign(self, value: object) -> bool:
        """Return whether a JSON object has neither choices nor token counts and is not a ping."""
        if not isinstance(value, dict) or not value or not value.keys().isdisjoint(OWN_NAMES):
            return False
        return not any(isinstance(each, str) and PING.fullmatch(each) for each in value.values())

    def flush(self) -> list[Event]:
        """Return the text that is held back, and a flag if nothing could be read."""
        return self._text.flush(None if self._had_text else self._unread_ns)

    def _select(self, value: Mapping[str, object], at_ns: int) -> tuple[list[Choice], list[Event]]:
        choices = objects_of(value.get("choices"))
        if not choices:
            return [], []
        self._source = next(filter(None, (reasoning_of(part)[0] for c in choices for part in parts_of(c))), "")
        return self._choices.select(choices, _channels_of, _finishes, at_ns)

    def _note_texts(self, choices: Sequence[Choice], events: Sequence[Event], at_ns: int) -> list[Event]:
        """Record in which fields a chunk had text; return a flag if it held something unreadable after text."""
        has_text = any(isinstance(event, Text | CallPiece | WholeMessage) for event in events)
        if not has_text and any(
            is_unread(part, had_text=self._had_text) for each in choices for part in parts_of(each)
        ):
            if self._had_text:
                return [Flagged(at_ns, "skipped_data")]
            self._unread_ns = at_ns
        self._had_text = self._had_text or has_text
        self._had_delta = self._had_delta or any(map(_delta_has_text, choices))
        return []

    def _interpret(self, events: list[Event], at_ns: int) -> list[Event]:
        """Return events with characters joined, think tags removed, repeated reasoning dropped and counts merged."""
        interpreted: list[Event] = []
        for event in events:
            if isinstance(event, Text):
                self._text_since_usage = True
                interpreted += self._text.add(event, self._source)
            elif isinstance(event, CallPiece):
                self._text_since_usage = True
                interpreted += self._text.add_call(event)
            elif isinstance(event, WholeMessage):
                # It is compared with all text before it.
                interpreted += [*self._text.end_answer(), _split_whole(event)]
            elif isinstance(event, Finished):
                interpreted += [*self._text.end_answer(), Finished(event.at_ns, repair_surrogates(event.reason)[0])]
            elif isinstance(event, Usage):
                interpreted.append(self._usage.add(event.raw, at_ns, behind_text=self._text_since_usage))
                self._text_since_usage = False
            else:
                interpreted.append(event)
        if WITH_DATA.isdisjoint(map(type, interpreted)):
            interpreted.append(EmptyChunk(at_ns))
        return interpreted


def _split_whole(event: WholeMessage) -> WholeMessage:
    """Return a whole message whose reasoning in think tags is moved to the reasoning channel."""
    event = replace(event, texts={channel: repair_surrogates(text)[0] for channel, text in event.texts.items()})
    answer = event.texts.get(Channel.ANSWER)
    if answer is None:
        return event
    tags, fold = ThinkTags(), Fold()
    fed = [*tags.feed(Text(event.at_ns, Channel.ANSWER, answer)), *tags.flush()]
    for split in fed:
        fold.add(split)
    found = {channel: text for channel in Channel if (text := fold.text(channel)) is not None}
    rest = {channel: text for channel, text in event.texts.items() if channel is not Channel.ANSWER}
    return replace(event, texts=found | rest)


def _is_error(reason: str) -> bool:
    return classify_reason(reason) is FinishClass.ERROR


def _finishes(choice: Choice) -> bool:
    return reason_of(choice) is not None


def _channels_of(choice: Choice) -> list[Channel]:
    """Return the channels on which a choice adds text."""
    return [channel for part in parts_of(choice) for channel, _ in texts_by_channel(part)]


def _delta_has_text(choice: Choice) -> bool:
    return bool(choice.get("text")) or any(map(texts_by_channel, as_parts(choice.get("delta"))))


# Any chunk


def decode_chunk(
    chunk: Mapping[str, object],
    at_ns: int,
    choices: Sequence[Choice],
    calls: ToolCalls,
    *,
    had_text: bool,
    had_delta: bool,
) -> list[Event]:
    """Return the events of a chunk or a whole completion, text first; `EmptyChunk` if it holds none.

    Args:
        chunk: the JSON object.
        at_ns: its arrival time.
        choices: those of its choices that belong to the reply.
        calls: the reply's tool calls so far.
        had_text: whether text has arrived before, so that a message repeats it.
        had_delta: whether text has arrived outside whole messages.

    """
    reader = _ChunkReader(at_ns, origin_ns_of(chunk), model_of(chunk), calls)
    events: list[Event] = []
    for choice in choices:
        events += reader.texts_of(choice, had_text=had_text or bool(events), had_delta=had_delta)
    events += [Finished(at_ns, reason) for reason in reasons_of(choices, chunk)]
    usage = decode_usage(chunk, choices, at_ns)
    if usage is not None:
        events.append(usage)
    if all(isinstance(event, Flagged) for event in events):
        events.append(EmptyChunk(at_ns, reader.model))
    if any(part.get("refusal") for choice in choices for part in parts_of(choice)):
        events.append(Flagged(at_ns, "refusal"))
    if any(map(stops_otherwise, choices)):
        events.append(Flagged(at_ns, "finish_reasons_differ"))
    return events


class _ChunkReader(NamedTuple):
    """Reads the texts of one chunk."""

    at_ns: int
    origin_ns: int | None
    model: str | None
    calls: ToolCalls

    def texts_of(self, choice: Choice, *, had_text: bool, had_delta: bool) -> list[Event]:
        """Return the text that a choice adds, from its delta, its message, or a legacy completion's text."""
        deltas = parts_of({**choice, "message": None})
        added = [dict(texts_by_channel(part)) for part in deltas]
        messages = [part for part in as_parts(choice.get("message")) if texts_by_channel(part)]
        if messages and not (had_text or any(added)):
            whole = [(part, dict(texts_by_channel(part))) for part in messages]
            return [event for part, texts in whole for event in self._add(choice, part, texts, is_message=True)]
        pairs = zip(deltas, added, strict=True)
        events = [event for part, texts in pairs for event in self._add(choice, part, texts)]
        alone = not (had_delta or any(added))
        again = [part for part in messages if dict(texts_by_channel(part)) not in added]
        return [*events, *(event for part in again for event in self._repeat(choice, part, alone=alone))]

    def _add(
        self, choice: Choice, part: Mapping[str, object], texts: Mapping[Channel, str], *, is_message: bool = False
    ) -> list[Event]:
        events: list[Event] = [
            Text(self.at_ns, channel, text, self.origin_ns, self.model)
            for channel, text in texts.items()
            if channel is not Channel.TOOL
        ]
        return [*events, *self._add_calls(choice, part, is_message=is_message)]

    def _repeat(self, choice: Choice, part: Mapping[str, object], *, alone: bool) -> list[Event]:
        """Return the events of a message after text. Its calls are pieces if all text arrived in messages."""
        texts = dict(texts_by_channel(part))
        texts.pop(Channel.TOOL, None)
        if alone:
            return [WholeMessage(self.at_ns, texts, alone), *self._add_calls(choice, part, is_message=True)]
        return [WholeMessage(self.at_ns, texts, calls=whole_calls(part))]

    def _add_calls(self, choice: Choice, part: Mapping[str, object], *, is_message: bool) -> list[Event]:
        at_ns, origin_ns, model, calls = self
        return calls.add(part, at_ns, origin_ns, model, choice=str(choice.get("index")), is_message=is_message)


# Usage


def decode_usage(chunk: Mapping[str, object], choices: Sequence[Choice], at_ns: int) -> Usage | None:
    """Return the token counts of a chunk; None if it has none, or all are null or zero, as in a placeholder."""
    raw = find_usage(chunk, choices)
    return None if raw is None else UsageCounts().add(raw, at_ns)

"""The fold of an attempt's events into columns and an outcome. Performs no I/O, reads no clock."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from itertools import compress, pairwise

from runner.core.answered_by import merge_answered_by
from runner.core.events import (
    ANSWER,
    REASONING,
    AnsweredBy,
    AnswerWasReasoning,
    CallPiece,
    Channel,
    ChoiceChanged,
    ChoiceKept,
    EmptyChunk,
    Ended,
    Event,
    Failed,
    Finished,
    Flagged,
    Notice,
    Outcome,
    ResponseStarted,
    Revision,
    SignedThinking,
    StreamDone,
    Text,
    Usage,
    WholeMessage,
)
from runner.core.finish_reasons import FinishClass, classify_reason, merge_reasons
from runner.core.join_tool_calls import PartialToolCalls
from runner.core.record_fields import TextEvents
from runner.core.repeated_text import (
    DOUBLED_PIECES,
    REPEATED_CHARS,
    TRIMMED_CHARS,
    additions,
    are_doubled,
    is_repetition,
    may_be_cumulative,
)

OUTCOMES = {
    FinishClass.ERROR: Outcome.PROVIDER_ERROR,
    FinishClass.FILTER: Outcome.FILTERED,
    FinishClass.LENGTH: Outcome.LENGTH,
}


class Fold:
    """The state of one attempt, built from its events: only the data that a record needs, in columns."""

    def __init__(self) -> None:
        self._at_ns = array("q")
        self._origin_ns = array("q")
        self._lengths = array("q")
        self._channels = StringIO()
        self._texts = {channel: StringIO() for channel in Channel}
        self._notes: set[str] = set()
        self._choices: list[tuple[int, str]] = []
        """Changes of the choice number: (number of text events before, choice)."""
        self.calls = PartialToolCalls()
        self._texts_at_finish: int | None = None
        self._repeats: list[int] = []
        """Indices of pieces that equal all earlier text of their channel, found since repetitions were last dropped."""
        self._searched: dict[Channel, int] = {}
        """Channel -> the length of its text when repetitions were last dropped."""
        self._not_cumulative = {Channel.TOOL}
        """Channels with a piece that does not begin with the one before; later pieces cannot change that. Cumulative
        tool calls are reduced by the decoder, which knows the pieces of each call."""
        self.first_event: int | None = None
        self.last_event: int | None = None
        self.response_started: ResponseStarted | None = None
        self._answered_by = AnsweredBy(0)
        self.usage: Usage | None = None
        self.failed: Failed | None = None
        self.finish_reason: str | None = None
        self.response_model: str | None = None
        self.saw_done = False
        self.signed_thinking: list[Mapping[str, str]] = []
        """Blocks of signed thinking, in the order of their arrival."""

    def add(self, event: Event) -> None:
        """Add an event. Events are added in their order on the wire."""
        if isinstance(event, Text):
            self._add_text(event)
        elif isinstance(event, CallPiece):
            self._add_call(event)
        else:
            self._add_other(event)

    def _add_other(self, event: ResponseStarted | AnsweredBy | EmptyChunk | Revision | Notice | Failed | Ended) -> None:
        match event:
            case ResponseStarted():
                # A second event only adds the request id that was missing in the head.
                self.response_started = (
                    replace(self.response_started, request_id=event.request_id) if self.response_started else event
                )
            case AnsweredBy():
                self._add_answered_by(event)
            case EmptyChunk():
                self._add_empty(event)
            case Usage():
                self.usage = event
                self._note_data(event.at_ns)
            case Finished():
                self._finish(event)
            case SignedThinking():
                self.signed_thinking.append(event.block)
            case Flagged():
                self._notes.add(event.flag)
            case StreamDone() | Failed() | Ended():
                self._end(event)
            case _:
                self._revise(event)

    @property
    def answered_by(self) -> AnsweredBy:
        """Who answered. The vendor in the body takes precedence over the one in a header, which relays also write."""
        by_header = self.response_started.served_by if self.response_started else None
        if by_header is None or self._answered_by.served_by:
            return self._answered_by
        return replace(self._answered_by, served_by=by_header)

    def _end(self, event: StreamDone | Failed | Ended) -> None:
        self._drop_repeated_pieces()
        self.saw_done = self.saw_done or isinstance(event, StreamDone)
        if isinstance(event, Failed):
            self.failed = self.failed or event

    def _add_answered_by(self, event: AnsweredBy) -> None:
        self._answered_by, differs = merge_answered_by(self._answered_by, event)
        if differs:
            self._notes.add("answered_by_differs")

    def _add_empty(self, event: EmptyChunk) -> None:
        self.response_model = self.response_model or event.response_model
        if self.finish_reason is None:  # an empty chunk after the finish_reason is not a part of the reply
            self._note_data(event.at_ns)

    def _finish(self, event: Finished) -> None:
        """Note a finish_reason. A later one replaces it only if it is more specific."""
        self._note_data(event.at_ns)
        self._drop_repetitions()
        text_between = self._texts_at_finish not in (None, len(self._at_ns))
        self.finish_reason, differs = merge_reasons(self.finish_reason, event.reason, text_between=text_between)
        self._texts_at_finish = len(self._at_ns)
        if differs:
            self._notes.add("finish_reasons_differ")

    def _take_whole(self, event: WholeMessage) -> None:
        """Add the text that a whole message adds to the text so far; if they differ, keep the text and flag it."""
        self._note_data(event.at_ns)
        for channel, text in event.texts.items():
            if len(text) < self._texts[channel].tell() and "message_differs" in self._notes:
                if event.alone:
                    self._add_text(Text(event.at_ns, channel, text))
                continue  # `text()` would copy the received text for each of a million such messages
            received = self.text(channel) or ""
            if text.startswith(received):
                if len(text) > len(received):
                    self._add_text(Text(event.at_ns, channel, text[len(received) :]))
            elif text.strip() != received.strip():
                self._notes.add("message_differs")
                if event.alone and not received.startswith(text):  # the messages are themselves the pieces
                    self._add_text(Text(event.at_ns, channel, text))
        rest, differs = self.calls.rest_of(event.calls, event.at_ns)
        self._notes.update(["message_differs"] if differs else [])
        for piece in rest:
            self._add_call(piece)

    def _add_call(self, piece: CallPiece) -> None:
        self.calls.add(len(self._at_ns), piece)
        self._add_text(piece.text)

    def _revise(self, event: Revision) -> None:
        match event:
            case WholeMessage():
                self._take_whole(event)
            case ChoiceChanged():
                self._choices.append((len(self._at_ns), event.choice))
            case ChoiceKept():
                kept = (None, event.choice)
                self.calls = self.calls.keep(lambda place: self._choice_at(place) in kept)
                self._rebuild([piece for at, piece in enumerate(self._pieces()) if self._choice_at(at) in kept])
                self._choices.clear()
            case AnswerWasReasoning():
                self._move_answer()

    def _move_answer(self) -> None:
        """Turn the answer so far into reasoning, unless a reasoning field already brought the same text."""
        answer, reasoning = (self._texts[channel].getvalue().strip() for channel in (ANSWER, REASONING))
        repeated: Channel | None = None
        if answer and reasoning:
            repeated = ANSWER if reasoning.startswith(answer) else REASONING if answer.startswith(reasoning) else None
        pieces = [piece for piece in self._pieces() if piece.channel is not repeated]
        self._rebuild([piece._replace(channel=REASONING) if piece.channel is ANSWER else piece for piece in pieces])

    def _drop_repetitions(self) -> None:
        """Drop last pieces that repeat the reply, and the repeated part of each piece of a cumulative stream.

        Some servers send a finish_reason with every piece, so this returns early where nothing can have changed.
        """
        grown = [channel for channel, text in self._texts.items() if text.tell() != self._searched.get(channel, 0)]
        if not self._repeats and self._not_cumulative.issuperset(grown):
            return
        channels = self._channels.getvalue()
        repeated = {place for place in self._repeats if channels.rfind(channels[place]) == place}
        if repeated:
            self._notes.add("repeated_reply")
            self._rebuild([piece for place, piece in enumerate(self._pieces()) if place not in repeated])
        self._repeats.clear()
        for channel in grown:
            if channel not in self._not_cumulative:
                self._reduce_cumulative(channel)
        self._searched = {channel: text.tell() for channel, text in self._texts.items()}

    def _reduce_cumulative(self, channel: Channel) -> None:
        """Reduce the pieces of a channel to the text that each adds, if each contains all text before it."""
        channels = self._channels.getvalue()
        first, last = channels.find(channel), channels.rfind(channel)
        if first < 0 or self._lengths[last] <= self._lengths[first]:
            return
        lengths = self._lengths_of(channel)
        if not all(before <= after for before, after in pairwise(lengths)):
            self._not_cumulative.add(channel)
            return
        if not may_be_cumulative(lengths, may_be_two="repeated_reply" not in self._notes):
            return
        added = additions(self._divide(channel, lengths))
        if added is None:
            self._not_cumulative.add(channel)
            return
        texts = iter(added)
        new = [piece._replace(text=next(texts)) if piece.channel is channel else piece for piece in self._pieces()]
        self._rebuild([piece for piece in new if piece.text])
        self._notes.add("cumulative_chunks")

    def _drop_repeated_pieces(self) -> None:
        """Drop repetitions and doubled pieces of a reply that is complete."""
        self._drop_repetitions()
        for channel in (REASONING, ANSWER):
            self._drop_doubles(channel)

    def _drop_doubles(self, channel: Channel) -> None:
        """Drop every second piece of a channel if each piece came twice, as from two relays that both write."""
        lengths = self._lengths_of(channel) if self._texts[channel].tell() else ()
        if len(lengths) < 2 * DOUBLED_PIECES or lengths[::2] != lengths[1::2]:
            return
        if not are_doubled(self._divide(channel, lengths)):
            return
        keeps = iter(place % 2 == 0 for place in range(len(lengths)))
        self._rebuild([piece for piece in self._pieces() if piece.channel is not channel or next(keeps)])
        self._notes.add("doubled_chunks")

    def _lengths_of(self, channel: Channel) -> list[int]:
        channels = self._channels.getvalue()
        if channels.count(channel) == len(channels):
            return self._lengths.tolist()
        return [length for letter, length in zip(channels, self._lengths, strict=True) if letter == channel]

    def _divide(self, channel: Channel, lengths: Sequence[int]) -> list[str]:
        """Return the text of a channel, divided into pieces of these lengths."""
        text = StringIO(self._texts[channel].getvalue())
        return [text.read(length) for length in lengths]

    def _choice_at(self, place: int) -> str | None:
        """Return the choice to which a text event belongs; None if there is only one."""
        return next((choice for start, choice in reversed(self._choices) if start <= place), None)

    def _pieces(self) -> list[Text]:
        """Return the text events as a list."""
        read = {channel: StringIO(text.getvalue()) for channel, text in self._texts.items()}
        channels = map(Channel, self._channels.getvalue())
        columns = zip(self._at_ns, channels, self._lengths, strict=True)
        return [Text(at_ns, channel, read[channel].read(length)) for at_ns, channel, length in columns]

    def _rebuild(self, pieces: Sequence[Text]) -> None:
        """Build the columns again from text events."""
        kept = len(pieces) == len(self._at_ns)
        self._repeats.clear()
        self._searched.clear()
        self._not_cumulative = {Channel.TOOL}
        self._at_ns = array("q", (piece.at_ns for piece in pieces))
        self._lengths = array("q", (len(piece.text) for piece in pieces))
        self._origin_ns = self._origin_ns if kept else array("q")
        self._channels, self._texts = StringIO(), {channel: StringIO() for channel in Channel}
        for piece in pieces:
            self._channels.write(piece.channel)
            self._texts[piece.channel].write(piece.text)

    def _note_data(self, at_ns: int) -> None:
        """Note the timestamp of an event with data; the last one is the end of the reply."""
        if self.last_event is None:
            self.first_event = self.last_event = at_ns
        elif at_ns > self.last_event:  # text that the decoder withheld as a possible tag has an earlier timestamp
            self.last_event = at_ns

    def _add_text(self, event: Text) -> None:
        """Add text. It is the most frequent event, so it is unpacked once, which is faster than field access."""
        at_ns, channel, text, origin_ns, model = event
        so_far, length = self._texts[channel], len(text)
        may_repeat = length >= REPEATED_CHARS and so_far.tell() <= length + TRIMMED_CHARS
        # The same function may be called twice, so a piece of a call is never taken for a repetition.
        if may_repeat and channel is not Channel.TOOL and is_repetition(text, so_far.getvalue()):
            self._repeats.append(len(self._at_ns))
        self._at_ns.append(at_ns)
        self._lengths.append(length)
        self._channels.write(channel)
        so_far.write(text)
        if origin_ns is not None:
            self._origin_ns.append(origin_ns)
        if self.response_model is None:
            self.response_model = model
        self._note_data(at_ns)

    def add_texts(self, texts: Sequence[Text]) -> None:
        """Add one or more texts like `add`, but by columns, which is faster, once none can be a repetition."""
        _, channels, pieces, _, _ = zip(*texts, strict=True)
        longest, grown = max(map(len, pieces)), [self._texts[channel] for channel in set(channels)]
        for place, text in enumerate(texts):
            if all(so_far.tell() > longest + TRIMMED_CHARS for so_far in grown):
                self._add_columns(texts[place:])
                break
            self._add_text(text)

    def _add_columns(self, texts: Sequence[Text]) -> None:
        """Add texts that are not repetitions."""
        at_ns, channels, pieces, origins_ns, models = zip(*texts, strict=True)
        self._at_ns.extend(at_ns)
        self._lengths.extend(map(len, pieces))
        self._channels.write("".join(channels))
        present = set(channels)
        for channel in present:
            own = pieces if len(present) == 1 else compress(pieces, [each is channel for each in channels])
            self._texts[channel].write("".join(own))
        self._origin_ns.extend([origin_ns for origin_ns in origins_ns if origin_ns is not None])
        if self.response_model is None:
            self.response_model = next((model for model in models if model is not None), None)
        self._note_data(at_ns[0])
        self._note_data(max(at_ns))

    @property
    def has_text(self) -> bool:
        """Whether any text has arrived, after which the request must not be sent again."""
        return bool(self._at_ns)

    @property
    def timestamps_ns(self) -> Sequence[int]:
        """The timestamps of all text events in ascending order, in `perf_counter_ns`."""
        return self._at_ns

    def text(self, channel: Channel) -> str | None:
        """Return the whole text of a channel, tool calls one after the other; None if there is none."""
        return (self.calls.text if channel is Channel.TOOL else self._texts[channel].getvalue()) or None

    @property
    def first_call_ns(self) -> int | None:
        """Time at which the first tool call was complete, in `perf_counter_ns`; None if none was."""
        return self.calls.first_complete_ns(was_cut=self.outcome() is not Outcome.OK)

    @property
    def notes(self) -> tuple[str, ...]:
        """The sorted flags of the attempt."""
        notes = set(self._notes)
        if self.usage is not None and self.usage.inferred:
            notes.add("tokens_from_total")
        if self.usage is not None and self.usage.in_doubt:
            notes.add("tokens_in_doubt")
        if self.finish_reason is not None and classify_reason(self.finish_reason) is FinishClass.UNKNOWN:
            notes.add("unknown_finish_reason")
        return tuple(sorted(notes))

    def text_events(self, sent_ns: int) -> TextEvents:
        """Return the text events in microseconds since the request was sent, at `sent_ns`."""
        complete = len(self._origin_ns) == len(self._at_ns)
        return TextEvents(
            at_us=tuple([(at - sent_ns) // 1000 for at in self._at_ns]),
            channels=self._channels.getvalue(),
            lengths=tuple(self._lengths),
            origin_us=tuple([(at - sent_ns) // 1000 for at in self._origin_ns]) if complete else (),
        )

    def outcome(self) -> Outcome:
        """Return the outcome of the attempt; it succeeded only if there was a finish_reason or [DONE]."""
        if self.failed is not None:
            return self.failed.outcome
        reason = self.finish_reason
        if reason is None:
            return Outcome.OK if self.saw_done and self.first_event is not None else Outcome.TRUNCATED
        return OUTCOMES.get(classify_reason(reason), Outcome.OK)

"""The text of a reply before it becomes events: joins characters, removes think tags, drops repeated reasoning."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO

from runner.core.events import ANSWER, REASONING, CallPiece, Channel, Event, Flagged, Text
from runner.core.surrogates import SURROGATE, repair_surrogates
from runner.wire.decoders.think_tags import ThinkTags

HIGH = re.compile("[\ud800-\udbff]$")
"""Matches the first half of a character at the end of a text."""


class ReplyText:
    """The text of one reply, piece by piece, as its dialect's decoder reads it.

    `add_plain` takes several plain pieces at once, those without lone surrogates, in a fraction of the time.
    """

    def __init__(self) -> None:
        self._halves = SurrogateJoiner()
        self._tags = ThinkTags()
        self._reasoning = ReasoningMerge()
        self._source = ""
        """Name of the field that held the latest reasoning."""

    @property
    def settled(self) -> bool:
        """Whether `add_plain` may be used: no half of a character is held back."""
        return self._halves.settled

    def add(self, text: Text, source: str) -> list[Event]:
        """Return the events of a piece; what may be part of a tag or half of a character is held back."""
        if text.channel is REASONING:
            self._source = source
        return [split for joined in self._halves.join(text) for split in self._split(joined)]

    def add_plain(self, texts: list[Text], source: str) -> list[Text]:
        """Add plain pieces up to the first one that only `add` can handle; return those that were added.

        Args:
            texts: pieces of the answer and of the reasoning.
            source: the name of the field that holds the reasoning.

        """
        answers = [text.text for text in texts if text.channel is ANSWER]
        if len(answers) == len(texts) and texts and self._tags.accept_plain("".join(answers)):
            return texts
        for place, (_, channel, text, _, _) in enumerate(texts):
            if not (self._tags.accept_plain(text) if channel is ANSWER else self._reasoning.add_only(source, text)):
                return texts[:place]
        return texts

    def add_call(self, piece: CallPiece) -> list[Event]:
        """Return the events of a piece of a tool call, after text that was held back as a possible tag."""
        return [*self.end_answer(), *self._halves.join_call(piece)]

    def end_answer(self) -> list[Event]:
        """Return the text that was held back as part of a possible tag, since no answer follows."""
        return self._without_repeated(self._tags.flush())

    def flush(self, unread_ns: int | None) -> list[Event]:
        """Return everything that is held back: possible parts of think tags, and halves of characters.

        Args:
            unread_ns: when unreadable content arrived in a reply without any text, which is flagged; otherwise None.

        """
        halves = [split for event in self._halves.flush() for split in self._split(event)]
        skipped = [] if unread_ns is None else [Flagged(unread_ns, "skipped_data")]
        return [*halves, *self.end_answer(), *skipped]

    def _split(self, event: Event) -> list[Event]:
        """Move reasoning in think tags to its channel."""
        if not isinstance(event, Text):
            return [event]
        if event.channel is ANSWER:
            return self._without_repeated(self._tags.feed(event))
        new = self._reasoning.add(self._source, event.text)
        return [event._replace(text=new)] if new else []

    def _without_repeated(self, events: Iterable[Event]) -> list[Event]:
        """Return events without reasoning from think tags that a field also holds."""
        kept: list[Event] = []
        for event in events:
            if isinstance(event, Text) and event.channel is REASONING:
                new = self._reasoning.add("tags", event.text)
                kept += [event._replace(text=new)] if new else []
            else:
                kept.append(event)
        return kept


@dataclass(slots=True)
class ReasoningMerge:
    """Merges the reasoning of several sources of one reply."""

    _pieces: list[str] = field(default_factory=list)
    """Text returned so far, in pieces, while there is one source."""
    _merged: StringIO = field(default_factory=StringIO)
    """The same as one text, without leading blanks, once there are several sources. It grows without copies."""
    _only: str | None = None
    """The source, while there is only one."""
    _matched: dict[str, int] = field(default_factory=dict)
    """Source -> number of characters of `_merged` that it has repeated, once there are several sources."""
    _differing: set[str] = field(default_factory=set)
    """Sources whose text differs from that of the first."""

    def add_only(self, source: str, text: str) -> bool:
        """Add text if its source is the only one; return whether it is."""
        if self._only is None and not self._matched:
            self._only = source
        if source != self._only:
            return False
        self._pieces.append(text)
        return True

    def add(self, source: str, text: str) -> str:
        """Return the part of a source's text that no other source has sent before."""
        if source in self._differing or self.add_only(source, text):
            return text
        if self._only is not None:
            self._matched[self._only] = self._merged.write("".join(self._pieces).lstrip())
            self._only = None
            self._pieces.clear()
        return self._add_compared(source, text)

    def _add_compared(self, source: str, text: str) -> str:
        matched = self._matched.get(source, 0)
        own_text = text if matched else text.lstrip()
        self._merged.seek(matched)
        expected = self._merged.read(len(own_text))
        if own_text == expected:
            self._matched[source] = matched + len(own_text)
            return ""
        if len(expected) < len(own_text) and own_text.startswith(expected):
            new = own_text[len(expected) :]
            self._merged.write(new)
            self._matched[source] = self._merged.tell()
            return new
        self._differing.add(source)
        self._merged.seek(0)
        return self._merged.read(matched) + text


class SurrogateJoiner:
    """Joins the halves at the ends of successive texts of a channel, or pieces of a call; replaces lone halves."""

    def __init__(self) -> None:
        self._held: dict[Channel, Text] = {}
        self._held_calls: dict[str, CallPiece] = {}
        """Call -> piece that holds the half at the end of its arguments so far."""

    @property
    def settled(self) -> bool:
        """Whether no half of a text is held back."""
        return not self._held

    def join(self, text: Text) -> list[Event]:
        """Return a text without lone halves; a half at its end is held back until the next text of its channel."""
        held = self._held.pop(text.channel, None) if self._held else None
        whole = text.text if held is None else held.text + text.text
        if held is None and (whole.isascii() or SURROGATE.search(whole) is None):
            return [text]
        if HIGH.search(whole):
            self._held[text.channel] = text._replace(text=whole[-1])
            whole = whole[:-1]
        return _replaced(text._replace(text=whole)) if whole else []

    def join_call(self, piece: CallPiece) -> list[Event]:
        """Return a piece of a tool call without lone halves; a half at its end is held back until the next piece."""
        held = self._held_calls.pop(piece.call, None)
        if held is not None:
            piece = piece._replace(arguments=held.arguments + piece.arguments, id=held.id or piece.id)
        if HIGH.search(piece.arguments) is None:
            return _replaced_in_call(piece)
        rest, half = (
            piece._replace(arguments=piece.arguments[:-1]),
            piece._replace(name="", arguments=piece.arguments[-1]),
        )
        is_split = bool(rest.name or rest.arguments)
        self._held_calls[piece.call] = half._replace(id=None) if is_split else half
        return _replaced_in_call(rest) if is_split else []

    def flush(self) -> list[Event]:
        """Return the halves that are held back, replaced by U+FFFD."""
        held, self._held = self._held, {}
        calls, self._held_calls = self._held_calls, {}
        halves = [event for text in held.values() for event in _replaced(text)]
        return [*halves, *(event for piece in calls.values() for event in _replaced_in_call(piece))]


def _replaced(text: Text) -> list[Event]:
    joined, replaced = repair_surrogates(text.text)
    events: list[Event] = [text._replace(text=joined)]
    return [*events, Flagged(text.at_ns, "invalid_utf8")] if replaced else events


def _replaced_in_call(piece: CallPiece) -> list[Event]:
    (name, in_name), (arguments, in_arguments) = repair_surrogates(piece.name), repair_surrogates(piece.arguments)
    own_id = None if piece.id is None else repair_surrogates(piece.id)[0]
    events: list[Event] = [piece._replace(name=name, arguments=arguments, id=own_id)]
    return [*events, Flagged(piece.at_ns, "invalid_utf8")] if in_name or in_arguments else events

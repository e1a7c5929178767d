"""The text of a reply on its way to the events: characters joined, think tags taken out, repeated reasoning dropped."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO

from runner.core.events import CallPiece, Channel, Event, Flagged, Text
from runner.wire.surrogates import SurrogateJoiner
from runner.wire.think_tags import ThinkTags

ANSWER, REASONING = Channel.ANSWER, Channel.REASONING
"""Members of an enumeration, each of which Python looks up in a time that counts for each piece of a stream."""


class ReplyText:
    """The text of one reply, piece by piece, as its dialect's decoder reads it.

    `add_plain` takes several plain pieces at once, those without halves of characters, in a fraction of the time.
    """

    def __init__(self) -> None:
        self._halves = SurrogateJoiner()
        self._tags = ThinkTags()
        self._reasoning = ReasoningMerge()
        self._source = ""
        """The name of the field that held the last reasoning."""

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
        """Add plain pieces up to the first one that `add` has to take; return those that were added.

        Args:
            texts: pieces of the answer and of the reasoning.
            source: the name of the field that holds the reasoning.

        """
        answers = [text.text for text in texts if text.channel is ANSWER]
        if len(answers) == len(texts) and texts and self._tags.passes("".join(answers)):
            return texts
        for place, (_, channel, text, _, _) in enumerate(texts):
            if not (self._tags.passes(text) if channel is ANSWER else self._reasoning.add_only(source, text)):
                return texts[:place]
        return texts

    def add_call(self, piece: CallPiece) -> list[Event]:
        """Return the events of a piece of a tool call, which ends the wait for a tag."""
        return [*self.end_answer(), *self._halves.join_call(piece)]

    def end_answer(self) -> list[Event]:
        """Return what was held back as the possible part of a tag: nothing follows."""
        return self._without_repeated(self._tags.flush())

    def flush(self, unread_ns: int | None) -> list[Event]:
        """Return all that is held back: what may be part of a think tag, or half of a character.

        Args:
            unread_ns: when something came that cannot be read, in a reply without any text; a flag says so.

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
        """Return events without reasoning from think tags that a field has brought, too."""
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
    """What was returned so far, in pieces, while there is one source."""
    _heard: StringIO = field(default_factory=StringIO)
    """The same in one text, without the blanks at its beginning, once there are several. It grows without copies."""
    _only: str | None = None
    """The source, while there is one."""
    _matched: dict[str, int] = field(default_factory=dict)
    """Source -> how many characters of `_heard` it has said, once there are several."""
    _differing: set[str] = field(default_factory=set)
    """Sources that say something else than the first."""

    def add_only(self, source: str, text: str) -> bool:
        """Add text if its source is the only one; return whether it is."""
        if self._only is None and not self._matched:
            self._only = source
        if source != self._only:
            return False
        self._pieces.append(text)
        return True

    def add(self, source: str, text: str) -> str:
        """Return what of a source's text was not heard from another one."""
        if source in self._differing or self.add_only(source, text):
            return text
        if self._only is not None:
            self._matched[self._only] = self._heard.write("".join(self._pieces).lstrip())
            self._only = None
            self._pieces.clear()
        return self._add_compared(source, text)

    def _add_compared(self, source: str, text: str) -> str:
        matched = self._matched.get(source, 0)
        said = text if matched else text.lstrip()
        self._heard.seek(matched)
        expected = self._heard.read(len(said))
        if said == expected:
            self._matched[source] = matched + len(said)
            return ""
        if len(expected) < len(said) and said.startswith(expected):
            new = said[len(expected) :]
            self._heard.write(new)
            self._matched[source] = self._heard.tell()
            return new
        self._differing.add(source)
        self._heard.seek(0)
        return self._heard.read(matched) + text

"""The text of a reply on its way to the events: characters joined, think tags taken out, repeated reasoning dropped."""

from collections.abc import Iterable

from runner.core.events import Channel, Event, Text
from runner.wire.reasoning_merge import ReasoningMerge
from runner.wire.surrogates import SurrogateJoiner
from runner.wire.think_tags import ThinkTags


class ReplyText:
    """The text of one reply, piece by piece, as its dialect's decoder reads it."""

    def __init__(self) -> None:
        self._halves = SurrogateJoiner()
        self._tags = ThinkTags()
        self._reasoning = ReasoningMerge()

    @property
    def settled(self) -> bool:
        """Whether `passes` may be asked: no half of a character is held back."""
        return self._halves.settled

    def passes(self, text: Text, source: str) -> bool:
        """Return whether a piece without halves of characters is an event as it stands; it is noted if so.

        Args:
            text: the piece, on the channel of the answer or of the reasoning.
            source: the name of the field that holds it, if it is reasoning.

        """
        if text.channel is Channel.REASONING:
            return self._reasoning.add_only(source, text.text)
        return self._tags.passes(text.text)

    def add(self, text: Text, source: str) -> list[Event]:
        """Return the events of a piece; what may be part of a tag or half of a character is held back."""
        return [split for joined in self._halves.join(text) for split in self._split(joined, source)]

    def end_answer(self) -> list[Event]:
        """Return what was held back as the possible part of a tag: nothing follows."""
        return self._without_repeated(self._tags.flush())

    def flush(self) -> list[Event]:
        """Return all that is held back."""
        halves = [split for event in self._halves.flush() for split in self._split(event, "")]
        return [*halves, *self.end_answer()]

    def _split(self, event: Event, source: str) -> list[Event]:
        """Move reasoning in think tags to its channel. A tool call ends the wait for a tag."""
        if not isinstance(event, Text):
            return [event]
        if event.channel is Channel.ANSWER:
            return self._without_repeated(self._tags.feed(event))
        if event.channel is Channel.TOOL:
            return [*self.end_answer(), event]
        new = self._reasoning.add(source, event.text)
        return [event._replace(text=new)] if new else []

    def _without_repeated(self, events: Iterable[Event]) -> list[Event]:
        """Return events without reasoning from think tags that a field has brought, too."""
        kept: list[Event] = []
        for event in events:
            if isinstance(event, Text) and event.channel is Channel.REASONING:
                new = self._reasoning.add("tags", event.text)
                kept += [event._replace(text=new)] if new else []
            else:
                kept.append(event)
        return kept

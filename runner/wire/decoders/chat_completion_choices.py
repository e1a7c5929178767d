"""Choice numbers: no request asks for several replies, so pieces under different numbers belong to one reply.

The stream can show that they do not: a chunk holds text of two choices, a number recurs after text under another one,
or text or a second end follows the end of a choice. Then one choice is kept, and the row has a flag.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from runner.core.events import Channel, ChoiceChanged, ChoiceKept, Event, Flagged
from runner.wire.decoders.chat_completion_fields import Choice

ChannelsOf = Callable[[Choice], Iterable[Channel]]
"""Returns the channels on which a choice adds text."""

FIRST = "0"


@dataclass(slots=True)
class ChoiceNumbers:
    """Selects the choices of a stream that belong to the reply."""

    kept: str | None = None
    """Number of the only choice that is read, once there are several replies; None before."""
    current: str = FIRST
    """Number of the choice that had the latest text."""
    _order: list[str] = field(default_factory=list)
    """Numbers with text, in the order of their first text."""
    _by_channel: dict[Channel, list[str]] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)

    @property
    def plain(self) -> bool:
        """Whether all text so far was under number 0, and no choice has ended."""
        return self.kept is None and self.current == FIRST and len(self._order) <= 1 and not self._finished

    def select(
        self, choices: list[Choice], channels_of: ChannelsOf, finishes: Callable[[Choice], bool], at_ns: int
    ) -> tuple[list[Choice], list[Event]]:
        """Return the choices of a chunk that belong to the reply, and the events that precede their text."""
        numbered = [(self._number(choice), choice) for choice in choices]
        texts: dict[str, set[Channel]] = {number: set() for number, _ in numbered}
        for number, choice in numbered:
            texts[number].update(channels_of(choice))
        ends = {number for number, choice in numbered if finishes(choice)}
        events: list[Event] = []
        if self.kept is None and self._are_several(texts, ends):
            self._keep(texts, at_ns, events)
        elif self.kept is not None and any(number != self.kept for number, _ in numbered):
            events.append(Flagged(at_ns, "several_choices"))
        if self.kept is not None:
            own = [choice for number, choice in numbered if number == self.kept]
            return own, events
        self._note(texts, ends, at_ns, events)
        return choices, events

    def note_plain(self, channels: Iterable[Channel], *, finishes: bool) -> None:
        """Record a chunk with one choice under number 0 as `select` would, while `plain` is true."""
        self._note({FIRST: set(channels)}, {FIRST} if finishes else set(), 0, [])

    def _number(self, choice: Choice) -> str:
        """Return a choice's number as text; that of the latest text if it has none."""
        index = choice.get("index")
        if isinstance(index, float) and index.is_integer():
            index = int(index)
        if isinstance(index, bool) or index is None or index == "":
            return self.current
        return str(index).strip() if isinstance(index, int | str) else self.current

    def _are_several(self, texts: Mapping[str, set[Channel]], ends: set[str]) -> bool:
        with_text = [number for number, channels in texts.items() if channels]
        if len(with_text) > 1 and set.intersection(*(texts[number] for number in with_text)):
            return True
        for number in with_text:
            if self._finished and number not in self._finished:
                return True
            for channel in texts[number]:
                seen = self._by_channel.get(channel, [])
                if number in seen and seen[-1] != number:
                    return True
        return len((ends | self._finished) & {*self._order, *with_text}) > 1

    def _keep(self, texts: Mapping[str, set[Channel]], at_ns: int, events: list[Event]) -> None:
        seen = [*self._order, *(number for number, channels in texts.items() if channels)]
        self.kept = FIRST if FIRST in seen else seen[0]
        events += [ChoiceKept(at_ns, self.kept), Flagged(at_ns, "several_choices")]

    def _note(self, texts: Mapping[str, set[Channel]], ends: set[str], at_ns: int, events: list[Event]) -> None:
        for number, channels in texts.items():
            if not channels:
                continue
            if number != self.current or not self._order:
                if self._order or number != FIRST:
                    events.append(ChoiceChanged(at_ns, number))
                self.current = number
            if number not in self._order:
                self._order.append(number)
            for channel in channels:
                seen = self._by_channel.setdefault(channel, [])
                if number not in seen:
                    seen.append(number)
        self._finished |= ends

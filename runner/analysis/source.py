"""Where the records of a run are read from, as often as somebody needs them: a journal, memory, or a part of either."""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from runner.core.record import Record


class RecordSource(Protocol):
    """Records that can be read again and again, always the same in the same order."""

    @property
    def records(self) -> Iterable[Record]:
        """Every record."""

    def records_at(self, places: AbstractSet[int]) -> Iterable[Record]:
        """Those at these places, from 0, in their order."""


@dataclass(frozen=True, slots=True)
class HeldRecords:
    """Records in memory."""

    records: tuple[Record, ...]

    def records_at(self, places: AbstractSet[int]) -> Iterator[Record]:
        """Those at these places, from 0, in their order."""
        return (self.records[place] for place in sorted(places))


@dataclass(frozen=True, slots=True)
class PartOfRecords:
    """Those records of another source that were chosen."""

    whole: RecordSource
    holds: Callable[[Record], bool]

    @property
    def records(self) -> Iterator[Record]:
        """Every record of the part."""
        return (record for record in self.whole.records if self.holds(record))

    def records_at(self, places: AbstractSet[int]) -> Iterator[Record]:
        """Those at these places of the part, from 0, in their order."""
        return (record for place, record in enumerate(self.records) if place in places)

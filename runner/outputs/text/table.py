"""Tables of text, independent of the format that lays them out: headings, rows, and the columns of words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar


@dataclass(frozen=True, slots=True)
class TextTable:
    """Headings and rows of text; columns whose index is in `wordy` hold words, all others figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wordy: frozenset[int] = frozenset({0})


class TitledTable(NamedTuple):
    """A table with its title."""

    title: str
    table: TextTable


class CaptionedTable(NamedTuple):
    """A table with its title and a caption that explains its columns."""

    title: str
    table: TextTable
    caption: str


Item = TypeVar("Item")


def tabulate_items(
    items: Sequence[Item], columns: Sequence[tuple[str, Callable[[Item], str]]], wordy: frozenset[int] = frozenset({0})
) -> TextTable:
    """Return a table with a row for each item; a column is a heading and a function that writes a cell."""
    return TextTable(
        headings=tuple(heading for heading, _ in columns),
        rows=tuple(tuple(write(each) for _, write in columns) for each in items),
        wordy=wordy,
    )

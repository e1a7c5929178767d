"""Tables of text that every format lays out in its own way: headings, rows, and which columns hold words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar


@dataclass(frozen=True, slots=True)
class TextTable:
    """Headings and rows of text; the columns in `wordy` hold words, all others figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wordy: frozenset[int]


class TitledTable(NamedTuple):
    """A table with its title."""

    title: str
    table: TextTable


class CaptionedTable(NamedTuple):
    """A table with its title, and sentences that explain its columns."""

    title: str
    table: TextTable
    caption: str


Item = TypeVar("Item")


def tabulate_items(
    items: Sequence[Item], columns: Sequence[tuple[str, Callable[[Item], str]]], wordy: frozenset[int] = frozenset({0})
) -> TextTable:
    """Return a row for each item; a column is its heading, and how its cell is written."""
    return TextTable(
        headings=tuple(heading for heading, _ in columns),
        rows=tuple(tuple(write(each) for _, write in columns) for each in items),
        wordy=wordy,
    )

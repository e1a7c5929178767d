"""Tables for a rich console that stay readable where it is narrow: names are not squeezed, and no column is left out.

A table that is too wide becomes several below each other, each with the names beside some of its columns; or, where
that takes fewer of them, with each name on a line of its own above its figures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from textwrap import fill

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from runner.outputs.text.escape import one_line
from runner.outputs.text.table import TextTable

READABLE = 24
"""The columns that a name needs; a longer one is folded, and a shorter one is not."""

HEADING_COLUMNS = 16
"""Longer headings of figures take several lines."""

GAP, INDENT = 2, 2
"""Columns between two columns of a table, and before figures that stand below a name."""


@dataclass(frozen=True)
class FittingTable:
    """A table that fits the width of its console; `tints` maps row and column to the style of a cell's text.

    Interval and sample size stand below a figure, so that names have room; with `in_line` only where that is too wide.
    """

    content: TextTable
    tints: Mapping[tuple[int, int], str] = field(default_factory=dict)
    in_line: bool = False

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the widths between which the table is whole."""
        return Measurement.get(console, options, self._in_line if self.in_line else self.whole)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or those that it is divided into."""
        width = options.max_width
        if self.in_line and Measurement.get(console, options.update_width(10_000), self._in_line).maximum <= width:
            yield self._in_line
            return
        if self._room(range(len(self.content.headings))) <= width:
            yield self.whole
            return
        names, figures = self._names, range(len(self._names), len(self.content.headings))
        beside = self._groups(figures, width - self._room(names) - GAP)
        above = self._groups(figures, width - INDENT)
        if len(beside) <= len(above) and all(self._room([*names, *group]) <= width for group in beside):
            for number, group in enumerate(beside):
                yield from ([Text("")] if number else [])
                yield self._table([*names, *group])
        else:
            for number, group in enumerate(above):
                yield from ([Text("")] if number else [])
                yield from self._below_names(group, width - INDENT)

    @cached_property
    def whole(self) -> Table:
        """The table with all its columns."""
        return self._table(range(len(self.content.headings)))

    @cached_property
    def _in_line(self) -> Table:
        return self._table(range(len(self.content.headings)), breaks=False)

    @property
    def _names(self) -> range:
        """The first columns, which say what a row is about."""
        figures = (at for at in range(len(self.content.headings)) if at not in self.content.wordy)
        return range(max(1, next(figures, 1)))

    @cached_property
    def _widths(self) -> tuple[int, ...]:
        """The width of each column whose texts are not folded."""
        columns = zip(*self.content.rows, strict=True) if self.content.rows else [()] * len(self.content.headings)
        return tuple(
            max(map(cell_len, "\n".join([self._heading(at), *map(_broken, texts)]).split("\n")))
            for at, texts in enumerate(columns)
        )

    def _room(self, columns: Sequence[int]) -> int:
        """Return the width in which columns are readable beside each other."""
        return sum(map(self._least, columns)) + GAP * (len(columns) - 1)

    def _least(self, at: int) -> int:
        return min(self._widths[at], READABLE) if at in self.content.wordy else self._widths[at]

    def _heading(self, at: int) -> str:
        heading = str(self.content.headings[at])
        return heading if at in self.content.wordy else fill(heading, HEADING_COLUMNS)

    def _groups(self, columns: Sequence[int], width: int) -> list[list[int]]:
        """Return columns in as few groups as fit a width, in their order; one that is too wide is a group by itself."""
        groups: list[list[int]] = []
        for at in columns:
            if groups and self._room([*groups[-1], at]) <= width:
                groups[-1].append(at)
            else:
                groups.append([at])
        return groups

    def _table(self, columns: Sequence[int], *, breaks: bool = True) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for at in columns:
            if at in self.content.wordy:
                table.add_column(self._heading(at), justify="left", overflow="fold")
            else:
                table.add_column(self._heading(at), justify="right", no_wrap=True, overflow="fold")
        for number in range(len(self.content.rows)):
            table.add_row(*(self._cell(number, at, breaks=breaks) for at in columns))
        return table

    def _below_names(self, columns: Sequence[int], width: int) -> Iterator[Text | Padding]:
        """Yield names once for the rows that share them, and their figures, in columns that are the same for all."""
        widths = self._shared_widths(columns, width)
        headings = [Text(self._heading(at), "bold") for at in columns]
        yield Padding(self._aligned(columns, widths, headings), (0, 0, 0, INDENT))
        named: list[Text] = []
        for number in range(len(self.content.rows)):
            names = [self._cell(number, at) for at in self._names]
            if names != named:
                yield Text("  ").join(names)
            named = names
            cells = [self._cell(number, at) for at in columns]
            yield Padding(self._aligned(columns, widths, cells), (0, 0, 0, INDENT))

    def _shared_widths(self, columns: Sequence[int], width: int) -> list[int]:
        """Return the widths of columns; words get what figures leave."""
        rest, widths = width - self._room(columns), []
        for at in columns:
            least = min(self._least(at), width)
            more = max(0, min(rest, self._widths[at] - least))
            rest -= more
            widths.append(least + more)
        return widths

    def _aligned(self, columns: Sequence[int], widths: Sequence[int], cells: Sequence[Text]) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for at, width in zip(columns, widths, strict=True):
            table.add_column(justify="left" if at in self.content.wordy else "right", width=width, overflow="fold")
        table.add_row(*cells)
        return table

    def _cell(self, row: int, at: int, *, breaks: bool = True) -> Text:
        """Return a cell; it is a Text because rich would read a str as markup."""
        text = self.content.rows[row][at]
        return Text(_broken(text) if breaks else one_line(text), self.tints.get((row, at), ""))


def write_fitting(table: FittingTable, width: int) -> str:
    """Return a table as plain text of a width."""
    console = Console(width=width, file=StringIO(), color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _broken(text: str) -> str:
    """Return a cell's text with interval and sample size below the figure."""
    return one_line(text).replace(" (n ", "\n(n ").replace(" [", "\n[")

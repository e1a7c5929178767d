"""Tables for a rich console that stay readable at narrow widths: names are not squeezed and no column is left out.

A table that is too wide is split into several tables below each other. Each shows the names beside some of the columns
or, if that gives fewer tables, each name on a line of its own above its figures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from textwrap import fill

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from runner.outputs.text.escape import one_line
from runner.outputs.text.table import TextTable

READABLE = 24
"""Minimum width of a column of names; longer names may be folded, shorter ones are not."""

HEADING_COLUMNS = 16
"""Width from which the heading of a column of figures is wrapped."""

GAP, INDENT = 2, 2
"""Spaces between two columns of a table, and before figures written below a name."""


@dataclass(frozen=True)
class SplitTable:
    """A table that fits the width of its console; `tints` maps (row, column) to the style of a cell's text.

    Interval and sample size are written below their figure, to leave room for names. With `in_line` they are written
    behind it if the table then fits.
    """

    content: TextTable
    tints: Mapping[tuple[int, int], str] = field(default_factory=dict)
    in_line: bool = False

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the minimum and maximum width of the undivided table."""
        return Measurement.get(console, options, self._unbroken if self.in_line else self.whole)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or the tables it is divided into."""
        width = options.max_width
        if self.in_line and Measurement.get(console, options.update_width(10_000), self._unbroken).maximum <= width:
            yield self._unbroken
            return
        if self._needed_width(range(len(self.content.headings))) <= width:
            yield self.whole
            return
        names, figures = self._name_columns, range(len(self._name_columns), len(self.content.headings))
        beside = self._groups(figures, width - self._needed_width(names) - GAP)
        above = self._groups(figures, width - INDENT)
        if len(beside) <= len(above) and all(self._needed_width([*names, *group]) <= width for group in beside):
            parts: list[list[RenderableType]] = [[self._table([*names, *group])] for group in beside]
        else:
            parts = [[*self._figures_below_names(group, width - INDENT)] for group in above]
        for number, part in enumerate(parts):
            yield from ([Text("")] if number else [])
            yield from part

    @cached_property
    def whole(self) -> Table:
        """Table with all columns."""
        return self._table(range(len(self.content.headings)))

    @cached_property
    def _unbroken(self) -> Table:
        return self._table(range(len(self.content.headings)), breaks=False)

    @property
    def _name_columns(self) -> range:
        """Indices of the leading columns, which name the subject of a row."""
        figures = (at for at in range(len(self.content.headings)) if at not in self.content.wordy)
        return range(max(1, next(figures, 1)))

    @cached_property
    def _widths(self) -> tuple[int, ...]:
        """Width of each column if no text is folded."""
        columns = zip(*self.content.rows, strict=True) if self.content.rows else [()] * len(self.content.headings)
        return tuple(
            max(map(cell_len, "\n".join([self._heading(at), *map(_break_cell, texts)]).split("\n")))
            for at, texts in enumerate(columns)
        )

    def _needed_width(self, columns: Sequence[int]) -> int:
        """Return the smallest width at which columns are readable beside each other."""
        return sum(map(self._min_width, columns)) + GAP * (len(columns) - 1)

    def _min_width(self, at: int) -> int:
        return min(self._widths[at], READABLE) if at in self.content.wordy else self._widths[at]

    def _heading(self, at: int) -> str:
        heading = str(self.content.headings[at])
        return heading if at in self.content.wordy else fill(heading, HEADING_COLUMNS)

    def _groups(self, columns: Sequence[int], width: int) -> list[list[int]]:
        """Divide columns, in order, into as few groups as fit a width; a column that is too wide gets its own group."""
        groups: list[list[int]] = []
        for at in columns:
            if groups and self._needed_width([*groups[-1], at]) <= width:
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

    def _figures_below_names(self, columns: Sequence[int], width: int) -> Iterator[Text | Padding]:
        """Yield each name above the figures of the consecutive rows that share it, all with the same column widths."""
        widths = self._shared_widths(columns, width)
        headings = [Text(self._heading(at), "bold") for at in columns]
        yield Padding(self._aligned(columns, widths, headings), (0, 0, 0, INDENT))
        named: list[Text] = []
        for number in range(len(self.content.rows)):
            names = [self._cell(number, at) for at in self._name_columns]
            if names != named:
                yield Text("  ").join(names)
            named = names
            cells = [self._cell(number, at) for at in columns]
            yield Padding(self._aligned(columns, widths, cells), (0, 0, 0, INDENT))

    def _shared_widths(self, columns: Sequence[int], width: int) -> list[int]:
        """Return the widths of columns; space that figures do not need goes to words."""
        rest, widths = width - self._needed_width(columns), []
        for at in columns:
            least = min(self._min_width(at), width)
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
        """Return a cell as a Text, since rich would parse a str as markup."""
        text = self.content.rows[row][at]
        return Text(_break_cell(text) if breaks else one_line(text), self.tints.get((row, at), ""))


def plain_text(renderable: RenderableType, width: int) -> str:
    """Return what a console of a width in columns shows, without colour."""
    file = StringIO()
    Console(width=width, file=file, color_system=None, force_terminal=False, force_jupyter=False).print(renderable)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _break_cell(text: str) -> str:
    """Return a cell's text with line breaks before the interval and the sample size."""
    return one_line(text).replace(" (n ", "\n(n ").replace(" [", "\n[")

"""List of the runs in a folder: as a table for a terminal, and as plain data for programs."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from runner.errors import counted
from runner.outputs.narrow_terminal_tables import READABLE, SplitTable
from runner.outputs.text.escape import one_line
from runner.outputs.text.number_format import MISSING, seconds, with_n
from runner.outputs.text.table import TextTable
from runner.pricing.money import Money, add_up
from runner.storage.stored_summary import StoredJudge, StoredRun, StoredSummary, StoredTarget, to_plain

HEADINGS = ("run", "started", "suite", "targets", "n", "failed", "fastest by TTFT", "TTFT p50", "cost")
WORDY = frozenset({0, 1, 2, 3, 6})
"""Indices of the columns of words; the others hold figures."""

NAMES, FOLDED = frozenset({3, 6}), READABLE
"""Indices of the columns of targets, and the width from which their names may be folded."""

LEFT_OUT_FIRST = (1, 2, 8, 4, 3, 7)
"""Indices of the columns left out on a narrow terminal, in this order. The run's id also holds start and suite."""

NOT_SHOWN = ("version", "journal_size", "journal_mtime_ns", "kind")
"""Members of a stored summary that only describe its source."""


def render_runs(runs: Sequence[StoredRun], columns: int) -> tuple["RunTable | SplitTable", tuple[str, ...]]:
    """Return a table with a row for each run, in the order given, and the headings left out to make it fit.

    Args:
        runs: the runs, at least one.
        columns: width of the terminal in columns.

    """
    rows, longest = [tuple(map(one_line, _row(run))) for run in runs], max(cell_len(run.folder.name) for run in runs)
    widths = [max(_cell_width(text) for text in column) for column in zip(HEADINGS, *rows, strict=True)]
    kept = _columns_that_fit([longest, *widths[1:]], columns)
    left_out = tuple(heading for at, heading in enumerate(HEADINGS) if at not in kept)
    if left_out or _total_width(widths, kept) > columns:
        widths[0] = longest
    if _total_width(widths, kept) > columns:
        return SplitTable(_keep_columns(rows, kept)), left_out
    _fold_names(widths, kept, columns)
    return RunTable(rows, {at: widths[at] for at in kept}), left_out


def _keep_columns(rows: Sequence[tuple[str, ...]], kept: Sequence[int]) -> TextTable:
    return TextTable(
        tuple(HEADINGS[at] for at in kept),
        tuple(tuple(row[at] for at in kept) for row in rows),
        frozenset(number for number, at in enumerate(kept) if at in WORDY),
    )


def _columns_that_fit(widths: Sequence[int], columns: int) -> list[int]:
    """Return the indices of the columns that fit beside each other; the least informative are left out first."""
    kept = list(range(len(HEADINGS)))
    for at in LEFT_OUT_FIRST:
        if _total_width(widths, kept) <= columns:
            break
        kept.remove(at)
    return kept


def _total_width(widths: Sequence[int], kept: Sequence[int]) -> int:
    """Return the width of the columns with two spaces between them, if targets are folded as far as they may be."""
    return sum(min(widths[at], FOLDED) if at in NAMES else widths[at] for at in kept) + 2 * (len(kept) - 1)


def _fold_names(widths: list[int], kept: Sequence[int], columns: int) -> None:
    """Narrow the columns of targets in `widths`, always the widest, until all columns fit."""
    names = [at for at in kept if at in NAMES]
    excess = sum(widths[at] for at in kept) + 2 * (len(kept) - 1) - columns
    while excess > 0 and names:
        widest = max(names, key=lambda at: widths[at])
        widths[widest] -= 1
        excess -= 1


def _cell_width(text: str) -> int:
    # The sample size is written below the figure.
    return max(cell_len(part) for part in text.split(" (n "))


class RunTable:
    """Table written as lines of text. Rich's own table takes 0.5 ms a row, and there may be ten thousand rows."""

    def __init__(self, rows: Sequence[tuple[str, ...]], widths: Mapping[int, int]) -> None:
        self._rows = rows
        self._widths = widths

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, with the headings in bold."""
        yield from self._draw(HEADINGS, console, Style(bold=True))
        for row in self._rows:
            yield from self._draw(row, console)

    def _draw(self, row: tuple[str, ...], console: Console, style: Style | None = None) -> Iterator[Segment]:
        cells = [
            [_pad(line, width, is_words=at in WORDY) for line in self._wrap_cell(at, row[at], width, console)]
            for at, width in self._widths.items()
        ]
        for line in zip_longest(*cells):
            padded = (text or " " * width for text, width in zip(line, self._widths.values(), strict=True))
            yield Segment("  ".join(padded).rstrip(), style)
            yield Segment.line()

    def _wrap_cell(self, at: int, text: str, width: int, console: Console) -> list[str]:
        if at not in WORDY:
            return text.replace(" (n ", "\n(n ").split("\n")
        if cell_len(text) <= width:
            return [text]
        return [line.plain.rstrip() for line in Text(text).wrap(console, width, overflow="fold")]


def _pad(text: str, width: int, *, is_words: bool) -> str:
    blank = " " * (width - cell_len(text))
    return text + blank if is_words else blank + text


def _row(run: StoredRun) -> tuple[str, ...]:
    found = run.summary
    fastest = _fastest(found)
    ttft = None if fastest is None else fastest.medians["ttft_s"]
    return (
        _name(run),
        f"{run.started_at:%Y-%m-%d %H:%M}",
        found.suite,
        found.targets[0].target if len(found.targets) == 1 else counted(len(found.targets), "target"),
        f"{found.n:,}",
        str(found.failed),
        MISSING if fastest is None else fastest.target,
        MISSING if ttft is None else with_n(seconds(ttft.value), ttft.n),
        _cost(found),
    )


def _name(run: StoredRun) -> str:
    """Return a run's name, marked if the run is simulated, a replay, partial, or ended by its budget.

    A run that `--requests`, `--duration` or `--until-ci` ended has all that was asked for.
    """
    found = run.summary
    is_over_budget = found.ended and (found.stop_reason or "").startswith("the budget ")
    marks = [
        *(["simulated"] if found.simulated else []),
        *([] if found.ended else ["partial"]),
        *(["ended by --budget"] if is_over_budget else []),
        *(["replay"] if found.replay_of else []),
    ]
    return run.folder.name + (f" ({', '.join(marks)})" if marks else "")


def _fastest(found: StoredSummary) -> StoredTarget | None:
    timed = [each for each in found.targets if "ttft_s" in each.medians]
    return min(timed, key=lambda each: each.medians["ttft_s"].value, default=None)


def _cost(found: StoredSummary) -> str:
    paid: tuple[StoredTarget | StoredJudge, ...] = (*found.targets, *found.judges)
    sums = add_up(Money(Decimal(amount), currency) for each in paid for currency, amount in each.costs.items())
    if not sums:
        return MISSING
    known, sent = sum(each.cost_n for each in paid), sum(each.sent for each in paid)
    return with_n(" + ".join(map(str, sums)), known, sent)


def runs_as_data(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Return each run's folder and summary as plain data; absent values are None."""
    return [
        {
            "folder": str(run.folder),
            **{name: value for name, value in to_plain(run.summary).items() if name not in NOT_SHOWN},
        }
        for run in runs
    ]

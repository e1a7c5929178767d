"""The runs in a folder as a table for a terminal, and as plain data for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.cells import cell_len
from rich.table import Table

from runner.outputs.fitting_table import READABLE, FittingTable
from runner.outputs.text.figures import MISSING, count, seconds
from runner.outputs.text.summary import TextTable
from runner.pricing.money import Money, add_up
from runner.storage.stored_summary import StoredJudge, StoredRun, StoredSummary, StoredTarget

HEADINGS = ("run", "started", "suite", "targets", "n", "failed", "fastest by TTFT", "TTFT p50", "cost")
WORDY = frozenset({0, 1, 2, 3, 6})
"""The columns with words; the others hold figures."""

NAMES, FOLDED = frozenset({3, 6}), READABLE
"""The columns with targets, and the width at which their names may be folded."""

LEFT_OUT_FIRST = (1, 2, 8, 4, 3)
"""The columns that a narrow terminal does without: start and suite are in the run's id, too."""

NOT_SHOWN = ("version", "journal_size", "journal_mtime_ns", "kind")
"""Members of a stored summary that only say what it was derived from."""


def render_runs(runs: Sequence[StoredRun], columns: int) -> tuple[Table | FittingTable, tuple[str, ...]]:
    """Return a row for each run, in the order given, and the headings that are left out so that no name is folded.

    Args:
        runs: at least one.
        columns: the width of the terminal.

    """
    rows, longest = tuple(map(_row, runs)), max(cell_len(run.folder.name) for run in runs)
    kept = _fit(rows, longest, columns)
    fitting = FittingTable(
        TextTable(
            tuple(HEADINGS[at] for at in kept),
            tuple(tuple(row[at] for at in kept) for row in rows),
            frozenset(number for number, at in enumerate(kept) if at in WORDY),
        )
    )
    left_out = tuple(heading for at, heading in enumerate(HEADINGS) if at not in kept)
    if _width(rows, longest, kept) > columns:
        return fitting, left_out
    table = fitting.whole
    whole = max(cell_len(row[0]) for row in rows)
    table.columns[0].width = whole if len(kept) == len(HEADINGS) and _width(rows, whole, kept) <= columns else longest
    return table, left_out


def _fit(rows: Sequence[tuple[str, ...]], longest: int, columns: int) -> list[int]:
    """Return the columns that fit beside each other; those that tell the least are left out first."""
    kept = list(range(len(HEADINGS)))
    for at in LEFT_OUT_FIRST:
        if _width(rows, longest, kept) <= columns:
            break
        kept.remove(at)
    return kept


def _width(rows: Sequence[tuple[str, ...]], first: int, kept: Sequence[int]) -> int:
    """Return the width of the columns with two spaces between them, the first one given; targets may be folded."""
    widths = [max(_cell_width(text) for text in (HEADINGS[at], *(row[at] for row in rows))) for at in kept[1:]]
    may_fold = [min(width, FOLDED) if at in NAMES else width for at, width in zip(kept[1:], widths, strict=True)]
    return first + sum(may_fold) + 2 * (len(kept) - 1)


def _cell_width(text: str) -> int:
    # The sample size stands below the figure.
    return max(cell_len(part) for part in text.split(" (n "))


def _row(run: StoredRun) -> tuple[str, ...]:
    found = run.summary
    fastest = _fastest(found)
    ttft = None if fastest is None else fastest.medians["ttft_s"]
    return (
        _name(run),
        f"{run.started_at:%Y-%m-%d %H:%M}",
        found.suite,
        found.targets[0].target if len(found.targets) == 1 else count(len(found.targets), "target"),
        f"{found.n:,}",
        str(found.failed),
        MISSING if fastest is None else fastest.target,
        MISSING if ttft is None else f"{seconds(ttft.value)} (n {ttft.n})",
        _cost(found),
    )


def _name(run: StoredRun) -> str:
    """Return a run's name, with what makes its figures others than those of a whole run with real providers."""
    found = run.summary
    marks = [
        *(["simulated"] if found.simulated else []),
        *([] if found.ended and found.stop_reason is None else ["partial"]),
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
    return " + ".join(map(str, sums)) + (f" (n {known})" if known < sent else "")


def runs_as_data(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Return each run's folder and summary as plain data; what is absent is None."""
    return [
        {
            "folder": str(run.folder),
            **{name: value for name, value in asdict(run.summary).items() if name not in NOT_SHOWN},
        }
        for run in runs
    ]

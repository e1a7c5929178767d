"""The runs in a folder as a table for a terminal, and as plain data for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.table import Table

from runner.outputs.terminal import draw_table
from runner.outputs.text.figures import MISSING, count, seconds
from runner.outputs.text.summary import TextTable
from runner.pricing.money import Money, add_up
from runner.storage.stored_summary import StoredJudge, StoredRun, StoredSummary, StoredTarget

HEADINGS = ("run", "started", "suite", "targets", "n", "failed", "fastest by TTFT", "TTFT p50", "cost")
WORDY = frozenset({0, 1, 2, 3, 6})
"""The columns with words; the others hold figures."""

NOT_SHOWN = ("version", "journal_size", "journal_mtime_ns", "kind")
"""Members of a stored summary that only say what it was derived from."""


def render_runs(runs: Sequence[StoredRun]) -> Table:
    """Return a row for each run, in the order given."""
    return draw_table(TextTable(HEADINGS, tuple(map(_row, runs)), WORDY))


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

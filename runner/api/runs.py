"""`runs`: list the runs in a folder as a table, with a row for each run and target."""

from os import PathLike

import pandas as pd

from runner.api.keywords import refuse_unknown_keywords
from runner.api.options import read_value
from runner.commands.runs import list_stored_runs
from runner.storage.run_folder import RESULTS
from runner.storage.stored_summary import StoredRun, StoredTarget

COLUMNS = ("run_id", "started_at", "suite", "digest", "target", "n", "failed")
"""Columns that every run has; they make the empty table."""


@refuse_unknown_keywords
def runs(folder: str | PathLike[str] = RESULTS) -> pd.DataFrame:
    """Return a row for each target of each run in a folder, the newest run first.

        runs().query("target == 'openai/gpt-5-mini'").plot("started_at", "ttft_s")

    Columns: `run_id`, `folder`, `started_at` (a timestamp in UTC), `suite` and its `digest`, `simulated`, `ended`;
    `target`, `n` requests and how many of them `failed`, `passed` repeats of `checked` cases; for each timed column the
    median in seconds with its 95 % interval (`ttft_s`, `ttft_s_low`, `ttft_s_high`, `ttft_s_n`), and the geometric mean
    over the questions (`ttft_s_level`), by which runs are compared; `cost` of `cost_n` requests in `currency`, if there
    is only one currency. Absent values are NA. A run whose journal cannot be read is left out, and named in
    `attrs["unreadable"]`; `attrs["unsaved"]` says why summaries could not be stored, and is None if all were.

    Raises:
        CompareError: there is no such folder.

    """
    found = list_stored_runs(read_value("folder", folder))
    rows = [_row(run, target) for run in found.runs for target in run.summary.targets]
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(COLUMNS))
    table["started_at"] = pd.to_datetime(table["started_at"], utc=True, format="ISO8601")
    table = table.convert_dtypes()
    table.attrs["unreadable"], table.attrs["unsaved"] = list(found.unreadable), found.unsaved
    return table


def _row(run: StoredRun, target: StoredTarget) -> dict[str, object]:
    found = run.summary
    cost = next(iter(target.costs.items())) if len(target.costs) == 1 else None
    return {
        **{name: getattr(found, name) for name in ("run_id", "started_at", "suite", "digest")},
        **{name: getattr(target, name) for name in ("target", "n", "failed", "passed", "checked")},
        **_figures(target),
        "cost": None if cost is None else float(cost[1]),
        "currency": None if cost is None else cost[0],
        "cost_n": target.cost_n,
        "simulated": found.simulated,
        "ended": found.ended,
        "folder": str(run.folder),
    }


def _figures(target: StoredTarget) -> dict[str, object]:
    figures: dict[str, object] = {}
    for column, median in target.medians.items():
        figures |= {
            column: median.value,
            f"{column}_low": median.low,
            f"{column}_high": median.high,
            f"{column}_n": median.n,
        }
    return figures | {f"{measure}_level": level for measure, level in target.levels.items()}

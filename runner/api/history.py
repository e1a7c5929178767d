"""`history`: changes of each target's level over the runs in a folder, as a table."""

from os import PathLike

import pandas as pd

from runner.analysis.history import RunSeries
from runner.api.keywords import refuse_unknown_keywords
from runner.api.options import read_values
from runner.api.run_table import interval_columns
from runner.commands.history import follow_targets, write_history
from runner.commands.run.options import spell_keyword
from runner.storage.run_folder import RESULTS


@refuse_unknown_keywords
def history(
    folder: str | PathLike[str] = RESULTS, *, metrics: tuple[str, ...] = (), output: str | PathLike[str] | None = None
) -> pd.DataFrame:
    """Return a row for each change of a level, by suite, target and measure, the earliest first.

        history()[["target", "measure", "started_at", "ratio", "low", "high", "p", "with_it"]]

    Columns: `suite`, `digest`, `conditions` (the load: `order blocks, concurrency 4`), `target`, `measure`; the first
    run of the new level (`run_id`, `started_at`); `ratio` to the level before, or for a pass rate the `difference` of
    shares, with its 95 % interval (`low`, `high`) and `p`; the numbers of runs `before` and `after`; and other changes
    at the same run (`with_it`). A series without a change has no row. `runs()` returns the levels.

    Args:
        folder: the folder that holds the runs' folders.
        metrics: names of measures, as for `compare diff --metric`; TTFT and total time if empty.
        output: a further file to write: .html is a page with charts, .json has every level.

    Raises:
        CompareError: there is no such folder, or a measure is unknown.

    """
    given = read_values({"folder": folder, "metrics": metrics, "output": output}, required=("folder", "metrics"))
    outputs = given.get("output", ())
    series, found = follow_targets(given["folder"], metrics=given["metrics"], outputs=outputs, spell=spell_keyword)
    if series:
        write_history(series, outputs)
    table = pd.DataFrame([row for each in series for row in _rows(each)], columns=list(_COLUMNS))
    table["started_at"] = pd.to_datetime(table["started_at"], utc=True, format="ISO8601")
    table.attrs["unreadable"] = list(found.unreadable)
    return table.sort_values("started_at", ignore_index=True)


_COLUMNS = (
    *("suite", "digest", "conditions", "target", "measure", "run_id", "started_at"),
    *("ratio", "difference", "low", "high", "p", "before", "after", "with_it"),
)


def _rows(series: RunSeries) -> list[dict[str, object]]:
    return [
        {
            "suite": series.suite,
            "digest": series.digest,
            "conditions": ", ".join(f"{name} {value}" for name, value in series.conditions.items()),
            "target": series.target,
            "measure": series.measure.name,
            "run_id": series.points[change.at].run.summary.run_id,
            "started_at": series.points[change.at].run.summary.started_at,
            "ratio": change.ratio,
            "difference": change.difference,
            **interval_columns(change.interval),
            "p": change.p,
            "before": change.before,
            "after": change.after,
            "with_it": "; ".join(f"{each.what}: {each.before} -> {each.after}" for each in series.differences(change)),
        }
        for change in series.changes
    ]

"""`compare history`: how the targets of a folder's runs changed over time."""

from pathlib import Path

from runner.analysis.measures import FAILURES, SLOW_REQUESTS, Measure, choose_measures
from runner.analysis.run_series import RunSeries, make_series
from runner.commands.runs import RunChoice, list_stored_runs
from runner.errors import CompareError
from runner.storage.run_folder import RESULTS

DEFAULT_MEASURES = ("ttft", "total")


def follow_targets(
    parent: Path = RESULTS, choice: RunChoice | None = None, metrics: tuple[str, ...] = ()
) -> tuple[tuple[RunSeries, ...], tuple[str, ...]]:
    """Return a series for each suite, target and measure, and what is wrong with journals that cannot be read.

    Raises:
        CompareError: there is no such folder, or a measure is unknown or has no level.

    """
    measures = _choose(metrics)
    found = list_stored_runs(parent, choice)
    return make_series(found.runs, measures), found.unreadable


def _choose(metrics: tuple[str, ...]) -> tuple[Measure, ...]:
    measures = choose_measures(metrics or DEFAULT_MEASURES)
    shares = [each.name for each in measures if each in {FAILURES, SLOW_REQUESTS}]
    if shares:
        raise CompareError(f"{' and '.join(shares)}: a share has no level to follow; `compare runs` lists failures")
    return measures

"""Series of runs of one suite and target in the order of time: usual range, last level and change points.

The unit is the run. A series has runs of the same questions at the same load. Runs that lack questions, were
replayed or have not ended are left out and counted.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from runner.analysis.change_points import ChangePoint, find_level_changes
from runner.analysis.diff_measures import OF_ALL_REQUESTS, PASSES, Measure, Unit
from runner.analysis.intervals import LEVEL, Interval
from runner.analysis.prediction_intervals import usual_range_of
from runner.analysis.student_t import quantile_of
from runner.storage.stored_summary import StoredFigure, StoredRun, StoredTarget

MIN_FOR_RANGE = 3
"""Minimum number of runs for a usual range; two do not show how much others vary."""

WORSE_CLOCK = 2.0
"""Ratio of clock errors from which the client is reported to have changed."""


@dataclass(frozen=True, slots=True)
class RunDifference:
    """A fact in which the first run after a change differs from the last one before it."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RunPoint:
    """A run in a series, with the target in it and the level."""

    run: StoredRun
    target: StoredTarget
    level: float


@dataclass(frozen=True)
class RunSeries:
    """Levels of one measure of one target in the runs of one suite, oldest first."""

    target: str
    suite: str
    digest: str
    measure: Measure
    points: tuple[RunPoint, ...]
    left_out: int
    """Number of runs of this suite and target that are not in the series: unfinished, replayed, with an unusual number
    of questions, without a level, or with costs in another currency than the newest."""

    @property
    def conditions(self) -> Mapping[str, object]:
        """The settings that its runs share besides the suite file: the cases selected by -k, the order, the load."""
        return _conditions(self.last.run)

    @cached_property
    def changes(self) -> tuple[ChangePoint, ...]:
        """The change points; `at` is a position in `points`."""
        return find_level_changes([point.level for point in self.points], is_share=self.is_share)

    @property
    def is_share(self) -> bool:
        """Whether the levels are shares, which are compared by differences."""
        return self.measure.unit is Unit.SHARE

    @property
    def last(self) -> RunPoint:
        """The newest run."""
        return self.points[-1]

    @property
    def steady_points(self) -> tuple[RunPoint, ...]:
        """The runs since the last change, except the newest."""
        start = self.changes[-1].at if self.changes else 0
        return self.points[start:-1]

    @property
    def usual_range(self) -> Interval | None:
        """The range of 95 % of further runs if nothing changes; None with fewer than three steady runs.

        It is a prediction interval, see `usual_range_of`.
        """
        levels = [point.level for point in self.steady_points]
        if len(levels) < MIN_FOR_RANGE:
            return None
        figure = figure_of(self.last.target, self.measure)
        return usual_range_of(levels, figure.n if self.is_share and figure else None)

    def differences(self, change: ChangePoint) -> tuple[RunDifference, ...]:
        """Return the stored facts that differ between the runs directly before and after a change."""
        return tuple(_differences(self.points[change.at - 1], self.points[change.at]))


def make_series(runs: Sequence[StoredRun], measures: Sequence[Measure]) -> tuple[RunSeries, ...]:
    """Return a series for each suite, target, load and measure with at least one point, that of the newest run first.

    Args:
        runs: in any order.
        measures: the measures to follow. Failures and requests that met the SLO are counts and have no series; a pass
            rate has one.

    """
    by_subject: dict[tuple[str, ...], list[tuple[StoredRun, StoredTarget]]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.started_at, reverse=True):
        for target in run.summary.targets:
            by_subject[_subject(run, target)].append((run, target))
    return tuple(
        series
        for members in by_subject.values()
        for measure in measures
        if measure not in OF_ALL_REQUESTS
        for series in _series(members[::-1], measure)
    )


def _subject(run: StoredRun, target: StoredTarget) -> tuple[str, ...]:
    """Return the key that comparable runs share: the questions, the target with its settings, and the load."""
    settings = json.dumps(target.settings, sort_keys=True)
    return run.summary.digest, run.summary.suite, target.target, settings, load_of(run)


def load_of(run: StoredRun) -> str:
    """Return a text that is equal for runs of the same cases in the same order at the same load."""
    return json.dumps(_conditions(run), sort_keys=True)


def _conditions(run: StoredRun) -> dict[str, object]:
    found = run.summary
    cases = {"cases": ", ".join(found.case_patterns)} if found.case_patterns else {}
    concurrency = {} if found.concurrency is None else {"concurrency": found.concurrency}
    return {**cases, "order": found.order, **concurrency, **found.load}


def _series(members: Sequence[tuple[StoredRun, StoredTarget]], measure: Measure) -> Iterator[RunSeries]:
    asked = Counter(count_asked(target, measure) for run, target in members if belongs_in_history(run))
    usual = max(asked.items(), key=lambda found: (found[1], found[0]), default=(0, 0))[0]
    points = [
        RunPoint(run, target, level)
        for run, target in members
        if belongs_in_history(run) and count_asked(target, measure) == usual
        if (level := stored_level(target, measure)) is not None
    ]
    if measure.unit is Unit.MONEY:
        points = _in_one_currency(points)
    if points:
        run, target = members[-1]
        found = run.summary
        yield RunSeries(target.target, found.suite, found.digest, measure, tuple(points), len(members) - len(points))


def stored_level(target: StoredTarget, measure: Measure) -> float | None:
    """Return the level of a measure: its geometric mean over the questions, or the pass rate; None if absent."""
    if measure is PASSES:
        return None if target.pass_rate is None else target.pass_rate.value
    return target.levels.get(measure.name)


def figure_of(target: StoredTarget, measure: Measure) -> StoredFigure | None:
    """Return the stored median of a measure, or the pass rate, with its interval; None if absent."""
    return target.pass_rate if measure is PASSES else target.medians.get(measure.name)


def count_asked(target: StoredTarget, measure: Measure) -> int:
    """Return the number of questions behind a level, or of cases behind a pass rate."""
    return target.checked_cases if measure is PASSES else target.questions


def _in_one_currency(points: Sequence[RunPoint]) -> list[RunPoint]:
    """Return the points whose costs are in the currency of the newest, since currencies have no meaningful ratio."""
    known = [point for point in points if len(point.target.costs) == 1]
    return [point for point in known if point.target.costs.keys() == known[-1].target.costs.keys()]


def belongs_in_history(run: StoredRun) -> bool:
    """Return whether a run may be in a series: it has ended and is not a replay."""
    return run.summary.ended and run.summary.replay_of is None


def mean_interval(values: Sequence[float]) -> tuple[float, Interval]:
    """Return the mean of at least two values, and its 95 % interval by Student's t."""
    mean = float(np.mean(values))
    half = quantile_of((1 + LEVEL) / 2, len(values) - 1.0) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, Interval(mean - half, mean + half)


# Facts that changed with a level


def _differences(before: RunPoint, after: RunPoint) -> Iterator[RunDifference]:
    one, two = before.target.answered_by, after.target.answered_by
    for column in sorted(one.keys() & two.keys()):
        if one[column].keys() != two[column].keys():
            yield RunDifference(column, _names(one[column]), _names(two[column]))
    old, new = before.run.summary, after.run.summary
    if old.platform != new.platform:
        yield RunDifference("client machine", str(old.platform), str(new.platform))
    for library in sorted(old.client_versions.keys() | new.client_versions.keys()):
        pair = old.client_versions.get(library), new.client_versions.get(library)
        if pair[0] != pair[1]:
            yield RunDifference(f"version of {library}", pair[0] or "none", pair[1] or "none")
    yield from _clock_difference(old.clock_error_s, new.clock_error_s)


def _clock_difference(old: float | None, new: float | None) -> Iterator[RunDifference]:
    if (old is None) != (new is None):
        yield RunDifference("calibration", *("none" if error is None else "known" for error in (old, new)))
    elif old and new and max(old / new, new / old) >= WORSE_CLOCK:
        yield RunDifference("clock error", *(f"{error * 1000:.2f} ms" for error in (old, new)))


def _names(counts: Mapping[str, int]) -> str:
    return ", ".join(sorted(counts)) or "none"

"""The runs of one suite and one target in the order of time: usual range, last level, change points and their company.

The unit is the run. Only runs of the same questions at the same load make a series; a run that lacks questions, was
replayed or has not ended is left out, and counted.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runner.analysis.change_points import ChangePoint, find_level_changes
from runner.analysis.diff_measures import OF_ALL_REQUESTS, PASSES, Measure, Unit
from runner.analysis.intervals import Interval
from runner.analysis.prediction_interval import errors_of_interval, usual_range_of
from runner.storage.stored_summary import StoredFigure, StoredRun, StoredTarget

FEWEST_FOR_RANGE = 3
"""Of two runs the range that others vary in is not known at all."""

WORSE_CLOCK = 2.0
"""From this ratio of clock errors on, the client itself is said to have changed."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RunDifference:
    """A fact that the first run after a change and the last one before it do not share."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RunPoint:
    """One run of a series: the run, the target in it, and its level."""

    run: StoredRun
    target: StoredTarget
    level: float


@dataclass(frozen=True)
class RunSeries:
    """The levels of one measure of one target in the runs of one suite, the oldest first."""

    target: str
    suite: str
    digest: str
    measure: Measure
    points: tuple[RunPoint, ...]
    left_out: int
    """Runs of this suite and target that are no points: unfinished, replayed, with fewer questions, or with costs in
    another currency than the newest."""

    @property
    def conditions(self) -> Mapping[str, object]:
        """Return what its runs have in common beside the suite's file: the cases that -k chose, the order, the load."""
        return _conditions(self.last.run)

    @cached_property
    def changes(self) -> tuple[ChangePoint, ...]:
        """The change points, `at` counting points."""
        return find_level_changes([point.level for point in self.points], is_share=self.is_share)

    @property
    def is_share(self) -> bool:
        """Whether the levels are shares, which differ by points."""
        return self.measure.unit is Unit.SHARE

    @property
    def last(self) -> RunPoint:
        """The newest run."""
        return self.points[-1]

    @property
    def steady_points(self) -> tuple[RunPoint, ...]:
        """The runs since the last change, without the newest."""
        start = self.changes[-1].at if self.changes else 0
        return self.points[start:-1]

    @property
    def usual_range(self) -> Interval | None:
        """The range in which 95 % of further runs fall if nothing changes; None of fewer than three runs before.

        A prediction interval, see `usual_range_of`.
        """
        levels = [point.level for point in self.steady_points]
        if len(levels) < FEWEST_FOR_RANGE:
            return None
        figure = figure_of(self.last.target, self.measure)
        return usual_range_of(levels, figure.n if self.is_share and figure else None)

    def differences(self, change: ChangePoint) -> tuple[RunDifference, ...]:
        """Return what else was another one from a change on, as far as the runs tell."""
        return tuple(_differences(self.points[change.at - 1], self.points[change.at]))


def make_series(runs: Sequence[StoredRun], measures: Sequence[Measure]) -> tuple[RunSeries, ...]:
    """Return a series for each suite, target, load and measure that has at least one point, the newest run's first.

    Args:
        runs: in any order.
        measures: what to follow; failures, and requests that met the SLO, are told by counts, and have no series.
            A pass rate has one.

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
    """Return what runs have in common that are compared: the questions, who was asked, and how."""
    settings = json.dumps(target.settings, sort_keys=True)
    return run.summary.digest, run.summary.suite, target.target, settings, load_of(run)


def load_of(run: StoredRun) -> str:
    """Return a text that runs of the same cases at the same load, in the same order, have in common."""
    return json.dumps(_conditions(run), sort_keys=True)


def _conditions(run: StoredRun) -> dict[str, object]:
    found = run.summary
    cases = {"cases": ", ".join(found.case_patterns)} if found.case_patterns else {}
    concurrency = {} if found.concurrency is None else {"concurrency": found.concurrency}
    return {**cases, "order": found.order, **concurrency, **found.load}


def _series(members: Sequence[tuple[StoredRun, StoredTarget]], measure: Measure) -> Iterator[RunSeries]:
    questions = Counter(count_asked(target, measure) for run, target in members if counts_in_history(run)).most_common()
    usual = max(questions, key=lambda found: (found[1], found[0]), default=(0, 0))[0]
    points = [
        RunPoint(run, target, level)
        for run, target in members
        if counts_in_history(run) and count_asked(target, measure) == usual
        if (level := level_of(target, measure)) is not None
    ]
    if measure.unit is Unit.MONEY:
        points = _in_one_currency(points)
    if points:
        run, target = members[-1]
        found = run.summary
        yield RunSeries(target.target, found.suite, found.digest, measure, tuple(points), len(members) - len(points))


def level_of(target: StoredTarget, measure: Measure) -> float | None:
    """Return the level of a measure: its geometric mean over the questions, or the pass rate; None without one."""
    if measure is PASSES:
        return None if target.pass_rate is None else target.pass_rate.value
    return target.levels.get(measure.name)


def figure_of(target: StoredTarget, measure: Measure) -> StoredFigure | None:
    """Return the figure of a measure that has an interval: a median, or the pass rate; None without one."""
    return target.pass_rate if measure is PASSES else target.medians.get(measure.name)


def count_asked(target: StoredTarget, measure: Measure) -> int:
    """Return over how many questions a level is, of a pass rate over how many cases."""
    return target.checked_cases if measure is PASSES else target.questions


def _in_one_currency(points: Sequence[RunPoint]) -> list[RunPoint]:
    """Return the points whose costs are all in the currency of the newest: a ratio of two currencies has no meaning."""
    known = [point for point in points if len(point.target.costs) == 1]
    return [point for point in known if point.target.costs.keys() == known[-1].target.costs.keys()]


def counts_in_history(run: StoredRun) -> bool:
    """Return whether a run is one of a series: it has ended, and asked somebody."""
    return run.summary.ended and run.summary.replay_of is None


def mean_interval(values: Sequence[float]) -> tuple[float, Interval]:
    """Return the mean of two values or more, and its 95 % interval by Student's t."""
    mean = float(np.mean(values))
    half = errors_of_interval(len(values)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, Interval(mean - half, mean + half)


# What changed with a level


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

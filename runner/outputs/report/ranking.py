"""Rankings of targets by duration: who was fastest, by how much, and whether it is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from runner.analysis.diff import Difference, diff_within
from runner.analysis.summary import Statistic, TargetSummary
from runner.analysis.verdict import Rule, Verdict
from runner.errors import CompareError
from runner.outputs.diff.phrases import describe_doubt, describe_this_run, write_change, write_p
from runner.outputs.report.comparison_grid import TargetColumn
from runner.outputs.text.figures import MISSING, seconds


@dataclass(frozen=True, slots=True)
class RankedDuration:
    """A column of seconds, the moment at which it ends, and how to read its median."""

    column: str
    end: str
    median: Callable[[TargetSummary], Statistic | None]


DURATIONS = (
    RankedDuration("ttft_s", "First text", lambda summary: summary.ttft_p50),
    RankedDuration("total_s", "Whole reply", lambda summary: summary.total_p50),
)

PairTest = Callable[..., Difference]
"""`diff_within` of a run, two of its targets and a rule."""

_VERDICTS = {
    Verdict.REGRESSED: "slower",
    Verdict.IMPROVED: "faster where both answered",
    Verdict.UNCHANGED: "equal within {least}",
    Verdict.CHANGED: "different",
    Verdict.UNDECIDED: "not decided",
}


@dataclass(frozen=True, slots=True)
class LeaderComparison:
    """The test of a column against the fastest one: ratio, p and verdict, or the reason why there is no verdict."""

    verdict: str
    ratio: str = MISSING
    p: str = MISSING
    rounds: str = MISSING
    why: str | None = None
    is_slower: bool = False
    """Whether it was slower by more than chance."""
    warnings: tuple[str, ...] = ()
    """What weakens the comparison."""
    this_run: str | None = None
    """What this run shows by itself, where its rounds are too few for a verdict."""


@dataclass(frozen=True, slots=True)
class RankedTarget:
    """One column in the order of medians; the fastest has no comparison."""

    label: str
    median: str
    interval: str
    n: int
    comparison: LeaderComparison | None


@dataclass(frozen=True, slots=True)
class DurationRanking:
    """The ranking by one duration: a headline, all places, and why some verdicts are open."""

    headline: str
    places: tuple[RankedTarget, ...]
    doubts: tuple[str, ...]
    this_run: tuple[str, ...] = ()
    """What this run shows by itself, where its rounds are too few for a verdict."""


@dataclass(frozen=True, slots=True)
class _RankedColumn:
    """A column and its median of one duration."""

    column: TargetColumn
    median: Statistic

    def place(self, comparison: LeaderComparison | None) -> RankedTarget:
        """Return the column's place with its figures formatted."""
        interval = self.median.interval
        ends = f"{seconds(interval.low)} to {seconds(interval.high)}" if interval else MISSING
        return RankedTarget(self.column.label, seconds(self.median.value), ends, self.median.n, comparison)


def rank_targets(columns: Sequence[TargetColumn]) -> tuple[DurationRanking, ...]:
    """Return a ranking for each duration that was measured."""
    test = cache(partial(diff_within, with_replies=False))  # both rankings mostly test the same pairs
    return tuple(
        _ranking(duration, ranked, test) for duration in DURATIONS if (ranked := _by_median(columns, duration))
    )


def _by_median(columns: Sequence[TargetColumn], duration: RankedDuration) -> list[_RankedColumn]:
    medians = ((column, duration.median(column.summary)) for column in columns)
    ranked = (_RankedColumn(column, median) for column, median in medians if median)
    return sorted(ranked, key=lambda each: each.median.value)


def _ranking(duration: RankedDuration, ranked: Sequence[_RankedColumn], test: PairTest) -> DurationRanking:
    first, *others = ranked
    # The fastest column was chosen by looking at the data, so the level is shared by all pairs.
    pairs = len(ranked) * (len(ranked) - 1) // 2
    rule = Rule(alpha=Rule().alpha / max(pairs, 1), measures=tuple(each.column for each in DURATIONS))
    comparisons = [_compare(first.column, other.column, duration, partial(test, rule=rule)) for other in others]
    behind = (other.place(comparison) for other, comparison in zip(others, comparisons, strict=True))
    lead = f"{duration.end}: {first.column.label} after {seconds(first.median.value)}"
    return DurationRanking(
        headline=lead + _describe_certainty([each.is_slower for each in comparisons]),
        places=(first.place(None), *behind),
        doubts=(
            *_describe_doubts([other.column.label for other in others], comparisons),
            *dict.fromkeys(warning for comparison in comparisons for warning in comparison.warnings),
        ),
        this_run=tuple(each.this_run for each in comparisons if each.this_run),
    )


def _describe_doubts(labels: Sequence[str], comparisons: Sequence[LeaderComparison]) -> tuple[str, ...]:
    """Return each reason for an open verdict once; where there are several, with the columns it applies to."""
    columns: dict[str, list[str]] = {}
    for label, comparison in zip(labels, comparisons, strict=True):
        if comparison.why:
            columns.setdefault(f"{comparison.verdict}: {comparison.why}", []).append(label)
    if len(columns) == 1:
        return tuple(columns)
    return tuple(f"{', '.join(of_reason)}: {reason}" for reason, of_reason in columns.items())


def _describe_certainty(slower: Sequence[bool]) -> str:
    """Return how many of the others were slower by more than chance, to end the headline."""
    if not slower:
        return ", and nobody else was timed"
    if all(slower):
        return ", ahead of everyone else by more than chance"
    if any(slower):
        return f", ahead of {sum(slower)} of {len(slower)} others by more than chance"
    return ", but its lead is not decided"


def _compare(first: TargetColumn, other: TargetColumn, duration: RankedDuration, test: PairTest) -> LeaderComparison:
    """Test whether a column is slower than the first; columns of different runs have no common rounds to test."""
    if first.run is not other.run:
        return LeaderComparison("not tested", why="these are different runs; compare diff compares runs")
    try:
        difference = test(first.run, str(first.target), str(other.target))
    except CompareError as error:
        return LeaderComparison("not tested", why=str(error))
    tested = next((each for each in difference.findings if each.measure.name == duration.column), None)
    if tested is None:
        return LeaderComparison("not tested", why="no pair of requests has both figures")
    return LeaderComparison(
        verdict=_VERDICTS[tested.verdict].format(least=f"{difference.rule.min_effect:.0%}"),
        ratio=write_change(tested),
        p=write_p(tested.p),
        rounds=f"{tested.units:,}",
        why=describe_doubt(tested, difference),
        is_slower=tested.verdict is Verdict.REGRESSED,
        warnings=difference.warnings,
        this_run=describe_this_run(tested),
    )

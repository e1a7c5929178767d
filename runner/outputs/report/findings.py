"""Who was fastest, by how much and how sure that is: for each duration a headline, and everybody's place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from runner.analysis.diff import Difference, diff_within
from runner.analysis.summary import Statistic, TargetSummary
from runner.analysis.verdict import Rule, Verdict
from runner.errors import CompareError
from runner.outputs.diff.phrases import change, describe_doubt, probability
from runner.outputs.report.target_header import TargetColumn
from runner.outputs.text.figures import MISSING, seconds


@dataclass(frozen=True, slots=True)
class RankedDuration:
    """A column of seconds, the moment that it ends with, and where its median is."""

    column: str
    end: str
    read: Callable[[TargetSummary], Statistic | None]


DURATIONS = (
    RankedDuration("ttft_s", "First text", lambda summary: summary.ttft_p50),
    RankedDuration("total_s", "Whole reply", lambda summary: summary.total_p50),
)

Test = Callable[..., Difference]
"""`diff_within`: of a run, two of its targets and a rule."""

_VERDICTS = {
    Verdict.REGRESSED: "slower",
    Verdict.IMPROVED: "faster where both answered",
    Verdict.UNCHANGED: "equal within {least}",
    Verdict.CHANGED: "different",
    Verdict.UNDECIDED: "not decided",
}


@dataclass(frozen=True, slots=True)
class DurationRanking:
    """What a test makes of a column and the first: their ratio, and a verdict, with the reason where there is none."""

    verdict: str
    ratio: str = MISSING
    p: str = MISSING
    blocks: str = MISSING
    why: str | None = None
    surely_slower: bool = False


@dataclass(frozen=True, slots=True)
class RankedTarget:
    """One column in the order of medians; the first has nothing to be compared with."""

    label: str
    median: str
    interval: str
    n: int
    comparison: DurationRanking | None


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """Who led in one duration, and how surely; everybody's place; why some verdicts are open."""

    headline: str
    places: tuple[RankedTarget, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Standing:
    """A column and its median of one duration."""

    column: TargetColumn
    median: Statistic

    def place(self, comparison: DurationRanking | None) -> RankedTarget:
        """Write the figures."""
        interval = self.median.interval
        sure = f"{seconds(interval.low)} to {seconds(interval.high)}" if interval else MISSING
        return RankedTarget(self.column.label, seconds(self.median.value), sure, self.median.n, comparison)


def find(columns: Sequence[TargetColumn]) -> tuple[ReportFinding, ...]:
    """Tell who led in each duration; nothing of a duration that no request has."""
    test = cache(partial(diff_within, with_replies=False))  # who leads in one duration mostly leads in the other
    return tuple(_tell(duration, ranked, test) for duration in DURATIONS if (ranked := _rank(columns, duration)))


def _rank(columns: Sequence[TargetColumn], duration: RankedDuration) -> list[_Standing]:
    medians = ((column, duration.read(column.summary)) for column in columns)
    standings = (_Standing(column, median) for column, median in medians if median)
    return sorted(standings, key=lambda each: each.median.value)


def _tell(duration: RankedDuration, ranked: Sequence[_Standing], test: Test) -> ReportFinding:
    first, *others = ranked
    # The first was found by looking: every pair might have been the one that is tested.
    pairs = len(ranked) * (len(ranked) - 1) // 2
    rule = Rule(alpha=Rule().alpha / max(pairs, 1), measures=tuple(each.column for each in DURATIONS))
    comparisons = [_compare(first.column, other.column, duration, partial(test, rule=rule)) for other in others]
    behind = (other.place(comparison) for other, comparison in zip(others, comparisons, strict=True))
    lead = f"{duration.end}: {first.column.label} after {seconds(first.median.value)}"
    return ReportFinding(
        headline=lead + _how_sure([each.surely_slower for each in comparisons]),
        places=(first.place(None), *behind),
        doubts=_doubts([other.column.label for other in others], comparisons),
    )


def _doubts(labels: Sequence[str], comparisons: Sequence[DurationRanking]) -> tuple[str, ...]:
    """Say why verdicts are open: each reason once, with whom it concerns where there are several."""
    concerned: dict[str, list[str]] = {}
    for label, comparison in zip(labels, comparisons, strict=True):
        if comparison.why:
            concerned.setdefault(f"{comparison.verdict}: {comparison.why}", []).append(label)
    if len(concerned) == 1:
        return tuple(concerned)
    return tuple(f"{', '.join(who)}: {reason}" for reason, who in concerned.items())


def _how_sure(slower: Sequence[bool]) -> str:
    """Say of how many of the others it is more than chance that they were slower."""
    if not slower:
        return ", and nobody else was timed"
    if all(slower):
        return ", ahead of everyone else by more than chance"
    if any(slower):
        return f", ahead of {sum(slower)} of {len(slower)} others by more than chance"
    return ", but its lead is not decided"


def _compare(first: TargetColumn, other: TargetColumn, duration: RankedDuration, test: Test) -> DurationRanking:
    """Test whether the other is slower; requests of different runs lay in no common block."""
    if first.run is not other.run:
        return DurationRanking("not tested", why="these are different runs; compare diff compares runs")
    try:
        difference = test(first.run, str(first.target), str(other.target))
    except CompareError as error:
        return DurationRanking("not tested", why=str(error))
    tested = next((each for each in difference.findings if each.measure.name == duration.column), None)
    if tested is None:
        return DurationRanking("not tested", why="no pair of requests has both figures")
    doubt = describe_doubt(tested, difference)
    return DurationRanking(
        verdict=_VERDICTS[tested.verdict].format(least=f"{difference.rule.min_effect:.0%}"),
        ratio=change(tested),
        p=probability(tested.p),
        blocks=f"{tested.units:,}",
        why=doubt.partition(": ")[2] if doubt else None,
        surely_slower=tested.verdict is Verdict.REGRESSED,
    )

"""Rankings of targets by duration: who was fastest, by how much, and whether it is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from runner.analysis.diff import Difference
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.intervals import Statistic
from runner.analysis.paired_lead import PairedLead, diff_to_fastest, paired_lead
from runner.analysis.target_figures import TargetFigures
from runner.analysis.time_to_tokens import COLUMN, TOKENS
from runner.errors import CompareError
from runner.outputs.report.reply_grid import TargetColumn
from runner.outputs.text.diff_cells import format_p
from runner.outputs.text.labels import describe_outcome
from runner.outputs.text.number_format import MISSING, interval_ends, seconds, times
from runner.outputs.text.ranking import is_ahead, is_lead
from runner.outputs.text.translation import _, comma_list, join, labelled, translate
from runner.outputs.text.undecided_reasons import describe_doubt, describe_this_run


@dataclass(frozen=True, slots=True)
class RankedDuration:
    """A column of seconds, the moment at which it ends, and how to read its median.

    `is_tested` is false where only pairs are counted, because no measure of `compare diff` is of this duration.
    """

    column: str
    median: Callable[[TargetFigures], Statistic | None]
    is_tested: bool = True

    @property
    def title(self) -> str:
        """The moment at which the duration ends."""
        match self.column:
            case "ttft_s":
                return _("First text")
            case "total_s":
                return _("Whole reply")
        return _("First {n} tokens", n=TOKENS)


DURATIONS = (
    RankedDuration("ttft_s", lambda figures: figures.summary.ttft_p50),
    RankedDuration(COLUMN, lambda figures: figures.equal_length_p50, is_tested=False),
    RankedDuration("total_s", lambda figures: figures.summary.total_p50),
)


@dataclass(frozen=True, slots=True)
class LeaderComparison:
    """The comparison of a column with the fastest one: by how much, and the verdict or why there is none."""

    verdict: str
    factor: float | None = None
    """How many times as long it took as the first."""
    interval: str | None = None
    lead: PairedLead | None = None
    p: str = MISSING
    rounds: str = MISSING
    why: str | None = None
    is_lead: bool = False
    """Whether the run shows the lead of the first."""
    is_slower: bool = False
    """Whether it was slower by more than chance between rounds."""
    is_equal: bool = False
    """Whether it took as long, within the minimum effect."""
    warnings: tuple[str, ...] = ()
    """What weakens the comparison."""
    this_run: str | None = None
    """What this run shows by itself, where its rounds are too few for a verdict."""
    needed: int | None = None
    """The number of rounds that should decide."""

    @property
    def is_behind(self) -> bool:
        """Whether it was slower by the verdict, or else by the pairs of this run alone."""
        return self.is_slower or self.this_run is not None

    @property
    def ratio(self) -> str:
        """Its time divided by the fastest one's, formatted: `1.24x`."""
        return times(self.factor)

    @property
    def note(self) -> str:
        """Its ratio, and in how many pairs it was behind; empty if no pairs were compared."""
        if not self.factor:
            return ""
        behind = [] if self.ahead is None else [_("behind in {pairs}", pairs=self.ahead)]
        return join(" · ", [self.ratio, *behind])

    @property
    def ahead(self) -> str | None:
        """In how many pairs of requests the first was faster."""
        return None if self.lead is None else _("{k} of {n}", k=f"{self.lead.ahead:,}", n=f"{self.lead.pairs:,}")


@dataclass(frozen=True, slots=True)
class RankedTarget:
    """One column in the order of medians; the fastest has no comparison. `place` sets its colour."""

    label: str
    place: int
    median: str
    interval: str | None
    share: float
    """The median as a share of the slowest one."""
    n: int
    comparison: LeaderComparison | None

    @property
    def sample(self) -> str:
        """The interval, if there is one, and n."""
        return join(" · ", [*([self.interval] if self.interval else []), f"n {self.n:,}"])


@dataclass(frozen=True, slots=True)
class UnrankedTarget:
    """A column without any figure, and why."""

    label: str
    why: str


@dataclass(frozen=True, slots=True)
class DurationRanking:
    """The ranking by one duration: all places, those without a figure last, and why some verdicts are open."""

    duration: RankedDuration
    places: tuple[RankedTarget, ...]
    unranked: tuple[UnrankedTarget, ...]
    doubts: tuple[str, ...]

    @property
    def title(self) -> str:
        """The moment at which the duration ends."""
        return self.duration.title

    @property
    def this_run(self) -> tuple[str, ...]:
        """The claims on this run alone, where its rounds are too few for a verdict."""
        return tuple(each.this_run for each in self.comparisons if each.this_run)

    @property
    def comparisons(self) -> tuple[LeaderComparison, ...]:
        """The comparisons of all but the first."""
        return tuple(each.comparison for each in self.places if each.comparison)


@dataclass(frozen=True, slots=True)
class _RankedColumn:
    column: TargetColumn
    median: Statistic
    place: int

    def rank(self, slowest: float, comparison: LeaderComparison | None) -> RankedTarget:
        """Return the column's place in the ranking."""
        return RankedTarget(
            label=self.column.name,
            place=self.place,
            median=seconds(self.median.value),
            interval=interval_ends(self.median.interval, seconds),
            share=self.median.value / slowest if slowest else 1.0,
            n=self.median.n,
            comparison=comparison,
        )


def rank_targets(columns: Sequence[TargetColumn]) -> tuple[DurationRanking, ...]:
    """Return a ranking of each duration that any request has."""
    rankings = []
    for duration in DURATIONS:
        found = [
            _RankedColumn(column, median, at)
            for at, column in enumerate(columns)
            if (median := duration.median(column.figures))
        ]
        if found:
            ranked = sorted(found, key=lambda each: each.median.value)
            missing = [column for column in columns if not duration.median(column.figures)]
            rankings.append(_rank(ranked, missing, duration))
    return tuple(rankings)


def _rank(
    ranked: Sequence[_RankedColumn],
    missing: Sequence[TargetColumn],
    duration: RankedDuration,
) -> DurationRanking:
    first, *others = ranked
    comparisons = [_compare(first.column, other.column, duration, len(ranked)) for other in others]
    slowest = ranked[-1].median.value
    behind = (other.rank(slowest, comparison) for other, comparison in zip(others, comparisons, strict=True))
    return DurationRanking(
        duration=duration,
        places=(first.rank(slowest, None), *behind),
        unranked=tuple(UnrankedTarget(column.name, _describe_absence(column, duration)) for column in missing),
        doubts=(
            *_describe_doubts([other.column.name for other in others], comparisons),
            *dict.fromkeys(translate(warning) for comparison in comparisons for warning in comparison.warnings),
        ),
    )


def _describe_absence(column: TargetColumn, duration: RankedDuration) -> str:
    summary = column.summary
    if not summary.n:
        return _("no request was sent")
    if summary.timed:
        return _("no reply has as many") if duration.column == COLUMN else _("no reply was streamed")
    kinds = comma_list(map(describe_outcome, summary.failures or summary.other_outcomes))
    if not summary.failed:
        return _("no request was finished: {kinds}", kinds=kinds)
    if summary.failed < summary.n:
        return _("{k} of {n} requests failed: {kinds}", k=summary.failed, n=summary.n, kinds=kinds)
    return _("all {n} requests failed: {kinds}", n=summary.n, kinds=kinds)


def _describe_doubts(labels: Sequence[str], comparisons: Sequence[LeaderComparison]) -> tuple[str, ...]:
    """Return each reason for an open verdict once; where there are several, with the columns it applies to."""
    columns: dict[str, list[str]] = {}
    for label, comparison in zip(labels, comparisons, strict=True):
        if comparison.why:
            columns.setdefault(labelled(comparison.verdict, comparison.why), []).append(label)
    if len(columns) == 1:
        return tuple(columns)
    return tuple(labelled(comma_list(of_reason), reason) for reason, of_reason in columns.items())


def _compare(
    first: TargetColumn,
    other: TargetColumn,
    duration: RankedDuration,
    ranked: int,
) -> LeaderComparison:
    """Compare a column with the first; columns of different runs have no common rounds to test."""
    if first.run is not other.run:
        return LeaderComparison(_("not tested"), why=_("these are different runs; compare diff compares runs"))
    lead = paired_lead(first.run.table_with_tokens, first.target, other.target, duration.column)
    comparison = LeaderComparison(
        _("pairs counted"), factor=lead.ratio if lead else None, lead=lead, is_lead=is_lead(None, lead)
    )
    if not duration.is_tested:
        return comparison
    try:
        difference = diff_to_fastest(first.run, str(first.target), str(other.target), ranked)
    except CompareError as error:
        return replace(comparison, verdict=_("not tested"), why=translate(str(error)))
    return _describe(comparison, difference, duration)


def _describe(comparison: LeaderComparison, difference: Difference, duration: RankedDuration) -> LeaderComparison:
    tested = next((each for each in difference.findings if each.measure.name == duration.column), None)
    if tested is None:
        return replace(comparison, verdict=_("not tested"), why=_("no pair of requests has both figures"))
    claim = tested.this_run
    return replace(
        comparison,
        verdict=_name_verdict(tested.verdict, difference.rule),
        factor=claim.change if claim else tested.change,
        interval=interval_ends(claim.interval if claim else tested.interval, times),
        p=format_p(tested.p),
        rounds=f"{tested.units:,}",
        why=describe_doubt(tested, difference),
        is_lead=is_lead(tested, comparison.lead),
        is_slower=tested.verdict is Verdict.REGRESSED,
        is_equal=tested.verdict is Verdict.UNCHANGED,
        warnings=difference.warnings,
        this_run=describe_this_run(tested) if claim and is_ahead(tested) else None,
        needed=tested.decision.needed,
    )


def _name_verdict(verdict: Verdict, rule: Rule) -> str:
    match verdict:
        case Verdict.REGRESSED:
            return _("slower")
        case Verdict.IMPROVED:
            return _("faster where both answered")
        case Verdict.UNCHANGED:
            return _("equal within {least}", least=f"{rule.min_effect:.0%}")
        case Verdict.CHANGED:
            return _("different")
    return _("not decided")

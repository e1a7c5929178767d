"""The ranking of targets by pass rate: who passed most, by how many points, and whether it is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.analysis.diff import Difference, diff_within
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_measures import PASSES
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.pass_rate import PassRate
from runner.errors import CompareError
from runner.outputs.report.reply_grid import TargetColumn
from runner.outputs.text.diff_cells import format_p, format_points
from runner.outputs.text.number_format import MISSING, interval_ends, percent
from runner.outputs.text.translation import _, join, labelled, plural, translate
from runner.outputs.text.undecided_reasons import describe_doubt


@dataclass(frozen=True, slots=True)
class PassComparison:
    """The comparison of a target with the one that passed most: points, and the verdict or why there is none."""

    verdict: str
    points: str = MISSING
    interval: str | None = None
    p: str = MISSING
    cases: int = 0
    """The cases of both that were compared; 0 if none were."""
    why: str | None = None
    is_worse: bool = False
    is_equal: bool = False


@dataclass(frozen=True, slots=True)
class RankedPassRate:
    """One column in the order of pass rates; the first has no comparison. `place` sets its colour."""

    label: str
    place: int
    rate: PassRate
    comparison: PassComparison | None = None

    @property
    def share(self) -> str:
        """The pass rate."""
        return percent(self.rate.share)

    @property
    def sample(self) -> str:
        """The ends of its interval, and how many repeats of how many cases it rests on."""
        repeats = f"{self.rate.n:,}"
        n = plural(self.rate.cases, "n {repeats} in {n} case", "n {repeats} in {n} cases", repeats=repeats)
        return join(" · ", [interval_ends(self.rate.interval, percent) or MISSING, n])


@dataclass(frozen=True, slots=True)
class PassRanking:
    """The ranking, and the reasons for open verdicts."""

    places: tuple[RankedPassRate, ...]
    doubts: tuple[str, ...]

    @property
    def highest(self) -> str | None:
        """The note on the first place, which says whether others share its rate; None of a single target."""
        if len(self.places) == 1:
            return None
        tied = sum(each.rate.share == self.places[0].rate.share for each in self.places)
        return _("highest pass rate") if tied == 1 else _("highest pass rate, shared by {n}", n=tied)

    @property
    def claim(self) -> str | None:
        """The headline on it; None of a single target, or of several runs."""
        first, *others = self.places
        compared = [each for each in others if each.comparison and each.comparison.p != MISSING]
        if not compared:
            return None
        worse = [each for each in compared if each.comparison and each.comparison.is_worse]
        other = (worse or compared)[0]
        assert other.comparison is not None
        values = {
            "target": first.label,
            "share": first.share,
            "other": other.label,
            "its_share": other.share,
            "change": " ".join(filter(None, (other.comparison.points, other.comparison.interval))),
            "cases": plural(other.comparison.cases, "{n} case", "{n} cases"),
        }
        if worse and len(worse) == len(others):
            return _("{target} passes most: {share}; {other} {its_share}, {change} points in {cases}", **values)
        if worse:
            return _("{target} passes more than {other}: {share} and {its_share}, {change} points in {cases}", **values)
        if other.comparison.is_equal:
            return _("{target} and {other} pass equally: {share} and {its_share}, {change} points in {cases}", **values)
        return _(
            "Too close to call who passes more: {target} {share}, {other} {its_share}, {change} points in {cases}",
            **values,
        )


def rank_by_passes(columns: Sequence[TargetColumn]) -> PassRanking | None:
    """Return the ranking of the columns that have a pass rate; None where none has."""
    found = [
        RankedPassRate(column.name, at, rate)
        for at, column in enumerate(columns)
        if (rate := column.figures.passed) is not None
    ]
    if not found:
        return None
    first, *others = sorted(found, key=lambda each: -each.rate.share)
    # The best was found by looking at the data, so the level is shared by all pairs.
    pairs = len(found) * (len(found) - 1) // 2
    rule = Rule(alpha=Rule().alpha / max(pairs, 1), measures=(PASSES.name,))
    compared = [replace(each, comparison=_compare(columns[first.place], columns[each.place], rule)) for each in others]
    doubts = (
        labelled(each.label, labelled(each.comparison.verdict, each.comparison.why))
        for each in compared
        if each.comparison and each.comparison.why
    )
    return PassRanking((first, *compared), tuple(doubts))


def _compare(first: TargetColumn, other: TargetColumn, rule: Rule) -> PassComparison:
    if first.run is not other.run:
        return PassComparison(_("not tested"), why=_("these are different runs; compare diff compares runs"))
    try:
        difference = diff_within(
            first.run, str(first.target), str(other.target), rule, with_replies=False, with_warnings=False
        )
    except CompareError as error:
        return PassComparison(_("not tested"), why=translate(str(error)))
    return _describe(difference.findings[0], difference)


def _describe(found: DiffFinding, difference: Difference) -> PassComparison:
    return PassComparison(
        verdict=_name_verdict(found.verdict, difference.rule),
        points=format_points(found.change or 0.0),
        interval=interval_ends(found.interval, format_points),
        p=format_p(found.p),
        cases=found.units,
        why=describe_doubt(found, difference),
        is_worse=found.verdict is Verdict.REGRESSED,
        is_equal=found.verdict is Verdict.UNCHANGED,
    )


def _name_verdict(verdict: Verdict, rule: Rule) -> str:
    match verdict:
        case Verdict.REGRESSED:
            return _("passes less")
        case Verdict.IMPROVED:
            return _("passes more of the cases of both")
        case Verdict.UNCHANGED:
            return _("equal within {points} points", points=f"{100 * rule.min_pass_change:g}")
    return _("not decided")

"""Two runs, or two targets or places of one run, and what may be said of their difference."""

import math
from dataclasses import dataclass

from runner.analysis.comparability import (
    keep_common,
    refuse_mixture,
    warn_of_currencies,
    warn_of_models,
    warn_of_run,
    warn_of_runs,
)
from runner.analysis.evidence import Match, MeasureEvidence, clock_error_s, clock_floor, weigh
from runner.analysis.intervals import Interval
from runner.analysis.measures import FAILURES, Measure, choose_measures
from runner.analysis.pairing import Arm, arm_of
from runner.analysis.permutation import adjust
from runner.analysis.replies import ReplyChange, compare_replies
from runner.analysis.run import Run
from runner.analysis.vantages import describe_vantages, find_nodes, name_from, name_places
from runner.analysis.verdict import Demand, Rule, Ruling, Verdict, judge
from runner.errors import CompareError, did_you_mean
from runner.storage.journal import Header


@dataclass(frozen=True, slots=True)
class DiffFinding:
    """One measure of one target, and the verdict on it.

    `change` is a ratio, new to base, for all measures but failures, where it is a difference of two shares; so is its
    `interval`. The levels are typical values: geometric means of what was compared, or the shares. `p` has been
    adjusted for all rows tested together. `units` counts the blocks, of the smaller run where there are two, or the
    requests where failures are told. `floor` is how far the clock may have been off, in the measure's own unit.
    """

    target: str
    measure: Measure
    base_level: float
    new_level: float
    change: float
    interval: Interval | None
    p: float
    n: tuple[int, int]
    units: int
    floor: float | None
    ruling: Ruling
    tested: bool = True
    """Whether there was anything to test; not where all values were equal."""
    currency: str | None = None
    """What the levels of a cost are in; None of all else."""

    @property
    def verdict(self) -> Verdict:
        """What may be said."""
        return self.ruling.verdict


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: which run, and of a comparison within one run which target, or asked from where."""

    run_id: str
    suite: str
    started_at: str
    target: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """All that may be said of two runs, or of two targets or places of one; `paired` is the latter, stronger kind."""

    base: Side
    new: Side
    paired: bool
    simulated: bool
    rule: Rule
    findings: tuple[DiffFinding, ...]
    replies: tuple[ReplyChange, ...]
    warnings: tuple[str, ...]

    def having(self, verdict: Verdict) -> tuple[DiffFinding, ...]:
        """Return the findings with a verdict."""
        return tuple(finding for finding in self.findings if finding.verdict is verdict)

    @property
    def verdict(self) -> Verdict:
        """Return the verdict of the whole: the worst there is, undecided being worse than changed."""
        severity = (Verdict.REGRESSED, Verdict.UNDECIDED, Verdict.CHANGED, Verdict.IMPROVED, Verdict.UNCHANGED)
        found = {finding.verdict for finding in self.findings}
        return next(verdict for verdict in severity if verdict in found)


def diff_runs(base: Run, new: Run, rule: Rule | None = None) -> Difference:
    """Compare what two runs found of the targets that they share, case by case.

    Raises:
        CompareError: they share nothing, or a target is simulated in one and real in the other.

    """
    matches, said = [], list(warn_of_runs(base, new))
    before, after = _targets(base), _targets(new)
    places = [name_places(run.header.vantages) for run in (base, new)]
    if set(places[0].values()).isdisjoint(places[1].values()):
        places = [{}, {}]  # warned of: all that each run saw, from wherever, stands for its target
    for target in [name for name in before if name in after]:
        arms = [arm_of(run.told, target, target, called) for run, called in zip((base, new), places, strict=True)]
        refuse_mixture(*(Arm(f"{target} in {name}", arm.rows) for name, arm in zip(("base", "new"), arms, strict=True)))
        old, now, left_out = keep_common(*arms)
        said += [*left_out, *warn_of_models(old, now), *warn_of_currencies(old, now)]
        if not old.rows.empty:
            matches.append(Match(target, old, now, paired=False, clock_error_s=clock_error_s(base, old, new, now)))
    for name, only in (("base", [t for t in before if t not in after]), ("new", [t for t in after if t not in before])):
        said += [f"only in {name}, not compared: {', '.join(only)}"] if only else []
    if not matches:
        raise CompareError(
            f"{base.header.run_id} and {new.header.run_id} have no target and case in common: "
            f"{', '.join(before) or 'nobody'} in base, {', '.join(after) or 'nobody'} in new; compare runs of one suite"
        )
    sides = (_side(base.header), _side(new.header))
    return _conclude(sides, matches, rule or Rule(), said, _compare_replies(matches))


def diff_within(run: Run, a: str, b: str, rule: Rule | None = None, *, with_replies: bool = True) -> Difference:
    """Compare target b with target a of one run, in pairs of requests that lay in one block.

    What was replied is compared unless nobody wants to know: in a long run it takes time, and memory for every text.

    Raises:
        CompareError: the run has no such target, the two share no case, or one is simulated and the other is real.

    """
    targets = _targets(run)
    for name in (a, b):
        if name not in targets:
            near = did_you_mean(name, targets)
            hint = f"did you mean {near}?" if near else f"it has {', '.join(targets) or 'none'}"
            raise CompareError(f"{run.header.run_id} has no target {name}; {hint}")
    if a == b:
        raise CompareError(f"{a} was named twice; a comparison needs two targets")
    table = run.told if with_replies else run.table
    nodes = {node: node for node in run.header.vantages}
    arms = (arm_of(table, a, a, nodes), arm_of(table, b, b, nodes))
    refuse_mixture(*arms)
    old, now, left_out = keep_common(*arms)
    if old.rows.empty:
        raise CompareError(f"{a} and {b} were asked no case in common in {run.header.run_id}")
    match = Match(b, old, now, paired=True, clock_error_s=clock_error_s(run, old, run, now))
    sides = (_side(run.header, target=a), _side(run.header, target=b))
    said = [*warn_of_run(run), *left_out, *warn_of_currencies(old, now)]
    return _conclude(sides, [match], rule or Rule(), said, _compare_replies([match]) if with_replies else ())


def diff_places(run: Run, a: str, b: str, rule: Rule | None = None) -> Difference:
    """Compare how each target looked from place b with how it did from a, in pairs of requests that lay in one block.

    Raises:
        CompareError: the run was not asked from two such places, or from them no case in common.

    """
    base, new = _sort_out(run, a, b)
    matches, said = [], [*warn_of_run(run)]
    for target in _targets(run):
        arms = [
            arm_of(run.told[run.told["node"].isin(nodes)], target, name_from(target, place))
            for nodes, place in ((base, a), (new, b))
        ]
        old, now, left_out = keep_common(*arms)
        said += [*left_out, *warn_of_models(old, now)]
        if not old.rows.empty:
            matches.append(Match(target, old, now, paired=True, clock_error_s=clock_error_s(run, old, run, now)))
    if not matches:
        raise CompareError(f"{run.header.run_id} was asked no case in common from {a} and {b}")
    sides = (_side(run.header, place=a), _side(run.header, place=b))
    return _conclude(sides, matches, rule or Rule(), said, _compare_replies(matches))


def _sort_out(run: Run, a: str, b: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the nodes of two places that a run was asked from."""
    vantages, run_id = run.header.vantages, run.header.run_id
    if not vantages:
        raise CompareError(
            f"{run_id} was not asked in full from several places; compare run --engine ray --vantage does that"
        )
    found = (find_nodes(vantages, a), find_nodes(vantages, b))
    regions = [region for region in dict.fromkeys(vantages.values()) if region is not None]
    for name, nodes in zip((a, b), found, strict=True):
        if not nodes:
            near = did_you_mean(name, (*regions, *vantages))
            hint = f"did you mean {near}?" if near else f"it was asked from {describe_vantages(vantages)}"
            raise CompareError(f"{run_id} was not asked from {name}; {hint}")
    if found[0] & found[1]:
        raise CompareError(f"{a} and {b} are not two places: {', '.join(sorted(found[0] & found[1]))} is in both")
    return found


def _targets(run: Run) -> tuple[str, ...]:
    return tuple(each.target for each in run.summary if each.n)


def _side(header: Header, *, target: str | None = None, place: str | None = None) -> Side:
    return Side(header.run_id, header.suite, header.started_at, target, place)


def _compare_replies(matches: list[Match]) -> tuple[ReplyChange, ...]:
    return tuple(change for match in matches for change in compare_replies(match.target, match.base, match.new))


def _conclude(
    sides: tuple[Side, Side],
    matches: list[Match],
    rule: Rule,
    warnings: list[str],
    replies: tuple[ReplyChange, ...],
) -> Difference:
    chosen = choose_measures(rule.measures)
    rows = [row for match in matches for row in weigh(match, chosen)]
    findings = _judge_all(rows, rule)
    _refuse_silence(findings, matches, chosen)
    return Difference(
        base=sides[0],
        new=sides[1],
        paired=matches[0].paired,
        simulated=any(bool(match.new.rows["simulated"].any()) for match in matches),
        rule=rule,
        findings=findings,
        replies=replies,
        warnings=(*warnings, *_not_measured(rows, matches, chosen), *_persistent(rows, findings)),
    )


def _refuse_silence(findings: tuple[DiffFinding, ...], matches: list[Match], chosen: tuple[Measure, ...]) -> None:
    """Raise where nothing was measured: that must not look like a pass."""
    measured = [finding for finding in findings if finding.measure is not FAILURES or len(chosen) == 1]
    if not measured and not any(finding.verdict is Verdict.REGRESSED for finding in findings):
        asked = ", ".join(match.target for match in matches)
        names = ", ".join(measure.name for measure in chosen if measure is not FAILURES)
        raise CompareError(f"nothing to compare: of {asked} no request that ended well has {names} on both sides")


def _not_measured(rows: list[MeasureEvidence], matches: list[Match], chosen: tuple[Measure, ...]) -> list[str]:
    """Name the targets of which no figure could be compared; a single blank column needs no words."""
    heard = {row.match.target for row in rows if row.measure is not FAILURES}
    silent = [match.target for match in matches if match.target not in heard]
    only_failures = chosen == (FAILURES,)
    return [f"no figures to compare, not compared: {', '.join(silent)}"] if silent and not only_failures else []


def _persistent(rows: list[MeasureEvidence], findings: tuple[DiffFinding, ...]) -> list[str]:
    """Name the changes whose p may be too small, since one target had spells of its own."""
    claimed = {Verdict.REGRESSED, Verdict.IMPROVED, Verdict.CHANGED}
    return [
        f"{finding.target}: neighbouring blocks resemble each other in {finding.measure.label}, as if one side had "
        "spells of its own: p is too small; repeat the run before you believe it"
        for row, finding in zip(rows, findings, strict=True)
        if row.evidence.persistent and finding.verdict in claimed
    ]


def _judge_all(rows: list[MeasureEvidence], rule: Rule) -> tuple[DiffFinding, ...]:
    """Apply the rule; the level is shared by all rows in which there is anything to test."""
    tested = [row for row in rows if not row.evidence.constant]
    adjusted = dict(zip(map(id, tested), adjust([row.evidence.p for row in tested]), strict=True))
    return tuple(_judge(row, adjusted.get(id(row), 1.0), rule, max(1, len(tested))) for row in rows)


def _judge(row: MeasureEvidence, p: float, rule: Rule, tests: int) -> DiffFinding:
    failures = row.measure is FAILURES
    margin = rule.min_failure_rise if failures else math.log1p(rule.min_effect)
    base_level, estimate = row.levels[0], row.evidence.estimate
    floor = clock_floor(row)
    beyond_clock = floor is None or base_level * abs(math.expm1(estimate)) > floor
    demand = Demand(margin, rule.alpha, rule.alpha / tests, row.measure.better, beyond_clock, row.least, row.outlook)
    interval = row.evidence.interval
    return DiffFinding(
        target=row.match.target,
        measure=row.measure,
        base_level=base_level,
        new_level=row.levels[1],
        change=estimate if failures else math.exp(estimate),
        interval=interval if failures or interval is None else _exponential(interval),
        p=p,
        n=row.n,
        units=row.evidence.units,
        floor=floor,
        ruling=judge(row.evidence, p, demand),
        tested=not row.evidence.constant,
        currency=row.currency,
    )


def _exponential(interval: Interval) -> Interval:
    return Interval(math.exp(interval.low), math.exp(interval.high), interval.level)

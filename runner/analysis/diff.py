"""The difference between two runs, or between two targets or places of one run, with a verdict on each measure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import pandas as pd

from runner.analysis.check_results import check_cells
from runner.analysis.comparison_arms import Arm, arm_of, clock_error_s
from runner.analysis.comparison_warnings import (
    keep_common,
    keep_same_checks,
    refuse_simulated_against_real,
    warn_of_caches,
    warn_of_currencies,
    warn_of_mixes,
    warn_of_models,
    warn_of_pairs,
    warn_of_run,
    warn_of_runs,
    warn_of_undecided,
)
from runner.analysis.dataframe import positions_by_target, targets_of
from runner.analysis.diff_evidence import (
    ComparedArms,
    MeasureEvidence,
    gather_evidence,
    widen_for_autocorrelation,
)
from runner.analysis.diff_findings import DiffFinding, decide_all
from runner.analysis.diff_measures import PASSES, WITHOUT_FIGURES, Measure, choose_measures, refuse_without_data
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.measured_targets import MeasuredTarget, find_places, name_places
from runner.analysis.reply_diff import ReplyChange, ReplySimilarity, compare_replies
from runner.analysis.run_results import Run
from runner.analysis.significance_tests import draws_for
from runner.core.load_profile import LoadProfile
from runner.errors import CompareError, did_you_mean
from runner.storage.journal import Header


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a run, and the target or place if both sides are in one run."""

    run_id: str
    suite: str
    started_at: str
    target: str | None = None
    place: str | None = None
    spread_s: float | None = None
    """Time over which the run's rounds were spread; None if they were sent without pauses."""
    rounds: int | None = None
    """Number of rounds of a spread run; None for other runs."""


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The earlier runs that a run was compared with; `runs` is the largest number over all rows."""

    folder: str
    runs: int
    since: str | None
    """Start of the first comparable run, as `until` is that of the last; None if there is none."""
    until: str | None
    left_out: Mapping[str, int]
    """Number of runs of the suite that were left out, by reason."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two runs, or between two targets or places of one, which is `paired` and stronger."""

    base: Side
    new: Side
    paired: bool
    simulated: bool
    rule: Rule
    findings: tuple[DiffFinding, ...]
    replies: tuple[ReplyChange, ...]
    warnings: tuple[str, ...]
    history: RunHistory | None = None
    """The earlier runs, if they are the base; None if the base is one run."""

    def having(self, verdict: Verdict) -> tuple[DiffFinding, ...]:
        """Return the findings that have this verdict."""
        return tuple(finding for finding in self.findings if finding.verdict is verdict)

    @property
    def changed_replies(self) -> tuple[ReplyChange, ...]:
        """The questions whose replies are reworded or changed."""
        return tuple(
            each for each in self.replies if each.similarity in {ReplySimilarity.REWORDED, ReplySimilarity.CHANGED}
        )

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings; undecided counts as worse than changed."""
        severity = (Verdict.REGRESSED, Verdict.UNDECIDED, Verdict.CHANGED, Verdict.IMPROVED, Verdict.UNCHANGED)
        found = {finding.verdict for finding in self.findings}
        return next(verdict for verdict in severity if verdict in found)


def diff_runs(base: Run, new: Run, rule: Rule | None = None) -> Difference:
    """Return the difference between two runs, for the targets and cases that they share.

    Raises:
        CompareError: they share no target and case, a target is simulated in one and real in the other, a measure of
            the rule cannot be compared, or nothing was measured on both sides.

    """
    slo = new.slo or base.slo
    compared, warnings, unchecked = [], list(warn_of_runs(base, new)), list[str]()
    before, after = _targets(base), _targets(new)
    places = [name_places(run.header.vantages) for run in (base, new)]
    if set(places[0].values()).isdisjoint(places[1].values()):
        places = [{}, {}]  # all rows of a target are compared, whatever their place; a warning says so
    for target in [target for target in before if target in after]:
        arms = [
            arm_of(run.table_with_replies, target, str(target), names, run.checked)
            for run, names in zip((base, new), places, strict=True)
        ]
        refuse_simulated_against_real(
            *(Arm(f"{target} in {name}", arm.rows) for name, arm in zip(("base", "new"), arms, strict=True))
        )
        old, now, left_out = keep_common(arms[0], arms[1], (base.header, new.header))
        old, now, otherwise = keep_same_checks(base, new, (old, now))
        unchecked += otherwise
        warnings += [*left_out, *otherwise, *warn_of_models(old, now), *warn_of_mixes(old, now)]
        warnings += [*warn_of_currencies(old, now), *warn_of_caches(old, now)]
        if not old.rows.empty:
            error_s = clock_error_s(old, now, base.clock_errors, new.clock_errors)
            compared.append(ComparedArms(str(target), old, now, paired=False, clock_error_s=error_s, slo=slo))
    warnings += _warn_of_targets(before, after)
    if not compared:
        raise CompareError(
            f"{base.header.run_id} and {new.header.run_id} have no target and case in common: "
            f"{_join(before) or 'none'} in base, {_join(after) or 'none'} in new; compare runs of one suite"
        )
    sides = (_side(base), _side(new))
    return _build_difference(
        sides, compared, rule or Rule(), warnings, _compare_replies(compared, new.header), unchecked=unchecked
    )


def _warn_of_targets(before: tuple[MeasuredTarget, ...], after: tuple[MeasuredTarget, ...]) -> list[str]:
    only_before = _join(target for target in before if target not in after)
    only_after = _join(target for target in after if target not in before)
    only = {"base": only_before, "new": only_after}
    return [f"only in {name}, not compared: {targets}" for name, targets in only.items() if targets]


def diff_within(
    run: Run, a: str, b: str, rule: Rule | None = None, *, with_replies: bool = True, with_warnings: bool = True
) -> Difference:
    """Return the difference between two targets of one run, in pairs of requests of the same round.

    Args:
        run: a run with both targets. If it splits them by place, requests of different nodes are paired.
        a: name of the base target, as tables show it.
        b: name of the new target.
        rule: thresholds of the verdicts.
        with_replies: whether to compare the replies, which takes time, and memory for every text.
        with_warnings: whether to check for what weakens the comparison.

    Raises:
        CompareError: the run has no such target, the two share no case, one is simulated and the other is real, a
            measure of the rule cannot be compared, or nothing was measured on both sides.

    """
    base_target, new_target = _find_targets(run, a, b)
    table = run.table_with_replies if with_replies else run.table
    vantages = {} if run.split.places else {node: node for node in run.header.vantages}
    arms = (
        arm_of(table, base_target, a, vantages, run.checked),
        arm_of(table, new_target, b, vantages, run.checked),
    )
    refuse_simulated_against_real(*arms)
    old, now, left_out = keep_common(arms[0], arms[1], (run.header, run.header))
    if old.rows.empty:
        raise CompareError(f"{a} and {b} were asked no case in common in {run.header.run_id}")
    error_s = clock_error_s(old, now, run.clock_errors, run.clock_errors)
    compared = [ComparedArms(b, old, now, paired=True, clock_error_s=error_s, slo=run.slo)]
    sides = (_side(run, target=a), _side(run, target=b))
    warnings = [*warn_of_run(run), *left_out]
    if with_warnings:
        warnings += warn_of_pairs(run.header, old, now)
        warnings += warn_of_mixes(old, now) if _model_of(table, base_target) == _model_of(table, new_target) else []
        warnings += [*warn_of_currencies(old, now), *warn_of_caches(old, now)]
    replies = _compare_replies(compared, run.header) if with_replies else ()
    return _build_difference(sides, compared, rule or Rule(), warnings, replies)


def _model_of(table: pd.DataFrame, target: MeasuredTarget) -> tuple[str, str]:
    """Return the provider and the model of a target that has rows."""
    first = positions_by_target(table)[target][0]
    return str(table["provider"].iloc[first]), str(table["model"].iloc[first])


def _find_targets(run: Run, a: str, b: str) -> tuple[MeasuredTarget, MeasuredTarget]:
    targets = {str(target): target for target in _targets(run)}
    for name in (a, b):
        if name not in targets:
            hint = did_you_mean(name, tuple(targets), f"It has {', '.join(targets) or 'none'}")
            raise CompareError(f"{run.header.run_id} has no target {name}. {hint}")
    if a == b:
        raise CompareError(f"{a} was named twice; a comparison needs two targets")
    return targets[a], targets[b]


def diff_places(run: Run, a: str, b: str, rule: Rule | None = None) -> Difference:
    """Return the difference between two places for each target, in pairs of requests of the same round; a is the base.

    Raises:
        CompareError: the run was not sent from two such places, no case was sent from both, a measure of the rule
            cannot be compared, or nothing was measured on both sides.

    """
    nodes_of = dict(zip((a, b), find_places(run.header, a, b), strict=True))
    checked = {
        place: check_cells(run.header, (record for record in run.records if record.node in nodes))
        for place, nodes in nodes_of.items()
    }
    compared, warnings = [], [*warn_of_run(run)]
    for target in _targets(run):
        arms = [
            arm_of(
                run.table_with_replies[run.table_with_replies["node"].isin(nodes)],
                target,
                str(MeasuredTarget(target.name, place)),
                checked=checked[place],
            )
            for place, nodes in nodes_of.items()
        ]
        old, now, left_out = keep_common(arms[0], arms[1], (run.header, run.header))
        warnings += [*left_out, *warn_of_pairs(run.header, old, now)]
        warnings += [*warn_of_models(old, now), *warn_of_mixes(old, now)]
        warnings += warn_of_caches(old, now)
        if not old.rows.empty:
            error_s = clock_error_s(old, now, run.clock_errors, run.clock_errors)
            compared.append(ComparedArms(target.name, old, now, paired=True, clock_error_s=error_s, slo=run.slo))
    if not compared:
        raise CompareError(f"{run.header.run_id} was asked no case in common from {a} and {b}")
    sides = (_side(run, place=a), _side(run, place=b))
    return _build_difference(sides, compared, rule or Rule(), warnings, _compare_replies(compared, run.header))


def _targets(run: Run) -> tuple[MeasuredTarget, ...]:
    """Return the targets with measured requests: those of the header in its order, then any others by name."""
    measured = set(targets_of(run.measured).unique())
    listed = [target for target in run.targets if target in measured]
    return (*listed, *sorted(measured.difference(listed), key=str))


def _join(targets: Iterable[MeasuredTarget]) -> str:
    return ", ".join(map(str, targets))


def _side(run: Run, *, target: str | None = None, place: str | None = None) -> Side:
    header, spread_s = run.header, LoadProfile.from_plain(run.header.load).spread_s
    rounds = None if spread_s is None else int(run.measured["block"].nunique())
    return Side(header.run_id, header.suite, header.started_at, target, place, spread_s, rounds)


def _compare_replies(compared: list[ComparedArms], header: Header) -> tuple[ReplyChange, ...]:
    changes = (compare_replies(arms.target, arms.base, arms.new, header) for arms in compared)
    return tuple(chain.from_iterable(changes))


def _build_difference(
    sides: tuple[Side, Side],
    compared: list[ComparedArms],
    rule: Rule,
    warnings: list[str],
    replies: tuple[ReplyChange, ...],
    *,
    unchecked: Sequence[str] = (),
) -> Difference:
    measures = choose_measures(rule.measures)
    has_checks = all(any(side.checked for side in sides_of) for sides_of in zip(*map(_arms_of, compared), strict=True))
    has_slo = compared[0].slo is not None
    refuse_without_data(rule.measures, has_slo=has_slo, has_checks=has_checks, left_out=unchecked)
    draws = draws_for(rule.alpha / max(1, len(compared) * len(measures)))
    rows = widen_for_autocorrelation([row for arms in compared for row in gather_evidence(arms, measures, draws)])
    findings = decide_all(rows, rule)
    _refuse_empty(findings, compared, measures)
    return Difference(
        base=sides[0],
        new=sides[1],
        paired=compared[0].paired,
        simulated=any(bool(arms.new.rows["simulated"].any()) for arms in compared),
        rule=rule,
        findings=findings,
        replies=replies,
        warnings=(
            *warnings,
            *(each for arms in compared if PASSES in measures for each in warn_of_undecided(_arms_of(arms))),
            *_warn_of_unmeasured(rows, compared, measures),
            *_warn_of_autocorrelation(rows, findings),
        ),
    )


def _arms_of(compared: ComparedArms) -> tuple[Arm, Arm]:
    return compared.base, compared.new


def _refuse_empty(
    findings: tuple[DiffFinding, ...], compared: list[ComparedArms], measures: tuple[Measure, ...]
) -> None:
    """Raise CompareError if nothing was measured, which must not look like a pass."""
    is_of_shares = {*measures} <= WITHOUT_FIGURES
    measured = [finding for finding in findings if is_of_shares or finding.measure not in WITHOUT_FIGURES]
    if not measured and not any(finding.verdict is Verdict.REGRESSED for finding in findings):
        targets = ", ".join(arms.target for arms in compared)
        names = ", ".join(measure.name for measure in measures if measure not in WITHOUT_FIGURES)
        if not names:
            shares = ", ".join(measure.label for measure in measures)
            raise CompareError(f"nothing to compare: {targets} has no {shares} on both sides")
        raise CompareError(f"nothing to compare: of {targets} no request that ended well has {names} on both sides")


def _warn_of_unmeasured(
    rows: list[MeasureEvidence], compared: list[ComparedArms], measures: tuple[Measure, ...]
) -> list[str]:
    """Return a warning that names the targets without any measure of a reply to compare."""
    measured = {row.arms.target for row in rows if row.measure not in WITHOUT_FIGURES}
    unmeasured = [arms.target for arms in compared if arms.target not in measured]
    if not unmeasured or {*measures} <= WITHOUT_FIGURES:
        return []
    return [f"no figures to compare, not compared: {', '.join(unmeasured)}"]


def _warn_of_autocorrelation(rows: list[MeasureEvidence], findings: tuple[DiffFinding, ...]) -> list[str]:
    """Return a warning for each change whose p-value may be too small because neighbouring rounds are correlated."""
    changes = {Verdict.REGRESSED, Verdict.IMPROVED, Verdict.CHANGED}
    return [
        f"{finding.target}: neighbouring rounds resemble each other in {finding.measure.label}, as if one side had "
        "slow spells of its own: p allows for spells of a few rounds, not for longer ones; repeat the run before you "
        "rely on it"
        for row, finding in zip(rows, findings, strict=True)
        if row.result.autocorrelated and finding.verdict in changes
    ]

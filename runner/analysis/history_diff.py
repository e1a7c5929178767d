"""Comparison of a run with earlier ones: the selection of comparable runs, and a verdict on each measure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.analysis.change_points import find_level_changes
from runner.analysis.diff import Difference, RunHistory, Side
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_measures import (
    FAILURES,
    PASSES,
    SLOW_REQUESTS,
    WITHOUT_FIGURES,
    Measure,
    Unit,
    choose_measures,
    refuse_without_data,
)
from runner.analysis.diff_verdict import Decision, Rule, UndecidedReason, Verdict, verdict_of_direction
from runner.analysis.history import belongs_in_history, count_asked, load_of, stored_level
from runner.analysis.prediction_intervals import MIN_RUNS, ComparedShare, HistoryFinding, compare_against_history
from runner.errors import CompareError
from runner.storage.stored_summary import StoredRun, StoredTarget

MAX_RUNS = 60
"""Maximum number of earlier runs to compare with: two months of nightly runs."""


@dataclass(frozen=True, slots=True)
class _ComparedFigure:
    """A measure of a target: its value in the new run, and those in earlier runs, oldest first."""

    target: StoredTarget
    measure: Measure
    new: float
    past: tuple[float, ...]

    def share(self, rule: Rule) -> ComparedShare | None:
        """Return the sample size and threshold of a share; None for a level."""
        if self.measure is FAILURES:
            return ComparedShare(self.target.n, rule.min_failure_rise)
        if self.measure is PASSES:
            return ComparedShare(self.target.checked, rule.min_pass_change, is_rise_found=False)
        return None


def diff_with_history(new: StoredRun, runs: Sequence[StoredRun], folder: Path, rule: Rule) -> Difference:
    """Return the difference between a run and up to 60 comparable earlier ones since the last change of a level.

    Comparable runs are finished runs of the same suite file at the same load, from the same platform, with the same
    clock. Levels are compared with those over the same number of questions.

    Args:
        new: the run to judge.
        runs: the runs in the folder, in any order; `new` itself and later runs are ignored.
        folder: the folder, which the result names.
        rule: the thresholds.

    Raises:
        CompareError: the run has no value of these measures, or no history is kept of them.

    """
    comparable, left_out = _comparable(new, runs)
    rows = _figures_to_compare(new, comparable, rule)
    found = compare_against_history(
        [row.past for row in rows], [row.new for row in rows], rule, [row.share(rule) for row in rows]
    )
    summary = new.summary
    used = comparable[-MAX_RUNS:]
    return Difference(
        base=Side(f"history in {folder}", summary.suite, used[0].summary.started_at if used else ""),
        new=Side(summary.run_id, summary.suite, summary.started_at),
        paired=False,
        simulated=summary.simulated,
        rule=rule,
        findings=tuple(_finding(row, each, rule) for row, each in zip(rows, found, strict=True)),
        replies=(),
        warnings=() if summary.ended else ("the run has not ended; the runs before it have",),
        history=_describe_runs(used, folder, max(each.runs for each in found), left_out),
    )


def _figures_to_compare(new: StoredRun, comparable: Sequence[StoredRun], rule: Rule) -> list[_ComparedFigure]:
    """Return the measures of a run that have a history; raise CompareError if there are none."""
    measures = [each for each in choose_measures(rule.measures) if each is not SLOW_REQUESTS]
    if not measures:
        raise CompareError(f"{SLOW_REQUESTS.name}: summaries of runs have no such figure; choose another measure")
    targets = new.summary.targets
    refuse_without_data(rule.measures, has_slo=True, has_checks=any(target.checked for target in targets))
    rows = [row for target in targets for row in _figures(target, measures, comparable)]
    is_of_shares = {*measures} <= WITHOUT_FIGURES
    if not any(is_of_shares or row.measure not in WITHOUT_FIGURES or _is_failing(row) for row in rows):
        raise CompareError(f"nothing to compare: {new.summary.run_id} has no request that ended well")
    return rows


def _describe_runs(used: Sequence[StoredRun], folder: Path, runs: int, left_out: Mapping[str, int]) -> RunHistory:
    return RunHistory(
        folder=str(folder),
        runs=runs,
        since=used[0].summary.started_at if used else None,
        until=used[-1].summary.started_at if used else None,
        left_out=dict(left_out),
    )


def _is_failing(row: _ComparedFigure) -> bool:
    return row.measure is FAILURES and row.new > 0


def _comparable(new: StoredRun, runs: Sequence[StoredRun]) -> tuple[list[StoredRun], Counter[str]]:
    """Return the comparable runs, oldest first, and the number of other runs of the suite by reason."""
    comparable, left_out = [], Counter[str]()
    for run in sorted(runs, key=lambda run: run.started_at):
        if run.started_at >= new.started_at or run.summary.suite != new.summary.suite:
            continue
        reason = _incomparable(new, run)
        if reason is None:
            comparable.append(run)
        else:
            left_out[reason] += 1
    return comparable, left_out


def _incomparable(new: StoredRun, run: StoredRun) -> str | None:
    """Return the reason why two runs are not comparable; None if they are."""
    one, other = new.summary, run.summary
    reasons = (
        (not belongs_in_history(run), "unfinished or replayed"),
        (one.digest != other.digest, "of another version of the suite"),
        (one.case_patterns != other.case_patterns, "of other cases"),
        (load_of(new) != load_of(run), "at another load"),
        (one.simulated != other.simulated, "simulated" if other.simulated else "not simulated"),
        (one.platform != other.platform, "from another machine"),
        (one.clock != other.clock, "with another clock"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _figures(target: StoredTarget, measures: Sequence[Measure], runs: Sequence[StoredRun]) -> Iterator[_ComparedFigure]:
    """Yield the measures of a target with those of up to 60 comparable runs since the last change of a level."""
    same = (each for run in runs for each in run.summary.targets if each.target == target.target)
    before = [each for each in same if each.settings == target.settings]
    for measure in measures:
        if measure is FAILURES:
            shares = tuple(each.failed / each.n for each in before if each.n)
            if target.n:
                yield _ComparedFigure(target, measure, target.failed / target.n, shares[-MAX_RUNS:])
        elif (new := stored_level(target, measure)) is not None:
            levels = [
                level
                for each in before
                if count_asked(each, measure) == count_asked(target, measure)
                and (measure.unit is not Unit.MONEY or each.costs.keys() == target.costs.keys())
                and (level := stored_level(each, measure)) is not None
            ]
            yield _ComparedFigure(target, measure, new, _since_last_change(levels[-MAX_RUNS:], measure))


def _since_last_change(levels: list[float], measure: Measure) -> tuple[float, ...]:
    if not levels:
        return ()
    changes = find_level_changes(levels, is_share=measure.unit is Unit.SHARE)
    return tuple(levels[changes[-1].at if changes else 0 :])


def _finding(row: _ComparedFigure, found: HistoryFinding, rule: Rule) -> DiffFinding:
    return DiffFinding(
        target=row.target.target,
        measure=row.measure,
        base_level=found.base,
        new_level=row.new,
        change=found.change,
        interval=found.interval,
        p=1.0 if found.p is None else found.p,
        n=(found.runs, 1),
        units=found.runs,
        floor=None,
        decision=_decide(row.measure, found, rule),
        tested=found.p is not None,
        currency=_currency(row),
        usual=found.usual,
        detectable=found.detectable,
    )


def _currency(row: _ComparedFigure) -> str | None:
    return next(iter(row.target.costs), None) if row.measure.name == "cost" else None


def _decide(measure: Measure, found: HistoryFinding, rule: Rule) -> Decision:
    if found.change is None or found.p is None:
        return Decision(Verdict.UNDECIDED, UndecidedReason.FEW_RUNS, MIN_RUNS)
    if found.moved:
        is_rise = found.change > (0 if measure.unit is Unit.SHARE else 1)
        return Decision(verdict_of_direction(measure.better, is_rise=is_rise))
    return Decision(Verdict.UNCHANGED) if _is_unchanged(measure, found, rule) else _USUAL


_USUAL = Decision(Verdict.UNDECIDED, UndecidedReason.USUAL)


def _is_unchanged(measure: Measure, found: HistoryFinding, rule: Rule) -> bool:
    """Return whether the interval lies within the minimum effect; for shares, whether such a change is detectable."""
    if measure.unit is Unit.SHARE:
        assert found.detectable is not None
        assert found.base is not None
        if measure is PASSES:
            return found.detectable >= max(0.0, found.base - rule.min_pass_change)
        return found.detectable <= found.base + rule.min_failure_rise
    least, interval = 1 + rule.min_effect, found.interval
    return interval is not None and 1 / least < interval.low and interval.high < least

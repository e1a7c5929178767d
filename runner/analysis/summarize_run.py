"""The summary of a run that is stored beside its journal: what lists of runs and their history are made of."""

from os import stat_result

from runner.analysis.dataframe import targets_of
from runner.analysis.judge import JudgeCost
from runner.analysis.measured_target import MeasuredTarget
from runner.analysis.measures import TIMED_MEASURES
from runner.analysis.pairing import Arm, arm_of, levels_of
from runner.analysis.pass_rate import measure_pass_rate
from runner.analysis.run_results import Run
from runner.analysis.slow_requests import QUESTION
from runner.analysis.summary import TargetSummary
from runner.storage.stored_summary import StoredFigure, StoredJudge, StoredSummary, StoredTarget

MEDIANS = {
    "ttft_s": "ttft_p50",
    "ttfa_s": "ttfa_p50",
    "tool_call_s": "tool_call_p50",
    "total_s": "total_p50",
    "output_tps": "output_tps_p50",
}
"""Column -> the field of a target's summary that has its median."""

ANSWERED_BY = ("response_model", "served_by", "system_fingerprint", "service_tier")
"""Columns that tell who answered, of those that a table has."""


def summarize_run(run: Run, journal: stat_result | None, version: str) -> StoredSummary:
    """Return the summary of a run.

    Args:
        run: the run.
        journal: size and time of its journal before it was read; None for a summary that is not to be stored.
        version: the version of this tool.

    """
    run, header = run.in_parts, run.header
    return StoredSummary(
        version=version,
        journal_size=journal.st_size if journal else 0,
        journal_mtime_ns=journal.st_mtime_ns if journal else 0,
        run_id=header.run_id,
        started_at=header.started_at,
        suite=header.suite,
        digest=header.digest,
        case_patterns=tuple(header.case_patterns),
        simulated=run.simulated,
        ended=run.ended,
        stop_reason=run.stop_reason,
        planned_requests=header.planned_requests,
        replay_of=header.replay_of,
        platform=header.platform,
        clock=header.clock,
        clock_error_s=run.clock_error.ttft_p99_s if run.clock_error else None,
        client_versions=header.versions,
        order=header.order,
        concurrency=header.concurrency,
        load=header.load,
        targets=tuple(_summarize_target(run, each) for each in run.summary),
        judges=tuple(map(_summarize_judge, (*run.judge_costs, *(judged.cost for judged in run.judged)))),
    )


def _summarize_judge(cost: JudgeCost) -> StoredJudge:
    spent = {money.currency: str(money.amount) for money in cost.spent}
    return StoredJudge(cost.target, spent, cost_n=cost.priced, sent=cost.requests)


def _summarize_target(run: Run, summary: TargetSummary) -> StoredTarget:
    arm = arm_of(run.table, summary.target, str(summary.target), run.split.places)
    costs = [cost for cost in run.costs if cost.target == summary.target]
    cells = [cell for cell in run.checked if cell.target == summary.target]
    rate = measure_pass_rate(cells)
    return StoredTarget(
        target=str(summary.target),
        settings=run.header.variants.get(summary.target.name, {}),
        n=summary.n,
        failed=summary.failed,
        questions=len(arm.timed[QUESTION].drop_duplicates()),
        passed=rate.passed if rate else 0,
        checked=rate.n if rate else 0,
        checked_cases=rate.cases if rate else 0,
        undecided=sum(cell.undecided for cell in cells),
        pass_rate=StoredFigure(rate.share, rate.n, rate.interval.low, rate.interval.high) if rate else None,
        costs={cost.spent.currency: str(cost.spent.amount) for cost in costs},
        cost_n=sum(cost.n for cost in costs),
        sent=_count_sent(run, summary.target),
        medians=_medians(summary),
        levels=levels_of(arm, [measure.name for measure in TIMED_MEASURES]),
        answered_by={name: _count_values(arm, name) for name in ANSWERED_BY if name in arm.rows},
    )


def _count_sent(run: Run, target: MeasuredTarget) -> int:
    """Return the requests of a target that were sent, warm-ups included: costs are sums over them."""
    return int(((targets_of(run.table) == target) & (run.table["attempts"] > 0)).sum())


def _medians(summary: TargetSummary) -> dict[str, StoredFigure]:
    found = {column: getattr(summary, field) for column, field in MEDIANS.items()}
    return {
        column: StoredFigure(each.value, each.n, *((each.interval.low, each.interval.high) if each.interval else ()))
        for column, each in found.items()
        if each is not None
    }


def _count_values(arm: Arm, column: str) -> dict[str, int]:
    return {str(value): int(count) for value, count in arm.timed[column].value_counts().items()}

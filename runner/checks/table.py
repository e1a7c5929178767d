"""Every check there is, under the name by which a suite demands it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from runner.checks import answer, limits
from runner.checks.answer import read_off_answer
from runner.checks.finding import CheckFinding, undecided
from runner.checks.json_answer import is_json
from runner.checks.language import language
from runner.checks.own_code import said_by_own_code, said_by_plugins
from runner.checks.refusal import no_refusal
from runner.core.record import Record

COST = "max_cost"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what judges it, and whether it holds for each turn or, like what is said, for the last alone."""

    judge: Callable[[Record, Any], CheckFinding]
    each_turn: bool = False


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "equals": Check(read_off_answer(answer.equals)),
        "contains": Check(read_off_answer(answer.contains)),
        "not_contains": Check(read_off_answer(answer.not_contains)),
        "starts_with": Check(read_off_answer(answer.starts_with)),
        "regex": Check(read_off_answer(answer.match_patterns)),
        "json": Check(read_off_answer(is_json)),
        "length": Check(read_off_answer(answer.length)),
        "language": Check(read_off_answer(language)),
        "no_refusal": Check(no_refusal, each_turn=True),
        "finish_reason": Check(limits.finish_reason, each_turn=True),
        "max_ttft_s": Check(limits.max_ttft_s, each_turn=True),
        "max_total_s": Check(limits.max_total_s, each_turn=True),
        "min_output_tps": Check(limits.min_output_tps, each_turn=True),
        "python": Check(said_by_own_code),
        "plugin": Check(said_by_plugins),
    }
)
"""All but `max_cost`, which needs the run's prices beside the record."""


def judge(
    checks: Mapping[str, Any], record: Record, *, cost: float | None, is_last_turn: bool
) -> dict[str, CheckFinding]:
    """Judge one record by what was demanded; the order is the suite's."""
    return {
        name: _judge_one(name, wanted, record, cost)
        for name, wanted in checks.items()
        if is_last_turn or _holds_for_each_turn(name)
    }


def _holds_for_each_turn(name: str) -> bool:
    return name == COST or (name in CHECKS and CHECKS[name].each_turn)


def _judge_one(name: str, wanted: Any, record: Record, cost: float | None) -> CheckFinding:
    if name == COST:
        return limits.max_cost(cost, wanted)
    if name not in CHECKS:
        return undecided("this version of compare knows no such check")
    return CHECKS[name].judge(record, wanted)

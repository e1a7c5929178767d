"""The table of all checks by the names that a suite uses, and their findings on a record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from runner.checks import answer_text, measurements
from runner.checks.answer_text import check_of_answer
from runner.checks.check_finding import PASSED, CheckFinding, WorkExceeded, failed, undecided
from runner.checks.json_answer import is_json
from runner.checks.language import language
from runner.checks.refusal import no_refusal
from runner.checks.rubric import rubrics_met
from runner.checks.tool_calls import has_calls, has_calls_at_most, has_no_calls
from runner.core.record import Record

COST = "max_cost"


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its function, and whether it applies to each turn or to the last one only."""

    apply: Callable[[Record, Any], CheckFinding]
    each_turn: bool = False


def custom_checks_passed(record: Record, wanted: object) -> CheckFinding:
    """Pass if every function or plug-in passed; else fail with the reason of the first that did not.

    Their verdicts are stored: the functions ran when the record was new. Reading a journal does not run them again,
    since their code may have changed or be by someone else. `wanted` is the name of a function, a list of names, or a
    mapping by the plug-ins' names.
    """
    reasons = record.custom_checks or {}
    for name in (wanted,) if isinstance(wanted, str) else cast("Iterable[str]", wanted):
        if name not in reasons:
            return undecided(f"{name} was not asked")
        if (why := reasons[name]) is not None:
            return failed(f"{name}: {why}")
    return PASSED


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "equals": Check(check_of_answer(answer_text.equals)),
        "contains": Check(check_of_answer(answer_text.contains)),
        "not_contains": Check(check_of_answer(answer_text.not_contains)),
        "starts_with": Check(check_of_answer(answer_text.starts_with)),
        "regex": Check(check_of_answer(answer_text.match_patterns)),
        "json": Check(check_of_answer(is_json)),
        "calls": Check(has_calls),
        "no_calls": Check(has_no_calls),
        "calls_at_most": Check(has_calls_at_most),
        "length": Check(check_of_answer(answer_text.length)),
        "language": Check(check_of_answer(language)),
        "no_refusal": Check(no_refusal, each_turn=True),
        "finish_reason": Check(measurements.finish_reason, each_turn=True),
        "max_ttft_s": Check(measurements.max_ttft_s, each_turn=True),
        "max_total_s": Check(measurements.max_total_s, each_turn=True),
        "min_output_tps": Check(measurements.min_output_tps, each_turn=True),
        "python": Check(custom_checks_passed),
        "plugin": Check(custom_checks_passed),
        "rubric": Check(rubrics_met),
    }
)
"""All checks except `max_cost`, which needs the run's prices beside the record."""

UNKNOWN = Check(lambda _record, _wanted: undecided("this version of compare knows no such check"))
"""In place of a check of another version of compare, whose run is read."""


def apply_checks(
    checks: Mapping[str, Any], record: Record, *, cost: float | None, is_last_turn: bool
) -> dict[str, CheckFinding]:
    """Return the finding of each check of a record, in the suite's order.

    Args:
        checks: the checks by name, with the values that the suite gives them.
        record: the record to check.
        cost: what the request cost, in the currency of the target's prices; None if unknown.
        is_last_turn: whether the record is the last turn of its conversation; other turns have fewer checks.

    """
    known = {**CHECKS, COST: Check(lambda _record, most: measurements.max_cost(cost, most), each_turn=True)}
    return {
        name: _apply_check(known.get(name, UNKNOWN), wanted, record)
        for name, wanted in checks.items()
        if is_last_turn or known.get(name, UNKNOWN).each_turn
    }


def _apply_check(check: Check, wanted: Any, record: Record) -> CheckFinding:
    try:
        return check.apply(record, wanted)
    except WorkExceeded:
        return failed("stopped, since it needs more than the work that one check may take, about 2 s; make it simpler")
    except Exception as error:  # noqa: BLE001 -- a check that raises must not affect other checks or the row
        return undecided(f"it cannot be made: {type(error).__name__}: {error}")

"""The checks `calls`, `no_calls` and `calls_at_most`: the tools that a model called in a conversation, up to a reply.

The calls of all steps count, those of earlier turns included. `arguments` are values by name, each of which must be
equal as JSON while other arguments are ignored, or a JSON Schema: an object with `type: object` and `properties`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runner.checks.answer_text import quote, shorten
from runner.checks.check_finding import PASSED, CheckFinding, CheckVerdict, failed
from runner.checks.json_answer import fits_schema
from runner.core.record import Record
from runner.core.tool_call import ToolCall, canonical_json
from runner.errors import counted, list_first


def is_arguments_schema(arguments: Mapping[str, Any]) -> bool:
    """Return whether the `arguments` of a check are a JSON Schema and not values."""
    return arguments.get("type") == "object" and isinstance(arguments.get("properties"), Mapping)


def has_calls(record: Record, wanted: Any) -> CheckFinding:
    """Pass if there is a call for each of those wanted, a different one for each."""
    calls = _calls_of(record)
    expected_calls = wanted if isinstance(wanted, list | tuple) else [wanted]
    findings = [[_check_call(call, expected) for call in calls] for expected in expected_calls]
    unmatched = _first_unmatched([[finding == PASSED for finding in row] for row in findings])
    if unmatched is None:
        return PASSED
    return _explain(expected_calls[unmatched]["name"], calls, findings[unmatched], record.reply or "")


def has_no_calls(record: Record, _wanted: Any) -> CheckFinding:
    """Pass if no tool was called."""
    calls = _calls_of(record)
    return PASSED if not calls else failed(f"called {_list_calls(calls)}, but no tool was expected")


def has_calls_at_most(record: Record, most: int) -> CheckFinding:
    """Pass if at most `most` calls were made."""
    calls = _calls_of(record)
    if len(calls) <= most:
        return PASSED
    return failed(f"{counted(len(calls), 'call')}, more than {most:,}: {_list_calls(calls)}")


def _calls_of(record: Record) -> tuple[ToolCall, ...]:
    return (*record.earlier_calls, *record.calls)


def _check_call(call: ToolCall, expected: Mapping[str, Any]) -> CheckFinding | None:
    """Return the finding on a call for an expected one; None if it is a call of another tool."""
    if call.name != expected["name"]:
        return None
    arguments = expected.get("arguments")
    if arguments is None:
        return PASSED
    values = call.canonical.values
    if values is None:
        return failed(f"the arguments of {call.name} are not a JSON object: {quote(call.arguments)}")
    if is_arguments_schema(arguments):
        finding = fits_schema(values, call.arguments, json.dumps(arguments))
        if finding.verdict is not CheckVerdict.FAILED:
            return finding
        return failed(f"the arguments of {call.name} do not fit: {finding.why}")
    return _compare_values(call.name, values, arguments)


def _compare_values(name: str, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> CheckFinding:
    for argument, value in wanted.items():
        if argument not in values:
            return failed(f"{name} was called without `{argument}`; expected {_as_json(value)}")
        if canonical_json(values[argument]) != canonical_json(value):
            return failed(f"{name} was called with `{argument}` {_as_json(values[argument])}, not {_as_json(value)}")
    return PASSED


def _as_json(value: Any) -> str:
    return shorten(canonical_json(value))


def _first_unmatched(fits: Sequence[Sequence[bool]]) -> int | None:
    """Return the index of an expected call without a match; None if each has a match of its own.

    An expected call may take the match of an earlier one that finds another: the augmenting paths of a bipartite
    matching.
    """
    taken: dict[int, int] = {}

    def find(index: int, tried: set[int]) -> bool:
        for call, is_fit in enumerate(fits[index]):
            if is_fit and call not in tried:
                tried.add(call)
                if call not in taken or find(taken[call], tried):
                    taken[call] = index
                    return True
        return False

    return next((index for index in range(len(fits)) if not find(index, set())), None)


def _explain(name: str, calls: Sequence[ToolCall], findings: Sequence[CheckFinding | None], reply: str) -> CheckFinding:
    """Return why an expected call has no match: the fault of the most similar call, or what was called instead."""
    if not calls and name in reply:
        return failed(f"no tool was called; expected {name}, which the answer names: {quote(reply)}")
    if not calls:
        return failed(f"no tool was called; expected {name}")
    near = [finding for finding in findings if finding is not None]
    undecided = next((finding for finding in near if finding.verdict is CheckVerdict.UNDECIDED), None)
    faults = [finding for finding in near if finding.verdict is CheckVerdict.FAILED]
    if undecided or faults:
        return undecided or faults[0]
    if near:
        return failed(f"{name} was called only {'once' if len(near) == 1 else f'{len(near)} times'}")
    return failed(f"{name} was not called; instead {_list_calls(calls)}")


def _list_calls(calls: Sequence[ToolCall]) -> str:
    return list_first([quote(str(call)) for call in calls])

"""Names of tools that a suite refers to, compared with the tools that its requests have."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runner.core.suite import Case, Parameters
from runner.errors import Problem, did_you_mean
from runner.providers.tool_fields import CHOICES


class _Offered(NamedTuple):
    """The names of the tools that requests to a target have, and their `tool_choice`."""

    tools: frozenset[str]
    choice: str | None
    in_extra_body: bool
    """Whether `extra_body` has tools, whose names are not looked at."""


def reference_problems(cases: Iterable[Case], targets: Iterable[Parameters], path: str) -> Iterator[Problem]:
    """Yield a problem for each name of a tool that a case's requests do not have."""
    offered = list(dict.fromkeys(map(_offered, targets)))
    is_plain = not any(each.tools or each.choice for each in offered)
    for case in cases:
        refers = case.overrides or case.tool_results or "calls" in case.expectations.checks
        if refers or not is_plain:
            faults = dict.fromkeys(fault for each in offered for fault in _faults(case, _with_case(each, case)))
            for what, hint in faults:
                yield Problem(path, case.line or 1, 1, f"the case `{case.id}`: {what}", hint)


def _offered(parameters: Parameters) -> _Offered:
    tools = frozenset(tool.name for tool in parameters.tools)
    return _Offered(tools, parameters.tool_choice, "tools" in parameters.extra_body)


def _with_case(offered: _Offered, case: Case) -> _Offered:
    own: Mapping[str, Any] = case.overrides
    tools = frozenset(tool.name for tool in own["tools"]) if "tools" in own else offered.tools
    return offered._replace(tools=tools, choice=own.get("tool_choice", offered.choice))


def _faults(case: Case, offered: _Offered) -> Iterator[tuple[str, str]]:
    if offered.in_extra_body:
        return
    if not offered.tools and (offered.choice is not None or case.tool_results):
        what = "tool_results" if case.tool_results else "tool_choice"
        yield f"it has `{what}` and no `tools`", "List the tools that the model may call"
        return
    if offered.choice is not None and offered.choice not in CHOICES:
        yield from _unknown(offered.choice, "`tool_choice`", offered.tools, CHOICES)
    for name in case.tool_results:
        yield from _unknown(name, "`tool_results`", offered.tools)
    for name in _wanted(case.expectations.checks.get("calls")) if offered.tools else ():
        yield from _unknown(name, "the check `calls`", offered.tools)


def _wanted(calls: Any) -> list[str]:
    return [call["name"] for call in (calls if isinstance(calls, list) else [calls] if calls else [])]


def _unknown(name: str, where: str, tools: Collection[str], others: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    if name not in tools:
        near = did_you_mean(name, sorted({*tools, *others}))
        hint = f"Perhaps `{near}` was meant" if near else f"There is {', '.join(sorted({*tools, *others}))}"
        yield f"{where} names `{name}`, which is none of its tools", hint

"""Names of tools that a suite refers to, compared with the tools that its requests have."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from runner.core.suite import TOOL_CHOICES, Case, Parameters
from runner.errors import Problem, did_you_mean
from runner.suite.errors import Fault


class _OfferedTools(NamedTuple):
    """The names of the tools that requests to a target have, and their `tool_choice`."""

    tools: frozenset[str]
    choice: str | None
    in_extra_body: bool
    """Whether `extra_body` has tools, whose names are not checked."""


def reference_problems(cases: Iterable[Case], targets: Iterable[Parameters], path: str) -> Iterator[Problem]:
    """Yield a problem for each name of a tool that a case's requests do not have.

    A result may belong to a tool that only some targets have: a variant without tools may serve as a comparison.
    """
    offered = list(dict.fromkeys(map(_offered, targets)))
    is_plain = not any(each.tools or each.choice for each in offered)
    for case in cases:
        refers = case.overrides or case.tool_results or "calls" in case.expectations.checks
        if refers or not is_plain:
            of_case = [_with_case(each, case) for each in offered]
            faults = [*chain(*(_faults(case, each) for each in of_case)), *_faults_of_results(case, of_case)]
            for fault in {each.what: each for each in faults}.values():
                yield Problem(path, case.line or 1, 1, f"the case `{case.id}`: {fault.what}", fault.hint)


def _offered(parameters: Parameters) -> _OfferedTools:
    tools = frozenset(tool.name for tool in parameters.tools)
    return _OfferedTools(tools, parameters.tool_choice, "tools" in parameters.extra_body)


def _with_case(offered: _OfferedTools, case: Case) -> _OfferedTools:
    own: Mapping[str, Any] = case.overrides
    tools = frozenset(tool.name for tool in own["tools"]) if "tools" in own else offered.tools
    return offered._replace(tools=tools, choice=own.get("tool_choice", offered.choice))


def _faults(case: Case, offered: _OfferedTools) -> Iterator[Fault]:
    if offered.in_extra_body:
        return
    if not offered.tools and offered.choice is not None:
        yield _no_tools("tool_choice")
        return
    if offered.choice is not None and offered.choice not in TOOL_CHOICES:
        yield from _unknown_tool(offered.choice, "`tool_choice`", offered.tools, TOOL_CHOICES)
    for name in _names_of_calls(case.expectations.checks.get("calls")) if offered.tools else ():
        yield from _unknown_tool(name, "the check `calls`", offered.tools)


def _faults_of_results(case: Case, offered: Collection[_OfferedTools]) -> Iterator[Fault]:
    if not case.tool_results or any(each.in_extra_body for each in offered):
        return
    tools = frozenset[str]().union(*(each.tools for each in offered))
    if not tools:
        yield _no_tools("tool_results")
        return
    for name in case.tool_results:
        yield from _unknown_tool(name, "`tool_results`", tools)


def unused_results(names: Iterable[str], cases: Collection[Case], targets: Collection[Parameters]) -> Iterator[str]:
    """Yield the defaults' `tool_results` that no case uses and that are not the name of an offered tool."""
    if any("tools" in each.extra_body for each in targets):
        return
    taken = {name for case in cases for name in case.tool_results}
    offered = {tool.name for case in cases for each in targets for tool in case.parameters(each).tools}
    yield from (name for name in names if name not in taken | offered)


def _no_tools(key: str) -> Fault:
    return Fault(f"it has `{key}` and no `tools`", "List the tools that the model may call")


def _names_of_calls(calls: Any) -> list[str]:
    return [call["name"] for call in (calls if isinstance(calls, list) else [calls] if calls else [])]


def _unknown_tool(name: str, where: str, tools: Collection[str], others: Collection[str] = ()) -> Iterator[Fault]:
    if name not in tools:
        known = sorted({*tools, *others})
        hint = did_you_mean(name, known, f"There is {', '.join(known)}")
        yield Fault(f"{where} names `{name}`, which is none of its tools", hint)

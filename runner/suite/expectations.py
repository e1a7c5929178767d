"""The expectations of a case: its checks merged with those of the suite's defaults, and verified."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from runner.checks.answer_text import as_tuple
from runner.checks.match_and_pass import read_share
from runner.checks.tool_calls import is_arguments_schema
from runner.core.suite import Case, Expectations
from runner.document import Document, Route
from runner.errors import BrokenPlugin, Problem, did_you_mean
from runner.plugins import load_function, plugin_names
from runner.suite.checks_schema import ChecksSchema, plain_checks
from runner.suite.errors import Fault, UnusableFile
from runner.suite.fill_templates import Texts, refuse_template
from runner.suite.read_named_file import read_named_text
from runner.suite.schema import CaseSchema, DefaultsSchema

TEMPLATES = ("equals", "contains", "not_contains", "starts_with", "rubric")
"""Checks whose texts are templates, as the texts of a case are."""


def check_texts(checks: ChecksSchema | None) -> Iterator[tuple[Route, str]]:
    """Yield the texts of a case's checks that are templates, with the route to each."""
    for name in TEMPLATES:
        wanted = getattr(checks, name, None)
        if isinstance(wanted, str):
            yield ("checks", name), wanted
        for index, text in enumerate(wanted if isinstance(wanted, tuple) else ()):
            yield ("checks", name, index), text
    if checks is not None and checks.calls is not None:
        yield from _texts_in(plain_checks(checks)["calls"], ("checks", "calls"))


def _texts_in(wanted: Any, route: Route) -> Iterator[tuple[Route, str]]:
    """Yield the texts among the arguments of wanted calls, except arguments that are a JSON Schema."""
    for index, call in enumerate(wanted) if isinstance(wanted, list) else [(None, wanted)]:
        at = route if index is None else (*route, index)
        arguments = call.get("arguments") or {}
        if not is_arguments_schema(arguments):
            yield from _texts_of(arguments, (*at, "arguments"))


def _texts_of(value: Any, route: Route) -> Iterator[tuple[Route, str]]:
    if isinstance(value, str):
        yield route, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _texts_of(item, (*route, key))


def expectations_of(case: CaseSchema, defaults: DefaultsSchema, filled: Texts) -> Expectations:
    """Return a case's expectations: its own checks replace those of the defaults, one by one."""
    own = _with_texts(plain_checks(case.checks), filled) if case.checks else {}
    inherits = case.checks is not None or "checks" not in case.model_fields_set  # null takes all defaults away
    inherited = plain_checks(defaults.checks) if defaults.checks and inherits else {}
    checks = {name: wanted for name, wanted in (inherited | own).items() if wanted is not None}
    share = case.pass_ if "pass_" in case.model_fields_set else defaults.pass_
    match = case.match if "match" in case.model_fields_set else defaults.match
    return Expectations(checks, read_share(share or "all"), match)


def _with_texts(checks: dict[str, Any], filled: Texts) -> dict[str, Any]:
    for route, text in filled.items():
        *owners, last = route[route.index("checks") + 1 :]
        holder: Any = checks
        for owner in owners:
            holder = holder[owner]
        holder[last] = text
    return checks


def default_problems(defaults: DefaultsSchema, document: Document, folder: Path) -> Iterator[Problem]:
    """Yield the problems of checks that apply to all cases."""
    for route, text in check_texts(defaults.checks):
        yield from refuse_template(text, "text", document, ("defaults", *route))
    for name, result in (defaults.tool_results or {}).items():
        if isinstance(result, str):
            yield from refuse_template(result, "result", document, ("defaults", "tool_results", name))
    yield from function_problems(defaults.checks, document, ("defaults",), folder)


def function_problems(checks: ChecksSchema | None, document: Document, route: Route, folder: Path) -> Iterator[Problem]:
    """Yield the problems of functions that checks name. Their files are read, but not executed."""
    if checks is None:
        return
    for name in checks.plugin or ():
        if fault := _plugin_fault(name):
            yield document.problem((*route, "checks", "plugin", name), fault.what, fault.hint, of_key=True)
    for index, name in enumerate(as_tuple(checks.python or ())):
        if fault := _function_fault(name, folder):
            yield document.problem((*route, "checks", "python", index), fault.what, fault.hint)


def _plugin_fault(name: str) -> Fault | None:
    """Return why a plug-in's check cannot be used; None if it can."""
    try:
        load_function("compare.checks", name)
    except BrokenPlugin as error:
        what, _, hint = str(error).rpartition("; ")
        return Fault(what, hint.capitalize())
    except LookupError:
        known = plugin_names("compare.checks")
        hint = did_you_mean(name, known, f"Installed are {', '.join(known) or 'none'}")
        return Fault(f"no plug-in brings a check `{name}`", hint)
    return None


def _function_fault(name: str, folder: Path) -> Fault | None:
    """Return why a function cannot be used, given its name; None if it can."""
    module, _, function = name.partition(":")
    file = f"{module.replace('.', '/')}.py"
    try:
        tree = ast.parse(read_named_text(folder, file))
    except UnusableFile as error:
        return error
    except (SyntaxError, ValueError, RecursionError) as error:
        return Fault(f"`{file}` is not Python: {error}", "Correct it")
    if function not in _names_in(tree):
        return Fault(f"`{file}` has no function `{function}`", "Correct the name, or write the function")
    return None


def _names_in(tree: ast.Module) -> set[str]:
    """Return the names that definitions, imports and assignments at a module's top level bind."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def plain_expectations(cases: Iterable[Case]) -> dict[str, dict[str, Any]]:
    """Return expectations as plain data by case id, as a header stores them.

    Cases with neither expectations nor tool results are left out.
    """
    return {case.id: _plain(case) for case in cases if case.expectations != Expectations() or case.tool_results}


def _plain(case: Case) -> dict[str, Any]:
    expectations = case.expectations
    plain: dict[str, Any] = {"line": case.line, "turns": len(case.turns)}
    if case.tool_results:
        plain |= {"max_steps": case.max_steps, "answered": list(case.tool_results)}
    if expectations.checks:
        plain["checks"] = dict(expectations.checks)
    if expectations.share:
        plain["pass"] = "{} of {}".format(*expectations.share)
    if expectations.match:
        plain["match"] = expectations.match
    return plain

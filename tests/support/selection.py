"""The selection of tests that behave differently with pytest's option `--thorough`.

These are the tests marked `thorough`, those of hypothesis, which get more examples, and those that call the command by
`tests.support.command`, which then starts an interpreter for each call. Calls are found in the code of a test, of its
fixtures, and of the tests' functions and classes that these use. Only the first and the last case of such a test are
selected, since a process differs from a call in the same way for all cases.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import isclass, isfunction, ismodule, unwrap
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

from tests.support import command


def choose_thorough(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that behave differently with the option, in their order."""
    chosen: dict[str, pytest.Item] = {}
    calling: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if not isinstance(item, pytest.Function) or _does_more(item):
            chosen[item.nodeid] = item
        elif _calls_the_command_in(item):
            calling[item.nodeid.partition("[")[0]].append(item)
    chosen |= {item.nodeid: item for cases in calling.values() for item in (cases[0], cases[-1])}
    return [item for item in items if item.nodeid in chosen]


def _does_more(item: pytest.Function) -> bool:
    return item.get_closest_marker("thorough") is not None or is_hypothesis_test(item.obj)


def _calls_the_command_in(item: pytest.Function) -> bool:
    fixtures = [fixture.func for found in item._fixtureinfo.name2fixturedefs.values() for fixture in found]
    return any(map(_calls_the_command, (item.function, *fixtures)))


@cache
def _calls_the_command(function: Any) -> bool:
    """Return whether a function calls the command, directly or through functions and classes that it uses."""
    seen: set[Any] = set()
    waiting = [function]
    while waiting:
        found = waiting.pop()
        if found is command.call:
            return True
        if found not in seen:
            seen.add(found)
            waiting += _used_by(found)
    return False


def _used_by(found: Any) -> Iterator[Any]:
    """Yield the functions and classes of the tests that a function, or a method of a class, names."""
    if isclass(found):
        for member in vars(found).values():
            yield from filter(isfunction, (member, getattr(member, "fget", None), getattr(member, "__func__", None)))
        return
    function = unwrap(found)
    if not isinstance(function, FunctionType):
        return
    names = set(_names_in(function.__code__))
    scopes = [function.__globals__, *(vars(each) for name in names if ismodule(each := function.__globals__.get(name)))]
    if "always_start" in names:
        yield command.call
    for scope in scopes:
        used = (scope[name] for name in names & scope.keys())
        code = (each for each in used if isclass(each) or isfunction(unwrap(each)))
        yield from (each for each in code if each.__module__.startswith("tests."))


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)

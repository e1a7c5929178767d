"""Crafted runs with replies that pass or fail a check."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.core.record import Record
from tests.support.crafted_runs import BASE, answered

CHECK = {"checks": {"contains": "yes"}, "turns": 1, "pass": "all", "line": 1}


def checks_of(cases: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the checks of these cases in the form of a header."""
    return dict.fromkeys(cases, CHECK)


def repeats(passed: Mapping[str, Sequence[int]], target: str = BASE) -> Iterator[Record]:
    """Yield the records of a target; `passed` has, for each case, 1 for each round that passes and 0 for the others."""
    for case, of_rounds in passed.items():
        for block, is_passed in enumerate(of_rounds, start=1):
            yield answered(target, case, block, 0.2 + block / 1000, reply="yes it is" if is_passed else "no it is not")


def cases(n: int, *of_rounds: int) -> dict[str, Sequence[int]]:
    """Return n cases, all with the same results."""
    return {f"case-{at:03}": of_rounds for at in range(n)}

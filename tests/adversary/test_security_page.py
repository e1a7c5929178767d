"""SECURITY.md: every promise names its test, and that test exists."""

import re

import pytest

from tests.support.command import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (`test_.+?) \|$", PAGE, re.MULTILINE)
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize(("promise", "names"), ROWS, ids=[promise for promise, _ in ROWS])
def test_each_promise_names_an_existing_test(promise: str, names: str) -> None:
    """`pytest -k` finds each name."""
    named = re.findall(r"`(\w+)`", names)
    assert named, promise
    assert set(named) <= TESTS


def test_the_table_of_promises_is_not_empty() -> None:
    """The other test is not vacuous."""
    assert len(ROWS) >= 15

"""Arguments of a wrong type and keywords that a function does not have raise `CompareError`."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runner
from runner import CompareError, load
from tests.support.crafted_runs import answered, write_run

api: Any = runner
"""The package without types: the calls below are wrong."""


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Return the folder of a run."""
    return write_run(tmp_path / "stored", [answered()])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda at: api.diff(at, at, alpha="x"), "alpha='x': give a number above 0"),
        (lambda at: api.diff(at, at, metric=3), "metric=3: give a text, or several in a list"),
        (lambda _: api.diff(None, None), "None names no run"),
        (lambda at: api.diff(at, between=5), "between=5: give two names"),
        (lambda _: api.run(prompts=["x"], defaults=3), "defaults=3: give a mapping"),
        (lambda _: api.run(prompts=["x"], judge=3), "judge=3: give a judge as 'provider/model'"),
        (lambda _: api.run(prompts=3), "prompts=3: give a list of prompts"),
        (lambda _: api.run(5), "suite=5: give a path"),
        (lambda _: api.capacity(5), "suite=5: give a path"),
        (lambda _: api.capacity(None), "suite=None: give a path"),
        (lambda _: api.load(5), "5 names no run"),
        (lambda _: api.load(None), "None names no run"),
        (lambda _: api.summary(3), "3 names no run"),
        (lambda _: api.pictures(3), "3 names no run"),
        (lambda _: api.side_by_side(3), "3 names no run"),
        (lambda _: api.judge(None), "None names no run"),
        (lambda at: api.judge(at, by=["sim/judge"]), "by=['sim/judge']: give one judge as 'provider/model'"),
        (lambda _: api.votes(None), "None names no run"),
        (lambda at: api.votes(at, ["a.json"]), "give a path"),
        (lambda _: api.runs(5), "folder=5: give a path"),
        (lambda _: api.history(5), "folder=5: give a path"),
        (lambda _: api.history(metrics=5), "metrics=5: give a text"),
        (lambda at: api.diff(at, at, alpa=0.1), "diff() has no option `alpa`. Did you mean `alpha`?"),
        (lambda at: api.judge(at, criterion="x"), "judge() has no option `criterion`. Did you mean `criteria`?"),
        (lambda _: api.runs(folders="x"), "runs() has no option `folders`. Did you mean `folder`?"),
        (lambda _: api.history(metric="x"), "history() has no option `metric`. Did you mean `metrics`?"),
    ],
)
def test_a_wrong_argument_raises_one_sentence(call: Callable[[Path], object], said: str, stored: Path) -> None:
    """The message names the argument and what it accepts."""
    with pytest.raises(CompareError, match=re.escape(said)):
        call(stored)


def test_replies_side_by_side_are_found_by_the_name_of_a_run(stored: Path) -> None:
    """A run's folder stands for its table, as in `summary`."""
    assert repr(runner.side_by_side(stored)) == repr(runner.side_by_side(load(stored)))

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
        (lambda at: api.diff(at, at, min_effect="x"), "min_effect='x': 'x' is not a share above 0 and up to 1000%"),
        (lambda at: api.diff(at, at, min_pass_change=5), "min_pass_change=5: '5' is not a share above 0"),
        (lambda at: api.diff(at, at, min_pass_change=None), "min_pass_change=None: 'None' is not a share"),
        (lambda at: api.diff(at, at, metric=3), "metric=3: give a text, or several in a list"),
        (lambda _: api.diff(None, None), "None names no run"),
        (lambda at: api.diff(at, between=5), "between=5: give two names"),
        (lambda _: api.run(prompts=["x"], defaults=3), "defaults=3: give a mapping"),
        (lambda _: api.run(prompts=["x"], judge=3), "judge=3: give a judge as 'provider/model'"),
        (lambda _: api.run(prompts=3), "prompts=3: give a list of prompts"),
        (lambda _: api.run(5), "suite=5: give a path"),
        (lambda _: api.capacity(5), "suite=5: give a path"),
        (lambda _: api.capacity(None), "suite=None: give a path"),
        (lambda _: api.capacity("x.yaml", load="users"), "load='users': give one of concurrency, rate"),
        (lambda _: api.load(5), "5 names no run"),
        (lambda _: api.load(None), "None names no run"),
        (lambda _: api.summary(3), "3 names no run"),
        (lambda at: api.summary(at, by="model"), "by='model': give one of "),
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
        *(
            (
                lambda _, name=name: api.run(prompts=["x"], **{name: []}),
                f"{name}=[]: give one or more; leave it out for all",
            )
            for name in ("targets", "provider", "case")
        ),
        (lambda at: api.judge(at, by="sim/judge", criteria=""), "criteria='': give a text, or the path of a text file"),
        (lambda at: api.judge(at, by="sim/judge", criteria="nofile.txt"), "nofile.txt cannot be read"),
        (lambda _: api.watch("x.yaml", every="x"), "every='x': give seconds, a number above 0"),
        (lambda _: api.watch("x.yaml", every=None), "every=None: give seconds, a number above 0"),
        (lambda _: api.watch("x.yaml", every=0.1), "every must be 1 s or more"),
        (lambda _: api.watch(5, every=60), "suite=5: give a path"),
        (lambda _: api.capacity("x.yaml", start=8), "Did you mean `first`?"),
        (lambda _: api.capacity("x.yaml", **{"from": 8}), "Did you mean `first`?"),
        (lambda _: api.capacity("x.yaml", slo_share=0.9), "Did you mean `share`?"),
        (lambda _: api.run("x.yaml", budget="5"), "budget='5': '5' is not a sum of money"),
        (lambda _: api.run("x.yaml", slo="ttft=3"), "slo='ttft=3': 'ttft=3' is not a threshold"),
        (lambda _: api.run("x.yaml", slo={"tftt": 3}), "slo={'tftt': 3}: an SLO has no threshold for tftt"),
        (lambda _: api.run("x.yaml", slo={}), "slo={}: give a text such as"),
        (lambda _: api.run("x.yaml", until_ci="foo%"), "until_ci='foo%': 'foo%' is not a share"),
        (lambda _: api.run("x.yaml", until_ci="x=5%"), "Write 5%, or ttft=5%,passes=4%"),
        (lambda _: api.run("x.yaml", percentiles="90"), "percentiles='90': give a list of numbers"),
        (lambda _: api.run("x.yaml", percentiles=[0]), "percentiles=[0]: 0 is not between 0 and 100"),
        (lambda _: api.run("x.yaml", sweep="1,2"), "sweep='1,2': give a list of whole numbers"),
        (lambda _: api.run("x.yaml", cache_probe=True, rate=2), "give repeat=N, and"),
        (lambda _: api.run("x.yaml", spread=60, requests=5), "give repeat=N, and"),
        (lambda _: api.run(prompts=["x"], vary={"thinkin": ["off"]}), "vary thinkin: no target has this parameter"),
        (lambda _: api.run(prompts=["x"], output="x.foo"), "output='x.foo': no output is called .foo"),
        (lambda _: api.history(output="x.foo"), "output='x.foo': no output is called .foo"),
        (lambda at: api.run(prompts=["x"], replay=at), "or, in Python, record=True"),
        (lambda at: api.diff(at, at, metric="tftt"), "metric='tftt'"),
    ],
)
def test_a_wrong_argument_raises_one_sentence(call: Callable[[Path], object], said: str, stored: Path) -> None:
    """The message names the argument and what it accepts."""
    with pytest.raises(CompareError, match=re.escape(said)) as raised:
        call(stored)
    assert not re.match(r"-", str(raised.value))


def test_replies_side_by_side_are_found_by_the_name_of_a_run(stored: Path) -> None:
    """A run's folder stands for its table, as in `summary`."""
    assert repr(runner.side_by_side(stored)) == repr(runner.side_by_side(load(stored)))

"""Mistakes of one command: all that can be known without each other are reported at once, and numbers are finite."""

import math
from pathlib import Path

import pytest

import runner
from runner.errors import CompareError, MissingKey, SeveralErrors
from tests.support.command import compare, write_yaml

SUITE = {"cases": [{"id": "one", "prompt": "hello"}]}
LONG = "9" * 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a suite and a broken one."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    write_yaml(tmp_path / "bad.yaml", {**SUITE, "promts": 1})
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "run suite.yaml -k nosuch -m nosuch/x --metric ttft --fast -o out.xyz",
            ("--metric applies to", "--fast sets", "-k nosuch fits no", "-m nosuch/x fits no", "-o out.xyz: no output"),
        ),
        ("run suite.yaml --baseline gone -m typo --metric foo -o kept", ("foo is not", "no gone", "-m typo fits")),
        ("run bad.yaml --retry-errors -o out.xyz", ("unknown key `promts`", "--retry-errors repeats", "-o out.xyz")),
        ("run suite.yaml -k nosuch -m openai/x", ("-k nosuch fits no", "OPENAI_API_KEY is not set")),
        ("run suite.yaml --rate 1 --sweep 1,2 --adaptive", ("how many start; choose", "{adaptive} changes it")),
        ("run suite.yaml --rate nan --repeat 0 --slo x=1", ("'--rate'", "'--repeat'", "'--slo'")),
        ("plan suite.yaml -k nosuch -m nosuch/x", ("-k nosuch fits no", "-m nosuch/x fits no")),
        ("diff gone lost --metric x --between a b -o out.xyz --alpha 7", ("no gone", "no lost", "x is not", "out.xyz")),
        ("diff gone lost --metric x --between a b --alpha 7", ("more than two sides", "alpha 7 is")),
        ("diff --alpha nan --min-effect 3", ("'BASE'", "'--alpha'", "'--min-effect'")),
    ],
)
def test_independent_mistakes_are_reported_at_once(arguments: str, said: tuple[str, ...], folder: Path) -> None:
    """Each has a line; nothing is sent, no folder is made, and the exit code is 2."""
    done = compare(folder, *arguments.split())
    assert done.returncode == 2
    shown = " ".join(done.stderr.split())
    assert [part for part in said if part.replace("{adaptive}", "--adaptive") not in shown] == []
    assert not (folder / "kept").exists()
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "sends"),
    [
        ("run bad.yaml", True),
        ("run suite.yaml -k nosuch -m nosuch/x", True),
        ("watch bad.yaml --every 1h", True),
        ("plan bad.yaml", False),
        ("providers --suite bad.yaml", False),
        ("import nosuch.yaml", False),
    ],
)
def test_only_a_command_that_sends_says_that_nothing_was_sent(arguments: str, folder: Path, *, sends: bool) -> None:
    """It says so below the mistakes."""
    done = compare(folder, *arguments.split())
    assert done.returncode == 2
    assert ("Nothing was sent." in done.stderr) is sends


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ("judge run --by sim/quick --temperature nan", "--temperature"),
        ("judge run --by sim/quick --temperature 1e999", "--temperature"),
        ("calibrate --rate nan", "--rate"),
        ("diff a b --alpha nan", "--alpha"),
        ("capacity suite.yaml --slo ttft=1s --from nan", "--from"),
        ("capacity suite.yaml --slo ttft=1s --most inf", "--most"),
        ("run suite.yaml --rate inf", "--rate"),
        ("run suite.yaml --late-bound nan", "--late-bound"),
        ("run suite.yaml --allow-errors nan%", "--allow-errors"),
        (f"run suite.yaml --repeat {LONG}", "--repeat"),
        (f"run suite.yaml --requests {LONG}", "--requests"),
        (f"run suite.yaml --duration {LONG}s", "--duration"),
        (f"watch suite.yaml --every {LONG}s", "--every"),
        ("runs --since 9999999d", "--since"),
    ],
)
def test_numbers_are_finite(arguments: str, option: str, folder: Path) -> None:
    """NaN, infinity and numbers with which no clock can calculate are refused, and the option is named."""
    done = compare(folder, *arguments.split())
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in " ".join(done.stderr.split())


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1e12])
def test_a_time_in_python_is_finite(wrong: float) -> None:
    """An interval of more than a century is refused, too."""
    with pytest.raises(CompareError, match=r"^every="):
        runner.watch("suite.yaml", every=wrong)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_numbers_of_prompts_in_python_are_finite(wrong: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This includes the numbers of an `extra_body`, which have no form in JSON; all are reported at once."""
    monkeypatch.chdir(tmp_path)
    defaults = {"temperature": wrong}
    with pytest.raises(CompareError, match="`temperature`"):
        runner.run(prompts=["x"], targets="sim/quick", defaults=defaults, progress=False)
    with pytest.raises(CompareError, match="`extra_body` has a number that is not finite"):
        runner.run(prompts=["x"], targets="sim/quick", defaults={"extra_body": {"a": [wrong]}}, progress=False)


def test_mistakes_of_keywords_and_of_a_run_are_reported_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong values of keywords come first; then cases, targets and outputs."""
    monkeypatch.chdir(folder)
    with pytest.raises(SeveralErrors, match=r"^repeat=0: give .*\nrate=-1: give "):
        runner.run("suite.yaml", repeat=0, rate=-1)
    with pytest.raises(SeveralErrors, match=r"case='nosuch' fits .*\noutput='out\.xyz': .*\ntargets='nosuch/x' fits"):
        runner.run("suite.yaml", case="nosuch", targets="nosuch/x", output="out.xyz")
    with pytest.raises(CompareError, match=r"there is no gone.*\nthere is no lost"):
        runner.diff("gone", "lost")


def test_wrong_keywords_of_one_call_are_reported_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a line that names it."""
    monkeypatch.chdir(folder)
    with pytest.raises(SeveralErrors, match=r"^metric='foo': .*\nalpha='x': .*\nbetween=\('x',\): "):
        runner.diff("gone", between=("x",), metric="foo", alpha="x")  # type: ignore[arg-type]
    with pytest.raises(SeveralErrors, match=r"^metrics='foo': .*\noutput="):
        runner.history(metrics="foo", output=3)  # type: ignore[arg-type]
    with pytest.raises(SeveralErrors, match=r"^share=2: .*\nload='foo': .*\nslo='x': "):
        runner.capacity("suite.yaml", slo="x", share=2, load="foo")  # type: ignore[arg-type]


def test_contradicting_options_of_a_resumed_run_are_named_as_typed(folder: Path) -> None:
    """They are checked before the options of the run fill the omitted ones."""
    assert compare(folder, "run", "suite.yaml", "-m", "sim/quick", "-o", "first").returncode == 0
    done = compare(folder, "run", "suite.yaml", "--resume", "first", "--rate", "5", "--sweep", "1,2", "--fast")
    assert done.returncode == 2
    assert "--sweep sets" in done.stderr
    assert "--fast sets" in done.stderr


def test_the_runs_and_the_outputs_of_votes_are_checked_together(folder: Path) -> None:
    """Neither hides what is wrong with the other."""
    done = compare(folder, "votes", "nosuch", "a.json", "-o", "x.foo")
    assert done.returncode == 2
    assert "nosuch" in done.stderr
    assert "x.foo" in done.stderr


def test_several_errors_keep_an_exit_code_that_they_share() -> None:
    """Missing keys alone exit with 4; with any other mistake the exit code is 2."""
    assert SeveralErrors([MissingKey("a"), MissingKey("b")]).exit_code == 4
    assert SeveralErrors([MissingKey("a"), CompareError("b")]).exit_code == 2

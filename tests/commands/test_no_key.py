"""Without any key: the simulator answers an interactive user, and never a pipeline or a gate."""

from pathlib import Path

import pytest
import yaml

import runner
from runner.errors import MissingKey
from tests.conftest import RunCli
from tests.support.command import ROOT, write_yaml

SUITE = {"cases": [{"id": "hi", "prompt": "hi"}]}
EMPTY_SECRET = {"CI": "true", "DEEPSEEK_API_KEY": ""}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Return a suite that names no target."""
    return write_yaml(tmp_path / "suite.yaml", SUITE)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("run", "suite.yaml"), EMPTY_SECRET),
        (("run", "suite.yaml"), {"CI": "1"}),
        (("ask", "hi"), EMPTY_SECRET),
        (("plan", "suite.yaml"), EMPTY_SECRET),
        (("snapshot", "suite.yaml"), {}),
        (("run", "suite.yaml", "--baseline", str(ROOT / "prompts" / "ci.snapshot"), "--gate"), {}),
        (("run", "suite.yaml", "--baseline", str(ROOT / "prompts" / "ci.snapshot"), "--fail-undecided"), {}),
    ],
)
def test_a_pipeline_or_a_gate_without_a_key_exits_with_4(
    run_cli: RunCli, suite: Path, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    """Nothing is sent or written, and the message says what is missing and what to do."""
    done = run_cli(*arguments, env=variables)

    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "Nothing was sent" in done.stderr
    assert ("secret of the pipeline" in done.stderr) == ("CI" in variables)
    assert "-p sim" in done.stderr
    assert not (suite.parent / "results").exists()


def test_unknown_models_of_the_simulator_and_unknown_providers_are_one_error(run_cli: RunCli, suite: Path) -> None:
    """Each wrong -m has its line, with what was probably meant or where to look."""
    done = run_cli("run", suite, "-m", "sim/qick", "-m", "nosuch/x", "-m", "sim/quick")

    assert done.returncode == 2
    assert "sim/qick: The model 'qick' does not exist. Did you mean `sim/quick`?" in done.stderr
    assert "-m nosuch/x fits no configured model. No provider is configured. No provider is called" in done.stderr


def test_an_empty_secret_is_named(run_cli: RunCli, suite: Path) -> None:
    """A pull request from a fork has variables that are set and empty.

    The message distinguishes them from unset ones.
    """
    empty = run_cli("run", suite, env=EMPTY_SECRET)
    unset = run_cli("run", suite, env={"CI": "true"})

    assert "DEEPSEEK_API_KEY is set and empty" in empty.stderr
    assert "set and empty" not in unset.stderr
    assert "no provider has a key" in unset.stderr


def test_a_named_simulator_answers_in_ci(run_cli: RunCli, suite: Path) -> None:
    """`-m sim/NAME` works in CI, because it is explicit."""
    assert run_cli("run", suite, "-m", "sim/quick", env=EMPTY_SECRET).returncode == 0


def test_skip_missing_that_leaves_no_target_is_an_error(run_cli: RunCli, suite: Path) -> None:
    """Leaving out targets without a key must not leave out all of them."""
    done = run_cli("run", suite, "-m", "deepseek/deepseek-flash", "--skip-missing", env=EMPTY_SECRET)
    assert done.returncode == 4
    assert "DEEPSEEK_API_KEY" in done.stderr


def test_commands_that_send_nothing_need_no_key_in_ci(run_cli: RunCli, suite: Path) -> None:
    """These are a plan, a replay, a snapshot of an existing run and a report."""
    assert run_cli("run", suite, "-m", "sim/quick", "--record", "-o", "results/one").returncode == 0
    for arguments in (
        ("plan", suite, "-m", "deepseek/*"),
        ("run", suite, "--replay", "results/one", "--fast"),
        ("report", "results/one"),
        ("export", "results/one", "-o", "rows.jsonl"),
    ):
        done = run_cli(*arguments, env=EMPTY_SECRET)
        assert done.returncode == 0, done.stderr
    compared = run_cli("snapshot", suite, "--from", "results/one", env=EMPTY_SECRET)
    assert "nothing was compared" in compared.stderr


def test_python_raises_missing_key_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` refuses as the command does."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(MissingKey, match="Nothing was sent"):
        runner.run(prompts=["hi"])


def test_the_simulator_answers_an_interactive_user_without_a_key(run_cli: RunCli, suite: Path) -> None:
    """Outside of CI it is used, and a note says so."""
    done = run_cli("run", suite, env={"CI": "false"})
    assert done.returncode == 0
    assert "the built-in simulator answers" in done.stderr


def test_the_workflow_of_init_skips_visibly_where_there_can_be_no_secret(run_cli: RunCli, tmp_path: Path) -> None:
    """Pull requests from forks and Dependabot get no secrets: the job is skipped, and another one says why."""
    run_cli("init")
    workflow = yaml.safe_load((tmp_path / ".github/workflows/compare.yml").read_text(encoding="utf-8"))
    jobs = workflow["jobs"]
    for condition in ("github.event.pull_request.head.repo.full_name", "dependabot[bot]"):
        assert condition in jobs["compare"]["if"]
        assert condition in jobs["compare-skipped"]["if"]
    assert "::notice" in jobs["compare-skipped"]["steps"][0]["run"]

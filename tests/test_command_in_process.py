"""A command called in the process of the tests does what it does in a process of its own."""

import os
from pathlib import Path

import pytest

from runner.cli.schema import schema
from tests.support import command


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("run", "missing.yaml"),
        ("run", "suite.yaml", "-m", "nobody/x"),
        ("unknown",),
        ("plan", "suite.yaml", "-m", "sim/quick"),
    ],
)
def test_calls_in_both_ways_print_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Exit code, stdout and stderr are equal, errors of usage and of ours included."""
    command.write_yaml(tmp_path / "suite.yaml", {"cases": [{"id": "a", "prompt": "你好"}]})
    ended = []
    for always_start in (False, True):
        monkeypatch.setattr(command, "always_start", always_start)
        done = command.compare(tmp_path, *arguments)
        ended.append((done.returncode, done.stdout, done.stderr))
    assert ended[0] == ended[1]


def test_a_call_leaves_folder_environment_and_streams_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Variables of a call are gone after it, and nothing is printed to the streams of the tests."""
    before = (Path.cwd(), dict(os.environ))
    (tmp_path / "elsewhere").mkdir()
    command.compare(tmp_path / "elsewhere", "providers", variables={"DEEPSEEK_API_KEY": "not-a-key"})
    assert (Path.cwd(), dict(os.environ)) == before
    assert capsys.readouterr() == ("", "")


def test_a_crash_is_printed_as_a_process_prints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that escapes the command is exit code 1 and a traceback."""

    def break_down(**_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(command, "always_start", False)
    monkeypatch.setattr(schema, "callback", break_down)
    done = command.compare(tmp_path, "schema")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback")
    assert "RuntimeError: a bug" in done.stderr

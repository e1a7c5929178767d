"""A command that is called in the process of the tests behaves as in its own process."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from runner.cli.schema import schema
from tests.support import command
from tests.support.forked_process import can_fork, start_forked


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
    """Exit code, stdout and stderr are equal, also for usage errors and our errors, and in a fork."""
    command.write_yaml(tmp_path / "suite.yaml", {"cases": [{"id": "a", "prompt": "你好"}]})
    ended = []
    for always_start in (False, True):
        monkeypatch.setattr(command, "always_start", always_start)
        done = command.compare(tmp_path, *arguments)
        ended.append((done.returncode, done.stdout, done.stderr))
    monkeypatch.setattr(command, "always_start", False)
    done = command.finish(command.start(tmp_path, *arguments))
    ended.append((done.returncode, done.stdout, done.stderr))
    assert ended[0] == ended[1] == ended[2]


@pytest.mark.skipif(not can_fork(), reason="forks are for Linux")
def test_a_fork_holds_no_file_of_the_tests_and_ends_at_a_signal(tmp_path: Path) -> None:
    """Closed files are closed there; an interrupt reaches the command; its variables and folder are its own."""
    reader, writer = os.pipe()
    before = (Path.cwd(), dict(os.environ))
    with start_forked(
        "runner", ("simulate", "--port", "0"), {"ONLY": "this"}, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "http://127.0.0.1" in process.stdout.readline()
        os.close(writer)
        os.set_blocking(reader, False)
        assert os.read(reader, 1) == b""
        assert Path(f"/proc/{process.pid}/cwd").readlink() == tmp_path
        process.send_signal(signal.SIGINT)
        assert process.wait(command.TIMEOUT_S) == 0
    os.close(reader)
    assert (Path.cwd(), dict(os.environ)) == before


def test_a_call_leaves_folder_environment_and_streams_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its variables are gone afterwards, and nothing is printed to the streams of the tests."""
    before = (Path.cwd(), dict(os.environ))
    (tmp_path / "elsewhere").mkdir()
    command.compare(tmp_path / "elsewhere", "providers", variables={"DEEPSEEK_API_KEY": "not-a-key"})
    assert (Path.cwd(), dict(os.environ)) == before
    assert capsys.readouterr() == ("", "")


def test_a_crash_is_printed_as_a_process_prints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that escapes the command gives exit code 1 and a traceback."""

    def break_down(**_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(command, "always_start", False)
    monkeypatch.setattr(schema, "callback", break_down)
    done = command.compare(tmp_path, "schema")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback")
    assert "RuntimeError: a bug" in done.stderr

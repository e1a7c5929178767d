"""The command `compare`, called in this process or in a new one, and the files that it reads and writes.

Starting a process that imports pandas and the SDK takes several times as long as a small run against the simulator. So
the command is called in the process of the tests, with a folder, an environment and streams of its own. Behaviour that
is visible only from outside is tested in a fork of this process; the start of an interpreter is tested with a new one.
With pytest's option `--thorough` every call starts an interpreter.
"""

import csv
import faulthandler
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from runner.cli import commands, print_redacted
from tests.support import forked_process
from tests.support.forked_process import start_forked

ROOT = Path(__file__).parents[2]
KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH")
READ_AT_START = ("PYTHON", "OPENAI_LOG")
"""Prefixes of the names of variables that the interpreter or a library reads only once."""

COMPARE = ("-m", "runner")
TIMEOUT_S = 120

always_start = False
"""Whether each call starts an interpreter, as the option `--thorough` says."""


# Files


def write_yaml(path: Path, content: object) -> Path:
    """Write a suite or a configuration; return its path."""
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def write_config(folder: Path, **rows: Mapping[str, object]) -> None:
    """Write a compare.yaml with rows for these providers."""
    write_yaml(folder / "compare.yaml", {"providers": rows})


def read_lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the lines of one kind of a run's journal."""
    lines = (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a run's CSV."""
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# The command


def compare(
    folder: Path, *arguments: str, program: Sequence[str] = COMPARE, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end in a folder that is its home, without a developer's keys and proxies.

    It runs in a new process if there is another `program`, or a variable that the interpreter reads at its start.
    """
    if program != COMPARE or any(name.startswith(READ_AT_START) for name in variables or ()):
        return finish(start(folder, *arguments, program=program, variables=variables))
    return call(arguments, folder, own_environment(folder, variables))


def succeed(folder: Path, *arguments: str) -> str:
    """Run a command that is to succeed; return what it prints."""
    done = compare(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_environment(folder: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with a folder as home and these variables, without those that a developer may have set."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **(variables or {})}


# In a new process


def start(
    folder: Path,
    *arguments: str,
    program: Sequence[str] = COMPARE,
    variables: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    **streams: int | IO[Any],
) -> subprocess.Popen[str]:
    """Start the command in a folder that is its home, without a developer's keys and proxies.

    `encoding` and `errors` are those with which its output is read; `streams` replace its standard streams.
    """
    environment = own_environment(folder, variables)
    options: dict[str, Any] = {
        "cwd": folder,
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "encoding": encoding,
        "errors": errors,
        **streams,
    }
    if program == COMPARE and can_fork(variables):
        return start_forked("runner", arguments, environment, **options)
    return subprocess.Popen([sys.executable, *program, *arguments], env=environment, **options)


def can_fork(variables: Mapping[str, str] | None = None) -> bool:
    """Return whether the command runs in a fork of this process as in a new interpreter with these variables."""
    read_at_start = [name for name in variables or () if name.startswith(READ_AT_START) and name != "PYTHONIOENCODING"]
    return forked_process.can_fork() and not always_start and not read_at_start


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a process that was started; kill it if it does not end in time."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


# In this process


def call(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Call the command in a folder and an environment; return its exit code and what it printed."""
    if always_start:
        return _run_in_new_process(arguments, folder, environment, stdin)
    with _streams(stdin) as (stdout, stderr), chdir(folder), _variables(environment), _exit_if_stuck():
        code = _exit_code(arguments)
        return subprocess.CompletedProcess(arguments, code, _text(stdout), _text(stderr))


def _run_in_new_process(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a new process in which warnings are errors, as in the process of the tests."""
    return subprocess.run(
        [sys.executable, "-W", "error", *COMPARE, *arguments],
        cwd=folder,
        env=environment,
        input=stdin,
        timeout=TIMEOUT_S,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        commands.main(args=list(arguments), prog_name="compare")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except Exception as error:  # noqa: BLE001 -- a bug: as the interpreter does by `sys.excepthook`
        print_redacted(type(error), error, error.__traceback__)
        return 1


@contextmanager
def _streams(stdin: str) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Replace the standard streams during a block; yield those that receive stdout and stderr."""
    stdout, stderr = io.BytesIO(), io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        patch.setattr(sys, "stdout", io.TextIOWrapper(stdout, "utf-8", write_through=True))
        patch.setattr(sys, "stderr", io.TextIOWrapper(stderr, "utf-8", "backslashreplace", write_through=True))
        yield stdout, stderr


def _text(written: io.BytesIO) -> str:
    return written.getvalue().decode("utf-8").replace(os.linesep, "\n")


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Replace the environment during a block."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(environment)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _exit_if_stuck() -> Iterator[None]:
    """Print all stacks and end the process if a block does not end."""
    faulthandler.dump_traceback_later(TIMEOUT_S, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()

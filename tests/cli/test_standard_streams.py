"""Standard streams: no encoding causes a traceback, JSON keeps its meaning, a closed stream is no error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ROOT, compare, finish, own_environment, start, write_yaml

SAID = "你是谁？ 🌍 – é"
SUITE = {"cases": [{"id": "谁", "prompt": f'Reply with exactly "{SAID}".'}]}
ENCODINGS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "gbk": {"PYTHONIOENCODING": "gbk"},
    "C locale": {"PYTHONIOENCODING": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a suite and a run of it."""
    place = tmp_path_factory.mktemp("encodings")
    write_yaml(place / "suite.yaml", SUITE)
    done = compare(place, "run", "suite.yaml", "-m", "sim/quick", "-q", "-o", "results/one")
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.parametrize(
    ("encoding", "arguments"),
    [
        pytest.param("cp1252", ("--help",), marks=pytest.mark.thorough),
        pytest.param("cp1252", ("ask", SAID, "-m", "sim/quick"), marks=pytest.mark.thorough),
        ("cp1252", ("report", "results/one", "--replies")),
        pytest.param("C locale", ("report", "results/one", "--replies"), marks=pytest.mark.thorough),
        ("C locale", ("run", "谁.yaml")),
    ],
)
def test_no_encoding_ends_a_command_in_a_traceback(folder: Path, encoding: str, arguments: tuple[str, ...]) -> None:
    """Characters that the encoding lacks are written as escapes; the exit code is the same as with UTF-8."""
    done = finish(start(folder, *arguments, variables=ENCODINGS[encoding], errors="replace"))
    assert "Traceback" not in done.stderr
    assert "UnicodeEncodeError" not in done.stderr
    assert done.returncode == (2 if arguments[0] == "run" else 0)


@pytest.mark.parametrize("encoding", ["gbk", pytest.param("C locale", marks=pytest.mark.thorough)])
def test_json_means_the_same_in_every_encoding(folder: Path, encoding: str) -> None:
    """Characters that the encoding lacks are JSON escapes: two for those beyond the basic plane."""
    # Click writes UTF-8 if a stream claims to be ASCII.
    codec = "utf-8" if encoding == "C locale" else encoding
    process = start(folder, "ask", f'Reply with exactly "{SAID}".', "-m", "sim/quick", "--json", "-q",
                    variables=ENCODINGS[encoding], encoding=codec)  # fmt: skip
    done = finish(process)
    assert done.returncode == 0, done.stderr
    assert [row["reply"] for row in json.loads(done.stdout)["rows"]] == [SAID]


@pytest.mark.skipif(sys.platform == "win32", reason="closes file descriptors as a POSIX shell does")
@pytest.mark.parametrize("closed", [pytest.param(">&-", marks=pytest.mark.thorough), "<&- >&- 2>&-"])
def test_a_closed_stream_changes_no_exit_code_and_no_file(folder: Path, tmp_path: Path, closed: str) -> None:
    """The command completes; no printed text gets into one of its files."""
    command = f"{sys.executable} -m runner run {folder / 'suite.yaml'} -m sim/quick -o out {closed}"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["kind"] for line in lines][-1] == "end"


# Streams that fail


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="a device that is always full, as Linux has it")


def run_in_shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command, in which $COMPARE is the command; a pipe fails if a part of it does."""
    environ = own_environment(folder, {"COMPARE": f"{sys.executable} -m runner"})
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )


LOST = "standard output cannot be written: No space left on device"


@needs_full
@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("schema >/dev/full", 3, LOST),
        ("schema | head -1", 0, ""),
        ("export results/nothing >/dev/full 2>/dev/full", 2, ""),
    ],
)
def test_an_interpreter_whose_stream_cannot_be_written_ends_with_the_code_of_the_command(
    folder: Path, command: str, code: int, said: str
) -> None:
    """Flushing at the end of the interpreter neither changes the exit code nor prints a message."""
    done = run_in_shell(folder, f"$COMPARE {command}")
    assert (done.returncode, "Traceback" in done.stderr, "Exception" in done.stderr) == (code, False, False)
    assert said in done.stderr


@needs_full
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("report results/one", 0, LOST),
        ("export results/one --otel", 3, LOST),
        ("run suite.yaml -m sim/quick -o json --json", 3, LOST),
    ],
)
def test_a_full_disk_behind_standard_output_is_reported(folder: Path, arguments: str, code: int, said: str) -> None:
    """The command completes and reports the lost output; lost JSON or a lost export is a failure."""
    with FULL.open("w") as full:
        done = finish(start(folder, *arguments.split(), stdout=full))
    assert (done.returncode, "Traceback" in done.stderr, "Exception" in done.stderr) == (code, False, False)
    assert said in done.stderr


@needs_full
def test_a_run_without_writable_streams_is_completed(folder: Path) -> None:
    """Neither standard output nor standard error can be written."""
    with FULL.open("w") as full:
        done = finish(start(folder, "run", "suite.yaml", "-m", "sim/quick", "-o", "full", stdout=full, stderr=full))
    assert done.returncode == 0
    assert (folder / "full" / "results.csv").exists()


def test_a_closed_pipe_changes_no_exit_code(folder: Path) -> None:
    """A pipe that is closed, as by `| head`, is not reported."""
    with start(folder, "report", "results/one", "--replies", "--color", "always") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, "Traceback" in said, "Exception" in said, "cannot be" in said) == (0, *[False] * 3)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a working folder cannot be removed")
def test_a_removed_working_folder_is_an_error_only_where_it_is_needed(tmp_path: Path) -> None:
    """The error says what to do; commands that do not need the folder work."""
    (tmp_path / "gone").mkdir()
    done = run_in_shell(tmp_path, "cd gone; rmdir ../gone; $COMPARE doctor; echo $? >&2; $COMPARE --version")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert done.stderr == "compare: the working folder was removed; change into another one, and run it again\n2\n"


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows have no names that are not text")
def test_a_folder_whose_name_is_not_utf8_can_be_used(tmp_path: Path) -> None:
    """Suite, run folder and outputs work in it; in tables the invalid byte is a replacement character."""
    place = tmp_path / os.fsdecode(b"b\xffd")
    place.mkdir()
    write_yaml(place / os.fsdecode(b"s\xe9.yaml"), SUITE)
    suite, out = os.fsdecode(b"s\xe9.yaml"), os.fsdecode(b"o\xe9")
    done = compare(place, "run", suite, "-m", "sim/quick", "-o", out, "-o", "table.md")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert {path.name for path in (place / out).iterdir()} >= {"journal.jsonl", "results.csv", "report.html"}
    for arguments in (("report", out), ("export", out, "-o", "rows.xml"), ("run", "--resume", out)):
        done = compare(place, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("columns", ["abc", "-5", "²", "9" * 30])
def test_no_width_of_the_terminal_ends_a_command(folder: Path, columns: str) -> None:
    """An invalid COLUMNS is ignored."""
    expected = compare(folder, "report", "results/one")
    for colour in ("never", "always"):
        done = compare(
            folder, "report", "results/one", "--color", colour, variables={"COLUMNS": columns, "LINES": columns}
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= expected.stdout.count("\n") > 0


def test_standard_input_that_is_not_text_is_refused(folder: Path) -> None:
    """Undecodable bytes are not sent, not even in a C locale, where Python keeps them as surrogates."""
    done = run_in_shell(folder, "printf '\\xff' | LC_ALL=C.UTF-8 PYTHONIOENCODING= $COMPARE ask - -m sim/quick")
    assert (done.returncode, done.stderr) == (
        2,
        "compare: standard input is not utf-8: its byte 1. Convert it first, as in iconv -f GBK -t UTF-8\n",
    )

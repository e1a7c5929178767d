"""Standard streams: no encoding ends a command in a traceback, JSON keeps its meaning, a closed stream is no error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ROOT, compare, finish, start, write_yaml

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
    """Whatever the encoding lacks is written as an escape; the exit code is the same as with UTF-8."""
    done = finish(start(folder, *arguments, variables=ENCODINGS[encoding], errors="replace"))
    assert "Traceback" not in done.stderr
    assert "UnicodeEncodeError" not in done.stderr
    assert done.returncode == (2 if arguments[0] == "run" else 0)


@pytest.mark.parametrize("encoding", ["gbk", pytest.param("C locale", marks=pytest.mark.thorough)])
def test_json_means_the_same_in_every_encoding(folder: Path, encoding: str) -> None:
    """Characters that the encoding lacks are JSON escapes, those beyond the basic plane two of them."""
    # Click writes UTF-8 where a stream claims to be ASCII.
    codec = "utf-8" if encoding == "C locale" else encoding
    process = start(folder, "ask", f'Reply with exactly "{SAID}".', "-m", "sim/quick", "--json", "-q",
                    variables=ENCODINGS[encoding], encoding=codec)  # fmt: skip
    done = finish(process)
    assert done.returncode == 0, done.stderr
    assert [row["reply"] for row in json.loads(done.stdout)["rows"]] == [SAID]


@pytest.mark.skipif(sys.platform == "win32", reason="closes file descriptors as a POSIX shell does")
@pytest.mark.parametrize("closed", [pytest.param(">&-", marks=pytest.mark.thorough), "<&- >&- 2>&-"])
def test_a_closed_stream_changes_no_exit_code_and_no_file(folder: Path, tmp_path: Path, closed: str) -> None:
    """The command does its work; nothing that it prints gets into one of its files."""
    command = f"{sys.executable} -m runner run {folder / 'suite.yaml'} -m sim/quick -o out {closed}"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["kind"] for line in lines][-1] == "end"

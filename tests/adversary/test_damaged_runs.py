"""Commands on a run whose journal is damaged: they go on with the good rows, and say what they left out."""

import json
import os
import shutil
from pathlib import Path

import pytest

from runner.commands.load_stored_run import load_run
from runner.storage import journal
from runner.storage.journal import FILE_NAME
from runner.storage.recordings.reader import read_recordings
from runner.storage.recordings.recording import SIZES
from tests.support.command import compare, read_lines, read_rows

SAMPLES = Path(__file__).parents[1] / "samples" / "runs"
BAD_LINE = 14
"""A record of the sample."""


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Return a folder with a recorded run whose journal has a bad byte in the line of a record, as `run`."""
    shutil.copytree(SAMPLES / "complete", tmp_path / "run")
    lines = (tmp_path / "run" / FILE_NAME).read_bytes().splitlines(keepends=True)
    assert lines[BAD_LINE - 1].startswith(b'{"kind":"record"')
    lines[BAD_LINE - 1] = lines[BAD_LINE - 1].replace(b'"provider":"', b'"provider":"\xff', 1)
    (tmp_path / "run" / FILE_NAME).write_bytes(b"".join(lines))
    return tmp_path


def records_of(folder: Path) -> int:
    """Return how many records of a run are sound."""
    return len(list(journal.read(folder).records))


SAID = f"left out: line {BAD_LINE} (not UTF-8: its byte "
REPAIR = "--repair` writes a sound copy"


@pytest.mark.parametrize(
    "arguments",
    [("report", "run"), ("diff", "run", "run"), ("export", "run", "-o", "rows.csv"), ("export", "run", "--otel")],
)
def test_a_command_on_a_damaged_run_goes_on_and_says_what_it_left_out(
    damaged: Path, arguments: tuple[str, ...]
) -> None:
    """The exit code is the one that the good rows earn; the line and the way to a sound copy are named."""
    done = compare(damaged, *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert SAID in done.stdout + done.stderr
    assert REPAIR in " ".join((done.stdout + done.stderr).split())


def test_a_page_on_a_damaged_run_says_what_it_left_out(damaged: Path) -> None:
    """Who gets the page alone knows that rows are missing."""
    assert compare(damaged, "report", "run").returncode == 0
    assert SAID in (damaged / "run" / "report.html").read_text(encoding="utf-8")


def test_a_damaged_run_is_repaired_into_a_sound_copy(damaged: Path) -> None:
    """The copy has every good row and the recordings, loads without a remark, and the damaged run stays as it is."""
    before = (damaged / "run" / FILE_NAME).read_bytes()
    done = compare(damaged, "rederive", "run", "--repair")
    assert done.returncode == 0, done.stderr
    assert SAID in " ".join(done.stderr.split())
    assert REPAIR not in done.stderr, "it is what the user has just done"
    copy = damaged / "run-repaired"
    assert done.stdout == f"requests kept: {len(read_lines(copy, 'record'))}\n"
    assert journal.read(copy).damage.lines == {}
    assert len(read_rows(copy)) == records_of(copy) == records_of(damaged / "run") > 0
    assert (damaged / "run" / FILE_NAME).read_bytes() == before
    assert (copy / "recordings.bin").read_bytes() == (damaged / "run" / "recordings.bin").read_bytes()
    assert compare(damaged, "rederive", "run", "--repair").returncode == 2, "the copy is not overwritten"


def test_a_damaged_run_is_rederived_without_its_bad_lines(damaged: Path) -> None:
    """Recomputing needs no repair first."""
    done = compare(damaged, "rederive", "run")
    assert done.returncode == 0, done.stderr
    assert SAID in done.stderr
    assert journal.read(damaged / "run-rederived").damage.lines == {}


def test_a_damaged_run_is_not_resumed_before_it_is_repaired(damaged: Path) -> None:
    """What is damaged would be paid for twice without a word; the copy is resumed and asks for it alone."""
    shutil.copy(SAMPLES / "complete.yaml", damaged)
    shutil.copy(SAMPLES / "own_checks.py", damaged)
    done = compare(damaged, "run", "--resume", "run")
    assert done.returncode == 2
    assert SAID in done.stderr
    assert "resume that one. Nothing was sent" in done.stderr
    assert compare(damaged, "rederive", "run", "--repair").returncode == 0
    done = compare(damaged, "run", "--resume", "run-repaired", "--progress", "plain")
    assert "[1/1]" in done.stderr, done.stderr


def test_damaged_checks_and_prices_cost_only_themselves(damaged: Path) -> None:
    """A case's checks and a target's price that cannot be read are left out, and named; every row is there."""
    path = damaged / "run" / FILE_NAME
    header, _, rest = path.read_bytes().partition(b"\n")
    changed = json.loads(header)
    changed["checks"]["remember"] = {"checks": 5}
    changed["prices"] = {"sim/quick": {"rates": []}}
    path.write_bytes(json.dumps(changed).encode() + b"\n" + rest)
    run = load_run(damaged / "run")
    assert run.left_out is not None
    assert "line 1 (the header's price of sim/quick, checks of remember); line 14 (not UTF-8" in run.left_out
    assert run.header.checks.keys() == changed["checks"].keys() - {"remember"}
    assert len(run.table) == records_of(damaged / "run")


def test_records_that_are_gone_are_counted(tmp_path: Path) -> None:
    """A run that came to its end and lacks rows is partial, in every table and on the page; a resumed run has them."""
    shutil.copytree(SAMPLES / "complete", tmp_path / "run")
    path = tmp_path / "run" / FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    records = [at for at, line in enumerate(lines) if line.startswith(b'{"kind":"record"') and b'"warmup"' not in line]
    path.write_bytes(b"".join(line for at, line in enumerate(lines) if at not in records[:7]))
    run = load_run(tmp_path / "run")
    assert (run.missing, run.ended, run.left_out) == (7, False, None)
    done = compare(tmp_path, "report", "run")
    said = "of 30 planned requests 7 have no record, though the run came to its end"
    assert said in " ".join(done.stdout.split())
    assert said in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    done = compare(tmp_path, "diff", "run", "run")
    assert "is unfinished: 23 requests of 30 planned" in " ".join((done.stdout + done.stderr).split())


def test_a_record_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    """The copy is named, and it does not hide that another record is gone."""
    shutil.copytree(SAMPLES / "kept", tmp_path / "run")
    path = tmp_path / "run" / FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    first, second = [at for at, line in enumerate(lines) if line.startswith(b'{"kind":"record"')][:2]
    lines[second] = lines[first]
    path.write_bytes(b"".join(lines))
    run = load_run(tmp_path / "run")
    assert (run.missing, len(run.table)) == (1, 5)
    assert f"line {second + 1} (a second record of the request in line {first + 1})" in (run.left_out or "")


def test_damaged_recordings_are_copied_as_far_as_they_are_sound(damaged: Path) -> None:
    """What cannot be read of them is named with its byte."""
    path = damaged / "run" / "recordings.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    done = compare(damaged, "rederive", "run", "--repair")
    assert done.returncode == 0, done.stderr
    copy = (damaged / "run-repaired" / "recordings.bin").read_bytes()
    assert 0 < len(copy) < len(data)
    assert bytes(data).startswith(copy)
    kept = len(read_recordings(damaged / "run-repaired").entries)
    said = " ".join(done.stderr.split())
    assert (
        f"recordings.bin ends within a recording, at byte {len(data):,}. Recordings kept, those before it: {kept};"
        in said
    )


@pytest.mark.parametrize("arguments", [("--repair",), ()])
def test_recordings_that_were_cut_off_are_named(damaged: Path, arguments: tuple[str, ...]) -> None:
    """How many are left of a file that ends within a recording is said, since nothing else shows that some are lost."""
    path = damaged / "run" / "recordings.bin"
    whole = read_recordings(damaged / "run")
    cut = whole.entries[3].end - 1
    os.truncate(path, cut)
    done = compare(damaged, "rederive", "run", *arguments)
    assert done.returncode == 0, done.stderr
    said = f"run/recordings.bin ends within a recording, at byte {cut:,}. Recordings kept, those before it: 3;"
    assert said in " ".join(done.stderr.split())


def test_a_label_that_cannot_be_decompressed_is_a_sentence(damaged: Path) -> None:
    """It names the byte and what is kept, in words."""
    path = damaged / "run" / "recordings.bin"
    data = bytearray(path.read_bytes())
    at = read_recordings(damaged / "run").entries[0].end
    data[at + SIZES.size : at + SIZES.size + 8] = b"\xff" * 8
    path.write_bytes(data)
    said = " ".join(compare(damaged, "rederive", "run", "--repair").stderr.split())
    assert f"is damaged at byte {at}: its label cannot be decompressed. Recordings kept, those before it: 1;" in said

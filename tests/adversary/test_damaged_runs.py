"""Commands on a run with a damaged journal: they use the valid rows, and name what they left out."""

import json
import os
import shutil
from pathlib import Path

import pytest

from runner.commands.load_stored_run import load_run
from runner.storage import journal
from runner.storage.journal import JOURNAL_FILE
from runner.storage.recordings.reader import read_recordings
from runner.storage.recordings.recording_format import SIZES
from tests.support.command import compare, read_lines, read_rows

SAMPLES = Path(__file__).parents[1] / "samples" / "runs"
BAD_LINE = 14
"""A record of the sample."""


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Return a folder with a recorded run as `run`, whose journal has a bad byte in the line of a record."""
    shutil.copytree(SAMPLES / "complete", tmp_path / "run")
    lines = (tmp_path / "run" / JOURNAL_FILE).read_bytes().splitlines(keepends=True)
    assert lines[BAD_LINE - 1].startswith(b'{"kind":"record"')
    lines[BAD_LINE - 1] = lines[BAD_LINE - 1].replace(b'"provider":"', b'"provider":"\xff', 1)
    (tmp_path / "run" / JOURNAL_FILE).write_bytes(b"".join(lines))
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    return tmp_path


def records_of(folder: Path) -> int:
    """Return the number of valid records of a run."""
    return len(list(journal.read(folder).records))


SAID = f"left out: line {BAD_LINE} (not UTF-8: its byte "
REPAIR = "--repair` writes a sound copy"


@pytest.mark.parametrize(
    "arguments",
    [("report", "run"), ("diff", "run", "copy"), ("export", "run", "-o", "rows.csv"), ("export", "run", "--otel")],
)
def test_a_command_on_a_damaged_run_names_what_it_left_out(damaged: Path, arguments: tuple[str, ...]) -> None:
    """The exit code is that of the valid rows; the line and the way to a valid copy are named."""
    done = compare(damaged, *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert SAID in done.stdout + done.stderr
    assert REPAIR in " ".join((done.stdout + done.stderr).split())


def test_a_page_on_a_damaged_run_names_what_it_left_out(damaged: Path) -> None:
    """A reader of the page alone sees that rows are missing."""
    assert compare(damaged, "report", "run").returncode == 0
    assert SAID in (damaged / "run" / "report.html").read_text(encoding="utf-8")


def test_a_damaged_run_is_repaired_into_a_sound_copy(damaged: Path) -> None:
    """The copy has every valid row and the recordings, loads without a remark, and the damaged run is unchanged."""
    before = (damaged / "run" / JOURNAL_FILE).read_bytes()
    done = compare(damaged, "rederive", "run", "--repair")
    assert done.returncode == 0, done.stderr
    assert SAID in " ".join(done.stderr.split())
    assert REPAIR not in done.stderr, "it is what the user has just done"
    copy = damaged / "run-repaired"
    assert done.stdout == f"requests kept: {len(read_lines(copy, 'record'))}\n"
    assert journal.read(copy).damage.lines == {}
    assert len(read_rows(copy)) == records_of(copy) == records_of(damaged / "run") > 0
    assert (damaged / "run" / JOURNAL_FILE).read_bytes() == before
    assert (copy / "recordings.bin").read_bytes() == (damaged / "run" / "recordings.bin").read_bytes()
    assert compare(damaged, "rederive", "run", "--repair").returncode == 2, "the copy is not overwritten"


def test_a_damaged_run_is_rederived_without_its_bad_lines(damaged: Path) -> None:
    """Recomputing needs no repair."""
    done = compare(damaged, "rederive", "run")
    assert done.returncode == 0, done.stderr
    assert SAID in done.stderr
    assert journal.read(damaged / "run-rederived").damage.lines == {}


def test_a_damaged_run_is_not_resumed_before_it_is_repaired(damaged: Path) -> None:
    """Damaged requests would silently be paid for twice; the repaired copy is resumed and sends only them."""
    shutil.copy(SAMPLES / "complete.yaml", damaged)
    shutil.copy(SAMPLES / "own_checks.py", damaged)
    done = compare(damaged, "run", "--resume", "run")
    assert done.returncode == 2
    assert SAID in done.stderr
    assert "resume that one. Nothing was sent" in done.stderr
    assert compare(damaged, "rederive", "run", "--repair").returncode == 0
    done = compare(damaged, "run", "--resume", "run-repaired", "--progress", "plain")
    assert "[1/1]" in done.stderr, done.stderr


def test_damaged_checks_and_prices_leave_all_rows(damaged: Path) -> None:
    """Unreadable checks of a case and an unreadable price of a target are left out, and named."""
    path = damaged / "run" / JOURNAL_FILE
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


def test_missing_records_make_a_run_partial(tmp_path: Path) -> None:
    """A run with an end line that lacks rows is partial, in every table and on the page; a resumed run is complete."""
    shutil.copytree(SAMPLES / "complete", tmp_path / "run")
    path = tmp_path / "run" / JOURNAL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    records = [at for at, line in enumerate(lines) if line.startswith(b'{"kind":"record"') and b'"warmup"' not in line]
    path.write_bytes(b"".join(line for at, line in enumerate(lines) if at not in records[:7]))
    run = load_run(tmp_path / "run")
    assert (run.missing, run.ended, run.left_out) == (7, False, None)
    done = compare(tmp_path, "report", "run")
    said = "of 30 planned requests 7 have no record, though the run came to its end"
    assert said in " ".join(done.stdout.split())
    assert said in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    done = compare(tmp_path, "diff", "run", "copy")
    assert "is unfinished: 23 requests of 30 planned" in " ".join((done.stdout + done.stderr).split())


def test_a_repeated_record_counts_once(tmp_path: Path) -> None:
    """The second one is named, and does not hide that another record is missing."""
    shutil.copytree(SAMPLES / "kept", tmp_path / "run")
    path = tmp_path / "run" / JOURNAL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    first, second = [at for at, line in enumerate(lines) if line.startswith(b'{"kind":"record"')][:2]
    lines[second] = lines[first]
    path.write_bytes(b"".join(lines))
    run = load_run(tmp_path / "run")
    assert (run.missing, len(run.table)) == (1, 5)
    assert f"line {second + 1} (a second record of the request in line {first + 1})" in (run.left_out or "")


def test_valid_recordings_of_a_damaged_file_are_copied(damaged: Path) -> None:
    """The unreadable ones are named with their byte."""
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
    """The message has the number of remaining recordings, since nothing else shows that some are lost."""
    path = damaged / "run" / "recordings.bin"
    whole = read_recordings(damaged / "run")
    cut = whole.entries[3].end - 1
    os.truncate(path, cut)
    done = compare(damaged, "rederive", "run", *arguments)
    assert done.returncode == 0, done.stderr
    said = f"run/recordings.bin ends within a recording, at byte {cut:,}. Recordings kept, those before it: 3;"
    assert said in " ".join(done.stderr.split())


def test_a_label_that_cannot_be_decompressed_is_named(damaged: Path) -> None:
    """The message has the byte and what is kept."""
    path = damaged / "run" / "recordings.bin"
    data = bytearray(path.read_bytes())
    at = read_recordings(damaged / "run").entries[0].end
    data[at + SIZES.size : at + SIZES.size + 8] = b"\xff" * 8
    path.write_bytes(data)
    said = " ".join(compare(damaged, "rederive", "run", "--repair").stderr.split())
    assert f"is damaged at byte {at}: its label cannot be decompressed. Recordings kept, those before it: 1;" in said

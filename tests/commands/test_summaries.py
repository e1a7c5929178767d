"""Stored summaries: stale, damaged, deleted, derived by two processes at once, on a full disk."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import runner
from runner.cli.summary_progress import SummaryProgress
from runner.commands.runs import list_stored_runs
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import RESULTS, SUMMARY_FILE
from runner.storage.stored_summary import read_summary
from runner.version import __version__
from tests.conftest import RunCli
from tests.support.command import own_environment
from tests.support.crafted_runs import BASE, NEW, answered, write_run

FIRST = datetime(2026, 11, 1, 9, tzinfo=UTC)


def write_runs(count: int) -> list[Path]:
    """Write daily runs of two targets; return their summaries, which are not there yet."""
    folders = []
    for day in range(count):
        started = FIRST + timedelta(days=day)
        folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{day:04}"
        records = [answered(BASE, ttft_s=0.3), answered(NEW, ttft_s=0.1)]
        folders.append(write_run(folder, records, started_at=started.isoformat()))
    return [folder / SUMMARY_FILE for folder in folders]


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes(400)),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_text(path.read_text().replace(f'"version":"{__version__}"', '"version":"0.0.1"')),
        lambda path: path.write_text(path.read_text().replace('"n":1', '"n":"many"')),
    ],
    ids=["deleted", "emptied by a power cut", "zeroed by a power cut", "torn", "of another version", "damaged"],
)
def test_a_summary_that_cannot_be_used_is_derived_again(run_cli: RunCli, damage: Callable[[Path], object]) -> None:
    """It is then the same as before, without any action of the user."""
    (summary,) = write_runs(1)
    before = run_cli("runs", "--json").stdout
    whole = summary.read_bytes()
    damage(summary)
    assert run_cli("runs", "--json").stdout == before
    assert summary.read_bytes() == whole


def test_a_summary_follows_a_journal_that_grows(run_cli: RunCli) -> None:
    """A run that is resumed or judged is listed with its new lines."""
    (summary,) = write_runs(1)
    assert json.loads(run_cli("runs", "--json").stdout)[0]["targets"][0]["n"] == 1
    journal = summary.with_name(JOURNAL_FILE)
    lines = journal.read_text().splitlines(keepends=True)
    more = lines[1].replace('"block":1', '"block":2').replace("one-1", "one-2").replace('"repeat":1', '"repeat":2')
    journal.write_text("".join([*lines[:-1], more, lines[-1]]))
    (run,) = json.loads(run_cli("runs", "--json").stdout)
    assert [(each["target"], each["n"]) for each in run["targets"]] == [(BASE, 2), (NEW, 1)]


def test_two_processes_can_derive_summaries_at_once(tmp_path: Path) -> None:
    """Both list all runs; each summary is complete, and no temporary file is left."""
    summaries = write_runs(20)
    command = [sys.executable, "-m", "runner", "runs", "--all", "--json"]
    environment = own_environment(tmp_path)
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    shown = [process.communicate()[0] for process in both]
    assert shown[0] == shown[1]
    assert len(json.loads(shown[0])) == 20
    assert all(read_summary(path.parent, __version__) is not None for path in summaries)
    assert {path.name for summary in summaries for path in summary.parent.iterdir()} == {JOURNAL_FILE, SUMMARY_FILE}


def test_runs_are_listed_on_a_full_disk(tmp_path: Path) -> None:
    """Summaries are derived in memory, with one note, and no partial file is left."""
    pytest.importorskip("resource")
    summaries = write_runs(3)
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from runner.cli import main\n"
        "sys.argv = ['compare', 'runs']\n"
        "main()\n"
    )
    environment = own_environment(tmp_path)
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.count("-nightly-") == 3
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("note: 3 summaries are not stored, and will be derived again: ")
    assert {path.name for summary in summaries for path in summary.parent.iterdir()} == {JOURNAL_FILE}


def test_a_progress_line_counts_the_derived_summaries() -> None:
    """Only missing and stale ones are counted."""
    summaries = write_runs(4)
    list_stored_runs()
    summaries[2].unlink()
    summaries[0].unlink()
    seen: list[tuple[int, int]] = []
    list_stored_runs(observe=lambda done, of: seen.append((done, of)))
    assert seen == [(0, 2), (1, 2)]
    list_stored_runs(observe=lambda done, of: seen.append((done, of)))
    assert len(seen) == 2


def test_progress_is_shown_after_half_a_second() -> None:
    """Later updates are rare enough to read, and have the time that is left."""
    now_s = [0.0]
    progress = SummaryProgress(RESULTS, lambda: now_s[0])
    due = []
    for done in range(200):
        now_s[0] = done * 0.01
        due.append(progress.is_due(done, 400))
    assert not any(due[:50])
    assert 3 <= sum(due) <= 15
    cells = [str(column._cells[0]) for column in progress.render().columns]
    assert cells[1:] == ["summaries of the runs in results  199/400", "about 2 s left"]


def test_a_snapshot_is_listed_and_not_changed() -> None:
    """It is committed with its suite, so that no summary is written there; a link in one does not stop the list."""
    write_runs(1)
    (RESULTS / "a.snapshot").mkdir()
    (RESULTS / "a.snapshot" / JOURNAL_FILE).symlink_to(
        Path(write_run(RESULTS / "x", [answered()])).absolute() / JOURNAL_FILE
    )
    table = runner.runs()
    assert table["run_id"].nunique() == 2
    (problem,) = table.attrs["unreadable"]
    assert "is a link; a snapshot holds folders and files alone" in problem
    assert not (RESULTS / "a.snapshot" / SUMMARY_FILE).exists()

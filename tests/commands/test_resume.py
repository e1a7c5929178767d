"""`compare run --resume`, and runs that are interrupted, run out of disk space, or lose their folder."""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runner.api.options import read_options
from runner.cli import commands
from runner.storage import journal
from tests.support.command import compare, finish, read_lines, read_rows, start
from tests.support.resumable_run import ResumableRun, open_run
from tests.support.wait_until import wait_until

QUICK = "exact?ttft_ms=5&gap_ms=1&tokens=4"
SLOW = "exact?ttft_ms=1200&gap_ms=5&tokens=20"
STUCK = "exact?ttft_ms=60000&gap_ms=5&tokens=20"
FAILING = "fault-error-middle?ttft_ms=5&gap_ms=1&tokens=6"

CASES: list[dict[str, Any]] = [{"id": "one", "prompt": "one"}, {"id": "talk", "turns": ["first", "second", "third"]}]
PLANNED = [(QUICK, question) for question in ("one", "first", "second", "third")]

posix = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals as POSIX has them")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ResumableRun]:
    """Start with a simulator and a suite of four quick requests."""
    with open_run(tmp_path, QUICK) as resumable:
        resumable.write_suite(CASES)
        yield resumable


def cut(run: ResumableRun, records: int) -> None:
    """Keep a number of records of a journal, and half of the next line, as after a kill."""
    lines = run.journal.read_bytes().splitlines(keepends=True)
    ends = [at for at, line in enumerate(lines) if b'"kind":"record"' in line]
    kept = lines[: ends[records]]
    run.journal.write_bytes(b"".join(kept) + lines[ends[records]][:20])


# Resumed


def test_a_resumed_run_sends_what_is_missing(run: ResumableRun) -> None:
    """The suite need not be named, the progress counts the rest, and the tables are those of the whole run."""
    run.run("--concurrency", "1", "--order", "as-written")
    cut(run, 2)
    asked = len(run.asked())
    done = run.run()
    assert done.returncode == 0, done.stderr
    assert "resuming out: 2 of 4 requests are done" in done.stderr
    assert "[1/2]" in done.stderr
    assert run.asked()[asked:] == PLANNED[2:]
    assert [row["prompt"] for row in read_rows(run.out)] == ["one", "first", "second", "third"]
    (resumed,) = read_lines(run.out, "resume")
    assert (resumed["changes"], resumed["redone"], resumed["dropped"]) == ({}, [], [])
    assert journal.read(run.out).header.concurrency == 1


def test_timestamps_of_a_resumed_run_continue_by_the_wall_clock(run: ResumableRun) -> None:
    """Requests sent later have later timestamps, though by another process."""
    run.run()
    cut(run, 2)
    run.run()
    sent = [record.timestamps.sent or 0 for record in run.records()]
    assert min(sent[2:]) - max(sent[:2]) > 100_000_000


def test_resuming_a_complete_run_sends_nothing(run: ResumableRun) -> None:
    """The tables are written again, in further formats too."""
    run.run()
    asked = len(run.asked())
    (run.out / "results.csv").unlink()
    done = run.run("-o", "table.md", "--json")
    assert (done.returncode, len(json.loads(done.stdout)["rows"])) == (0, 4), done.stderr
    assert len(run.asked()) == asked
    assert len(read_rows(run.out)) == 4
    assert (run.place / "table.md").exists()
    assert journal.read(run.out).end is not None


def test_resuming_with_an_edited_suite_sends_what_was_edited(run: ResumableRun) -> None:
    """That is the edited turn, the turns after it and a new case; rows that are no longer planned leave the tables."""
    run.run()
    asked = len(run.asked())
    talk = {"id": "talk", "turns": ["first", "other", "third"]}
    run.write_suite([talk, {"id": "new", "prompt": "new"}])
    done = run.run()
    assert done.returncode == 0, done.stderr
    assert Counter(run.asked()[asked:]) == Counter((QUICK, question) for question in ("other", "third", "new"))
    assert {row["prompt"] for row in read_rows(run.out)} == {"first", "other", "third", "new"}
    assert "the suite has changed since" in done.stderr
    assert "no longer in the plan, and so in no table: 3" in done.stderr
    run.write_suite(CASES)
    asked = len(run.asked())
    assert run.run().returncode == 0
    assert run.asked()[asked:] == []
    assert {row["prompt"] for row in read_rows(run.out)} == {"one", "first", "second", "third"}


def test_resuming_with_more_repeats_adds_them(run: ResumableRun) -> None:
    """A changed option is applied, and noted; the others keep their values, the selected cases included."""
    run.run("-k", "one", "--repeat", "2")
    asked = len(run.asked())
    done = run.run("--repeat", "3")
    assert "repeat is 3; it was 2" in done.stderr
    assert run.asked()[asked:] == [(QUICK, "one")]
    assert sorted(row["repeat"] for row in read_rows(run.out)) == ["1", "2", "3"]


def test_an_option_at_its_default_overrides_the_resumed_run(run: ResumableRun) -> None:
    """`--arrivals constant` and `--no-adaptive` count if they are given; otherwise the run keeps its own."""
    run.run("--rate", "200", "--arrivals", "poisson", "--adaptive")
    assert run.run().returncode == 0
    assert journal.read(run.out).header.load == {"rate": 200.0, "arrivals": "poisson", "adaptive": True}
    assert run.run("--arrivals", "constant").returncode == 0
    assert journal.read(run.out).header.load == {"rate": 200.0, "adaptive": True}
    assert run.run("--no-adaptive").returncode == 0
    assert journal.read(run.out).header.load == {"rate": 200.0}
    keywords = read_options({"adaptive": False, "arrivals": "constant", "rate": 1})
    assert keywords.given_load == {"adaptive": False, "arrivals": "constant", "rate": 1.0}


def test_a_resumed_run_keeps_its_stop_rule(run: ResumableRun) -> None:
    """A run with --until-ci still ends when its medians are known."""
    run.run("--until-ci", "100%", "--requests", "400")  # many, because medians take long on a busy machine
    cut(run, 2)
    done = run.run()
    assert done.returncode == 0, done.stderr
    end = journal.read(run.out).end
    assert end is not None
    assert "median TTFT is known" in end["reason"] or "of at most 400 requests" in end["reason"]
    header = journal.read(run.out).header
    assert (header.until_ci, header.repeat, header.load) == (1.0, None, {"max_requests": 400})


def test_retry_errors_repeats_failures(tmp_path: Path) -> None:
    """Without it failures stay; skipped turns are repeated with the one that failed."""
    with open_run(tmp_path, FAILING) as run:
        run.write_suite(CASES)
        assert run.run().returncode == 3
        asked = len(run.asked())
        assert run.run().returncode == 3
        assert len(run.asked()) == asked
        done = run.run("--retry-errors")
        assert (done.returncode, len(run.asked())) == (3, asked + 2)
        assert "sent again, because they failed or were interrupted: 4" in done.stderr
        assert len(read_rows(run.out)) == 4
        assert len(read_lines(run.out, "record")) == 8


def test_latest_names_a_run_that_was_killed(run: ResumableRun) -> None:
    """`latest` names a run as soon as its journal has a line."""
    process = start(run.place, "run", "suite.yaml", "-m", f"acme/{SLOW}")
    try:
        wait_until(lambda: bool(run.asked()))
    finally:
        process.kill()
        finish(process)
    done = compare(run.place, "run", "--resume", "latest")
    assert done.returncode == 0, done.stderr
    assert len(read_rows(run.place / "results" / "latest")) == 4


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResumableRun]:
    """Run the suite once, and write another suite beside it."""
    with open_run(tmp_path_factory.mktemp("finished"), QUICK) as resumable:
        resumable.write_suite(CASES)
        resumable.run()
        text = (resumable.place / "suite.yaml").read_text()
        (resumable.place / "other.yaml").write_text(text.replace("name: suite", "name: other"))
        yield resumable


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Name a suite file"),
        (("suite.yaml", "--retry-errors"), "add --resume RUN"),
        (("--resume", "nothing"), "there is no nothing"),
        (("--resume", "latest"), "there is no results/latest here"),
        (("other.yaml", "--resume", "out"), "out is a run of the suite 'suite', not of 'other'"),
        (("--resume", "out", "-o", "there"), "a resumed run stays in its own, out"),
        (("--resume", "out", "--arrivals", "constant"), "out has no rate"),
        (
            ("--resume", "out", "--sweep", "1,2"),
            "out cannot be resumed: with --sweep it measures one continuous period",
        ),
        (("--resume", "out", "--duration", "5s"), "out cannot be resumed: with --duration"),
        (("suite.yaml", "-o", "out"), "resume that run: compare run SUITE --resume out"),
        (("--resume", "out", "-m", "sim/nobody-*"), "fits no configured model"),
    ],
)
def test_a_run_that_cannot_be_resumed_is_refused(
    finished: ResumableRun, arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and the journal is unchanged."""
    before, asked = finished.journal.read_bytes(), len(finished.asked())
    monkeypatch.chdir(finished.place)
    done = CliRunner().invoke(commands, ["run", *arguments], catch_exceptions=False)
    assert (done.exit_code, told in done.stderr) == (2, True), done.output
    assert (finished.journal.read_bytes(), len(finished.asked())) == (before, asked)


def test_resuming_needs_the_place_of_a_suite_that_has_moved(run: ResumableRun) -> None:
    """The error names where the suite was, and how to name it now."""
    run.run()
    (run.place / "suite.yaml").rename(run.place / "moved.yaml")
    done = run.run()
    assert (done.returncode, "Name it: compare run SUITE --resume out" in done.stderr) == (2, True), done.stderr
    done = compare(run.place, "run", "moved.yaml", "--resume", "out")
    assert done.returncode == 0, done.stderr


@posix
def test_a_run_that_is_under_way_is_not_resumed(run: ResumableRun) -> None:
    """The second process is refused before it sends anything, and the first one continues."""
    process = run.start("-m", f"acme/{STUCK}")
    try:
        wait_until(lambda: len(run.asked()) == 2)
        second = run.run()
        assert process.poll() is None
    finally:
        process.kill()
        finish(process)
    assert (second.returncode, "is being written by another run" in second.stderr) == (2, True), second.stderr
    assert len(run.asked()) == 2


# Interrupted


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_an_interrupted_run_is_marked_partial_and_can_be_resumed(run: ResumableRun, number: int) -> None:
    """Every output says that it is partial, the command says how to resume, and resuming completes the run."""
    process = run.start("-m", f"acme/{SLOW}", "-o", "page.html")
    try:
        wait_until(lambda: len(run.records()) > 0)
    finally:
        process.send_signal(number)
        done = finish(process)
    assert (done.returncode, "Traceback" in done.stderr) == (130, False), done.stderr
    assert "interrupted: this is partial. Go on with: compare run --resume out" in done.stderr
    for text in (done.stdout, (run.out / "results.md").read_text(), (run.place / "page.html").read_text()):
        assert "unfinished: " in text
    cancelled = [row for row in read_rows(run.out) if row["outcome"] == "cancelled"]
    asked = len(run.asked())
    assert run.run().returncode == 0
    assert set(run.asked()[asked:]) >= {(row["model"], row["prompt"]) for row in cancelled}
    assert [row["outcome"] for row in read_rows(run.out)] == ["ok"] * 4


# No room, no folder


LIMITED = """
import resource, sys
sys.dont_write_bytecode = True  # what is cut off would be loaded by the next process
from runner.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


def test_a_full_disk_ends_the_run_and_keeps_its_journal(run: ResumableRun) -> None:
    """The lines that fit are whole, the exit code is 3, and with space the run can be resumed."""
    pytest.importorskip("resource")
    run.run()
    lines = run.journal.read_bytes().splitlines(keepends=True)
    shutil.rmtree(run.out)
    room = sum(map(len, lines[:-2])) + 20
    program = ("-c", LIMITED, str(room))
    done = compare(run.place, *run.command("--concurrency", "1"), program=program)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "what was written before is safe" in done.stderr
    recorded = run.recorded()
    assert 0 < recorded.total() < 4
    asked = len(run.asked())
    assert run.run().returncode == 0
    assert not set(run.asked()[asked:]) & set(recorded)
    assert run.recorded() == Counter(PLANNED)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file in use is not removed")
def test_a_removed_folder_ends_the_run(run: ResumableRun) -> None:
    """Later replies would be lost, so no further request is sent."""
    process = run.start("-m", f"acme/{SLOW}", "--concurrency", "1")
    try:
        wait_until(lambda: len(run.records()) > 0)
        shutil.rmtree(run.out)
    finally:
        done = finish(process)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "was removed while the run wrote to it: its rows are lost" in done.stderr
    assert len(run.asked()) < 4


@pytest.mark.parametrize("place", ["file/run", "missing/table.md"])
def test_paths_are_checked_before_anything_is_sent(run: ResumableRun, place: str) -> None:
    """An output that cannot be written is an error at the start."""
    (run.place / "file").touch()
    done = compare(run.place, "run", "suite.yaml", "-o", place)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert run.asked() == []

"""`compare watch`: when runs are due, that none overlap, and what becomes of each."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import runner
from runner.commands.run.event_loop import run_async
from runner.commands.run.load_suite import load_suite
from runner.commands.run.options import RunOptions
from runner.commands.run.prepare import prepare
from runner.commands.run.send_and_write import FinishedRun, perform
from runner.commands.watch import Beat, TimeOfDay, beats, watch
from runner.errors import CompareError, WriteFailed
from runner.pricing.money import Money
from runner.pricing.rates import Price, Rates
from runner.storage.find_run import folders_of_runs
from tests.conftest import RunCli
from tests.support.command import start
from tests.support.crafted_runs import BASE, answered, run_of

SUITE = "name: short\ncases: [{id: hi, prompt: hi}]\ntargets: [sim/quick]\n"
HOUR = 3600.0


@dataclass
class VirtualClock:
    """A clock that only `sleep` and the test move."""

    time_s: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    @property
    def wall(self) -> TimeOfDay:
        """The clock as `beats` takes it."""
        return TimeOfDay(lambda: self.time_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        """Move on, and remember by how much."""
        self.slept.append(seconds)
        self.time_s += seconds


def test_a_run_is_due_at_once_and_then_each_hour() -> None:
    """To the second, however long the runs before it took; none is missed."""
    clock, due = VirtualClock(), []
    for beat in islice(beats(HOUR, None, clock.wall), 5):
        due.append((beat.number, clock.time_s - 1_000_000))
        clock.time_s += 600  # the run
    assert due == [(number, number * HOUR) for number in range(5)]
    assert max(clock.slept) <= 20


def test_a_week_ends_when_it_is_over() -> None:
    """The 168 hours of seven days, and not the first one of the eighth."""
    clock = VirtualClock()
    assert len(list(beats(HOUR, 7 * 24 * HOUR, clock.wall))) == 168


def test_a_beat_that_passes_during_a_run_is_missed_not_caught_up() -> None:
    """A run of two and a half hours: the next is due at the third hour, two were missed."""
    clock = VirtualClock()
    due = beats(HOUR, None, clock.wall)
    next(due)
    clock.time_s += 2.5 * HOUR
    assert next(due) == Beat(3, 2)
    assert clock.time_s == 1_000_000 + 3 * HOUR


def test_a_machine_that_slept_runs_when_it_wakes() -> None:
    """Suspended for five hours while it waited: the run begins at once, and four beats were missed."""
    clock = VirtualClock()

    def suspend(seconds: float) -> None:
        clock.sleep(seconds if clock.slept else 5.25 * HOUR)

    due = beats(HOUR, None, TimeOfDay(lambda: clock.time_s, suspend))
    assert [next(due), next(due)] == [Beat(0, 0), Beat(5, 4)]


def test_a_clock_that_is_set_back_delays_no_run_by_more_than_an_interval() -> None:
    """Summer time ends, or somebody sets the clock: the next run is due within an hour all the same."""
    clock = VirtualClock()
    due = beats(HOUR, None, clock.wall)
    next(due)
    clock.time_s -= 10 * HOUR
    assert next(due) == Beat(1, 0)
    assert sum(clock.slept) == pytest.approx(HOUR)


@given(st.lists(st.floats(0, 10), max_size=20))
def test_beats_are_counted_without_gaps(runs: list[float]) -> None:
    """Whatever runs take, each beat is either run or said to be missed."""
    clock, number = VirtualClock(), -1
    for beat, took in zip(beats(1.0, None, clock.wall), runs, strict=False):
        assert beat.number == number + 1 + beat.missed
        number = beat.number
        clock.time_s += took


def test_each_run_has_a_line_and_a_folder(run_cli: RunCli) -> None:
    """The line names the folder; files that -o and --spans name are beside it."""
    Path("suite.yaml").write_text(SUITE)
    options = ("--every", "1h", "--for", "1m", "-o", "last.prom", "--spans", "spans.jsonl")
    done = run_cli("watch", "suite.yaml", *options)
    assert done.returncode == 0
    (folder,) = folders_of_runs()
    (line,) = done.stdout.splitlines()
    assert folder.name in line
    assert "1 of 1 answered; TTFT p50 sim/quick" in line
    assert line.endswith("; simulated")
    assert Path("last.prom").read_text().startswith("# HELP compare_run_started_seconds")
    assert len(Path("spans.jsonl").read_text().splitlines()) == 1


def test_files_are_of_the_last_run_and_spans_of_all() -> None:
    """Three real runs at virtual hours."""
    Path("suite.yaml").write_text(SUITE)
    place, spans = Path("suite.yaml"), Path("spans.jsonl")
    options = RunOptions(outputs=(Path("last.json"),))

    def run_once(options: RunOptions) -> FinishedRun:
        return run_async(perform, prepare(*load_suite(place), options))

    times = {"every_s": HOUR, "for_s": 2.5 * HOUR}
    watched = list(watch(place, options, run_once, spans=spans, clock=VirtualClock().wall, **times))
    ids = [each.finished.run.header.run_id for each in watched if each.finished]
    assert len(ids) == len(set(ids)) == len(spans.read_text().splitlines()) == 3
    assert json.loads(Path("last.json").read_text())["run"]["run_id"] == ids[-1]


def test_a_budget_is_for_all_runs() -> None:
    """What a run spent is no longer there for the next, and nothing is asked for nothing."""
    Path("suite.yaml").write_text(SUITE)
    given: list[Decimal] = []

    def run_once(options: RunOptions) -> FinishedRun:
        given.append(options.budgets[0].amount)
        price = Price("USD", (Rates(Decimal(0), Decimal(1_000_000)),), "test").to_plain()
        return FinishedRun(run_of([answered(input_tokens=0)], prices={BASE: price}), Path(), (), interrupted=False)

    options = RunOptions(budgets=(Money(Decimal(7), "USD"),))
    clock = VirtualClock().wall
    watched = list(watch(Path("suite.yaml"), options, run_once, every_s=HOUR, for_s=9 * HOUR, clock=clock))
    assert given == [7, 4, 1]  # each run costs 3: three tokens, a dollar each
    assert len(watched) == 3


def test_two_processes_do_not_watch_one_suite(run_cli: RunCli) -> None:
    """The second one says why, and sends nothing."""
    Path("suite.yaml").write_text(SUITE)
    with start(Path.cwd(), "watch", "suite.yaml", "--every", "1h") as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = run_cli("watch", "suite.yaml", "--every", "1h")
        first.terminate()
    assert second.returncode == 2
    assert "another process watches suite.yaml already" in second.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--every", "0.1s"), "--every must be 1 s or more"),
        (("--every", "1h", "-o", "folder"), "each run of a watch has a folder of its own"),
        ((), "Missing option '--every'"),
        (("--every", "15"), "'15' has no unit; write 15s, 15m, 15h or 15d"),
        (("--every", "1h", "--for", "7"), "'7' has no unit"),
        (("--every", "1h", "--spans", "spans.txt"), "name a file that ends in .jsonl"),
        (("--every", "1h", "--spans", "journal.jsonl"), "where a run keeps what it observed"),
        (("--every", "1h", "--spans", "absent/spans.jsonl"), "absent/spans.jsonl cannot be written: No such file"),
    ],
)
def test_what_is_no_watch_is_refused(run_cli: RunCli, options: tuple[str, ...], problem: str) -> None:
    """Before anything is sent."""
    Path("suite.yaml").write_text(SUITE)
    done = run_cli("watch", "suite.yaml", *options)
    assert done.returncode == 2
    assert problem in done.stderr
    assert not folders_of_runs()


def test_a_later_run_that_cannot_start_costs_no_further_one() -> None:
    """The first problem ends the command, a later one is told: the next beat tries again."""
    Path("suite.yaml").write_text(SUITE)
    clock, calls = VirtualClock(), []

    def fail(_: RunOptions) -> FinishedRun:
        calls.append(1)
        raise CompareError("the disk is full")

    with pytest.raises(CompareError, match="the disk is full"):
        next(watch(Path("suite.yaml"), RunOptions(), fail, every_s=HOUR, clock=clock.wall))
    assert len(calls) == 1


def test_spans_that_cannot_be_appended_end_no_watch() -> None:
    """The folder is gone after the first run: each later line says so, and how to make the spans."""
    Path("suite.yaml").write_text(SUITE)
    place, spans = Path("suite.yaml"), Path("spans/all.jsonl")
    spans.parent.mkdir()

    def run_once(options: RunOptions) -> FinishedRun:
        done = run_async(perform, prepare(*load_suite(place), options))
        spans.unlink()
        spans.parent.rmdir()
        Path("spans").write_text("a file")
        return done

    times = {"every_s": HOUR, "for_s": 0.5 * HOUR}
    (only,) = watch(place, RunOptions(), run_once, spans=spans, clock=VirtualClock().wall, **times)
    assert only.finished is not None
    assert only.problem is not None
    assert "Not a directory; `compare export" in only.problem


def test_times_in_python_are_seconds() -> None:
    """A text that the command would take is refused by name."""
    Path("suite.yaml").write_text(SUITE)
    with pytest.raises(CompareError, match="every='1h': give seconds"):
        next(runner.watch("suite.yaml", every="1h"))  # type: ignore[arg-type]
    with pytest.raises(CompareError, match="until=-1: give seconds"):
        next(runner.watch("suite.yaml", every=1, until=-1))


@pytest.mark.parametrize(("budgets", "calls"), [((), 3), ((Money(Decimal(7), "USD"),), 2)])
def test_a_run_of_unknown_cost_is_the_last_where_there_is_a_budget(budgets: tuple[Money, ...], calls: int) -> None:
    """Its outputs could not be written, so what it spent is not known; without a budget the next run is tried."""
    Path("suite.yaml").write_text(SUITE)
    made: list[int] = []

    def run_once(_: RunOptions) -> FinishedRun:
        made.append(1)
        if len(made) == 2:
            raise WriteFailed("last.prom cannot be written")
        return FinishedRun(run_of([answered()]), Path(), (), interrupted=False)

    options, clock = RunOptions(budgets=budgets), VirtualClock().wall
    watched = watch(Path("suite.yaml"), options, run_once, every_s=HOUR, for_s=2.5 * HOUR, clock=clock)
    if budgets:
        assert len(list(islice(watched, 1))) == 1
        with pytest.raises(WriteFailed, match=r"last\.prom"):
            next(watched)
    else:
        assert [each.problem for each in watched] == [None, "last.prom cannot be written", None]
    assert len(made) == calls


def test_runs_are_tables_in_python() -> None:
    """A generator of the tables that `run` returns."""
    Path("suite.yaml").write_text(SUITE)
    tables = list(runner.watch("suite.yaml", every=1, until=1.5))
    assert [len(table) for table in tables] == [1] * len(tables)
    assert tables[0].attrs["missed"] == 0


def test_an_interruption_between_runs_keeps_them() -> None:
    """Ctrl-C while it waits ends the command with 130."""
    Path("suite.yaml").write_text(SUITE)
    with start(Path.cwd(), "watch", "suite.yaml", "--every", "1h") as process:
        assert process.stdout is not None
        assert "1 of 1 answered" in process.stdout.readline()
        process.send_signal(2)
        assert process.wait(20) == 130
    assert len(folders_of_runs()) == 1

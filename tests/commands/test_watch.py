"""`compare watch`: when runs are due, that none overlap, and the outcome of each."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import runner
from runner.cli.watch import _print_line
from runner.commands.event_loop import run_async
from runner.commands.run.load_suite import load_suite
from runner.commands.run.options import RunOptions
from runner.commands.run.perform import FinishedRun, perform
from runner.commands.run.prepare import prepare
from runner.commands.run.prepared_run import PreparedRun
from runner.commands.watch import DueRun, TimeOfDay, WatchedRun, WatchTimes, watch
from runner.errors import CompareError, WriteFailed
from runner.pricing.money import Money
from runner.storage.find_run import folders_of_runs
from tests.conftest import RunCli
from tests.support.command import start, write_yaml
from tests.support.scripted_server import serve, streamed_reply

SUITE = "name: short\ncases: [{id: hi, prompt: hi}]\ntargets: [sim/quick]\n"
HOUR = 3600.0


@dataclass
class VirtualClock:
    """A clock that advances only by `sleep` and by the test."""

    time_s: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    @property
    def wall(self) -> TimeOfDay:
        """The clock as `WatchTimes` takes it."""
        return TimeOfDay(lambda: self.time_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        """Advance, and keep the duration."""
        self.slept.append(seconds)
        self.time_s += seconds


def test_a_run_is_due_at_once_and_then_each_hour() -> None:
    """Runs are due to the second, however long earlier ones took; none is missed."""
    clock, due = VirtualClock(), []
    for moment in islice(WatchTimes(HOUR, None, clock.wall).due_runs(), 5):
        due.append((moment.number, clock.time_s - 1_000_000))
        clock.time_s += 600  # the duration of the run
    assert due == [(number, number * HOUR) for number in range(5)]
    assert max(clock.slept) <= 20


def test_a_week_ends_when_it_is_over() -> None:
    """It has the 168 hours of seven days, and not the first hour of the eighth."""
    clock = VirtualClock()
    assert len(list(WatchTimes(HOUR, 7 * 24 * HOUR, clock.wall).due_runs())) == 168


def test_a_moment_that_passes_during_a_run_is_missed_not_caught_up() -> None:
    """After a run of two and a half hours the next is due at the third hour, and two were missed."""
    clock = VirtualClock()
    due = WatchTimes(HOUR, None, clock.wall).due_runs()
    next(due)
    clock.time_s += 2.5 * HOUR
    assert next(due) == DueRun(3, 2)
    assert clock.time_s == 1_000_000 + 3 * HOUR


def test_a_machine_that_slept_runs_when_it_wakes() -> None:
    """After a suspension of five hours the run starts at once, and four were missed."""
    clock = VirtualClock()

    def suspend(seconds: float) -> None:
        clock.sleep(seconds if clock.slept else 5.25 * HOUR)

    due = WatchTimes(HOUR, None, TimeOfDay(lambda: clock.time_s, suspend)).due_runs()
    assert [next(due), next(due)] == [DueRun(0, 0), DueRun(5, 4)]


def test_a_machine_that_slept_past_the_end_runs_no_more() -> None:
    """No run is due after the end, not even one that should have started before it."""
    clock = VirtualClock()
    asleep = TimeOfDay(lambda: clock.time_s, lambda _: clock.sleep(9 * HOUR))
    assert list(WatchTimes(HOUR, 3 * HOUR, asleep).due_runs()) == [DueRun(0, 0), DueRun(2, 2, is_due=False)]


@given(st.floats(1, 30), st.floats(0.1, 100), st.lists(st.floats(0, 20), min_size=1, max_size=50))
def test_every_moment_is_run_or_counted_as_missed(every_s: float, for_s: float, runs: list[float]) -> None:
    """This includes those at the end, which no run follows."""
    clock, took = VirtualClock(), iter(runs * 200)
    found = []
    for moment in WatchTimes(every_s, for_s, clock.wall).due_runs():
        found.append(moment)
        clock.time_s += next(took) if moment.is_due else 0
    due = [number for number in range(200) if number == 0 or number * every_s < for_s]
    assert sum(moment.is_due + moment.missed for moment in found) == len(due)
    assert all(moment.is_due for moment in found[:-1])


def test_a_clock_that_is_set_back_delays_no_run_by_more_than_an_interval() -> None:
    """When summer time ends or the clock is set, the next run is still due within an hour."""
    clock = VirtualClock()
    due = WatchTimes(HOUR, None, clock.wall).due_runs()
    next(due)
    clock.time_s -= 10 * HOUR
    assert next(due) == DueRun(1, 0)
    assert sum(clock.slept) == pytest.approx(HOUR)
    often = WatchTimes(5, None, clock.wall).due_runs()
    next(often)
    clock.time_s -= HOUR
    clock.slept.clear()
    assert next(often) == DueRun(1, 0)
    assert sum(clock.slept) == 5


@given(st.lists(st.floats(0, 10), max_size=20))
def test_moments_are_counted_without_gaps(runs: list[float]) -> None:
    """For any durations of runs, each moment is either run or counted as missed."""
    clock, number = VirtualClock(), -1
    for moment, took in zip(WatchTimes(1.0, None, clock.wall).due_runs(), runs, strict=False):
        assert moment.number == number + 1 + moment.missed
        number = moment.number
        clock.time_s += took


def test_each_run_has_a_line_and_a_folder(run_cli: RunCli) -> None:
    """The line names the folder; files of -o and --spans are beside it."""
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


@pytest.mark.parametrize("yes", [(), ("-y",)])
def test_notes_are_printed_once_before_the_first_run(run_cli: RunCli, yes: tuple[str, ...]) -> None:
    """This holds with `-y` and without it."""
    Path("suite.yaml").write_text("name: short\ncases: [{id: hi, prompt: hi}]\n")
    done = run_cli("watch", "suite.yaml", "--every", "1s", "--for", "1.5s", *yes)
    assert done.stderr.count("note: no provider is configured") == 1


def prepare_suite(options: RunOptions) -> PreparedRun:
    """Prepare a run of suite.yaml."""
    return prepare(*load_suite(Path("suite.yaml")), options)


def perform_run(prepared: PreparedRun) -> FinishedRun:
    """Perform a run."""
    return run_async(perform, prepared)


def watch_virtually(
    options: RunOptions,
    perform: Callable[[PreparedRun], FinishedRun] = perform_run,
    *,
    for_s: float | None = None,
    spans: Path | None = None,
) -> Iterator[WatchedRun]:
    """Watch suite.yaml with real runs at virtual hours."""
    times = WatchTimes(HOUR, for_s, VirtualClock().wall)
    return watch(Path("suite.yaml"), options, prepare_suite, perform, times, spans=spans)


def test_files_are_of_the_last_run_and_spans_of_all() -> None:
    """The test performs three real runs at virtual hours."""
    Path("suite.yaml").write_text(SUITE)
    spans, options = Path("spans.jsonl"), RunOptions(outputs=(Path("last.json"),))
    watched = list(watch_virtually(options, spans=spans, for_s=2.5 * HOUR))
    ids = [each.finished.run.header.run_id for each in watched if each.finished]
    assert len(ids) == len(set(ids)) == len(spans.read_text().splitlines()) == 3
    assert json.loads(Path("last.json").read_text())["run"]["run_id"] == ids[-1]


def test_spans_after_a_cut_line_begin_on_a_new_line() -> None:
    """A killed watch loses its own last line, not the first one of the next watch."""
    Path("suite.yaml").write_text(SUITE)
    spans = Path("spans.jsonl")
    spans.write_text('{"resourceSpans":[')
    list(watch_virtually(RunOptions(), spans=spans, for_s=1.5 * HOUR))
    cut, *whole = spans.read_text().splitlines()
    assert cut == '{"resourceSpans":['
    assert [json.loads(line).keys() for line in whole] == [{"resourceSpans"}] * 2


def test_moments_missed_during_the_last_run_are_reported(run_cli: RunCli) -> None:
    """The time ends during the first run, and the others are counted as missed."""
    Path("suite.yaml").write_text(SUITE.replace("sim/quick", '"sim/exact?ttft_ms=2500&gap_ms=1&tokens=2"'))
    done = run_cli("watch", "suite.yaml", "--every", "1s", "--for", "2.1s")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "left out: 2 runs that would have begun meanwhile" in done.stderr


def test_an_unwritable_spans_file_is_refused_at_the_start_and_noted_later(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is an error before anything is sent; later a full disk does not end the watch."""
    Path("suite.yaml").write_text(SUITE)
    with pytest.raises(CompareError, match=r"--spans none/spans\.jsonl cannot be written: No such file"):
        next(watch_virtually(RunOptions(), spans=Path("none/spans.jsonl")))
    assert not folders_of_runs()
    Path("there").mkdir()
    told = []
    for each in watch_virtually(RunOptions(), spans=Path("there/spans.jsonl"), for_s=1.5 * HOUR):
        told.append(each.problem)
        assert each.finished is not None
        if each.due.number == 0:
            Path("there").rename("away")
    assert told[0] is None
    assert "there/spans.jsonl cannot be written: No such file or directory; `compare export" in str(told[1])
    _print_line(each)
    assert capsys.readouterr().err.count("there/spans.jsonl cannot be written") == 1


@contextmanager
def priced_server(*, with_usage: bool) -> Iterator[None]:
    """Write suite.yaml for a server whose replies cost 3 USD; where they lack token counts, 10 USD at most."""
    reply = streamed_reply("a", "b", "c")
    if not with_usage:
        pieces = [(pause, data.replace(b"usage", b"other")) for pause, data in reply.pieces]
        reply = replace(reply, pieces=pieces)
    with serve(reply) as server:
        row = {"base_url": server.url, "keyless": True}
        price = {"currency": "USD", "input": 0, "output": 1_000_000, "source": "a test", "date": "2026-11-20"}
        write_yaml(Path("compare.yaml"), {"providers": {"acme": row}, "prices": {"acme/m-1": price}})
        suite = {"name": "s", "cases": [{"id": "a", "prompt": "hi"}], "defaults": {"max_tokens": 10}}
        write_yaml(Path("suite.yaml"), {**suite, "targets": ["acme/m-1"]})
        yield


@pytest.mark.parametrize(("with_usage", "runs"), [(True, 6), (False, 2)])
def test_a_budget_is_for_all_runs(with_usage: bool, runs: int) -> None:
    """25 USD pay for five runs of 3 USD, after which 10 are still there for one more, or for two of 10 USD at most.

    The watch ends when one more conversation is no longer paid for: nothing is asked for nothing, hour after hour.
    """
    with priced_server(with_usage=with_usage):
        watched = list(watch_virtually(RunOptions(budgets=(Money(Decimal(25), "USD"),)), for_s=20 * HOUR))
    assert [len(each.finished.run.table) for each in watched if each.finished] == [1] * runs


def test_a_run_whose_tables_cannot_be_written_is_charged_to_the_budget() -> None:
    """Its requests were sent, as its journal shows."""

    def fail(prepared: PreparedRun) -> FinishedRun:
        finished = perform_run(prepared)
        if len(folders_of_runs()) > 1:
            raise WriteFailed("the disk is full")
        return finished

    with priced_server(with_usage=True):
        watched = list(watch_virtually(RunOptions(budgets=(Money(Decimal(25), "USD"),)), fail, for_s=20 * HOUR))
    assert [each.problem for each in watched] == [None, *["the disk is full"] * 5]


def test_two_processes_do_not_watch_one_suite(run_cli: RunCli) -> None:
    """The second one is refused with the reason, and sends nothing."""
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
def test_wrong_options_of_a_watch_are_refused(run_cli: RunCli, options: tuple[str, ...], problem: str) -> None:
    """The error comes before anything is sent."""
    Path("suite.yaml").write_text(SUITE)
    done = run_cli("watch", "suite.yaml", *options)
    assert done.returncode == 2
    assert problem in done.stderr
    assert not folders_of_runs()


def test_a_later_run_that_cannot_start_does_not_end_the_watch() -> None:
    """If the first run cannot start, the command ends; later ones are tried again at the next moment."""
    Path("suite.yaml").write_text(SUITE)
    with pytest.raises(CompareError, match="lost"):
        next(watch_virtually(RunOptions(models=("lost/m",))))
    problems = []
    for each in watch_virtually(RunOptions(), for_s=2.5 * HOUR):
        problems.append(each.problem)
        Path("suite.yaml").write_text(SUITE if len(problems) == 2 else "cases: []")
    assert [problem is None for problem in problems] == [True, False, True]


def test_times_in_python_are_seconds() -> None:
    """A text such as `1h`, which the command takes, is refused with the name of the argument."""
    Path("suite.yaml").write_text(SUITE)
    with pytest.raises(CompareError, match="every='1h': give seconds"):
        runner.watch("suite.yaml", every="1h")  # type: ignore[arg-type]
    with pytest.raises(CompareError, match="every=None: give seconds"):
        next(runner.watch("suite.yaml", every=None))  # type: ignore[arg-type]
    with pytest.raises(CompareError, match="until=-1: give seconds"):
        next(runner.watch("suite.yaml", every=1, until=-1))
    with pytest.raises(CompareError, match=r"^every must be 1 s or more, not 0\.5 s$"):
        next(runner.watch("suite.yaml", every=0.5))
    with pytest.raises(CompareError, match=r"^output='folder': each run of a watch has a folder of its own"):
        next(runner.watch("suite.yaml", every=1, output="folder"))


@pytest.mark.filterwarnings("ignore:left out")  # on a busy machine
def test_watch_in_python_yields_a_table_for_each_run() -> None:
    """They are the tables that `run` returns."""
    Path("suite.yaml").write_text(SUITE)
    tables = list(runner.watch("suite.yaml", every=1, until=1.5))
    assert [len(table) for table in tables] == [1] * len(tables)
    assert tables[0].attrs["missed"] == 0


def test_moments_that_were_missed_at_the_end_are_a_warning_in_python() -> None:
    """The text is that of the command's standard error."""
    Path("suite.yaml").write_text(SUITE.replace("sim/quick", '"sim/exact?ttft_ms=2500&gap_ms=1&tokens=2"'))
    with pytest.warns(UserWarning, match="left out: 2 runs that would have begun meanwhile"):
        assert len(list(runner.watch("suite.yaml", every=1, until=2.1))) == 1


def test_an_interruption_between_runs_keeps_them() -> None:
    """Ctrl-C during the wait ends the command with exit code 130."""
    Path("suite.yaml").write_text(SUITE)
    with start(Path.cwd(), "watch", "suite.yaml", "--every", "1h") as process:
        assert process.stdout is not None
        assert "1 of 1 answered" in process.stdout.readline()
        process.send_signal(2)
        assert process.wait(20) == 130
    assert len(folders_of_runs()) == 1


def test_an_interruption_before_the_first_run_does_not_speak_of_runs(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was kept yet, and nothing is said to be."""

    def interrupt(*_: object, **__: object) -> Iterator[WatchedRun]:
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.commands.watch.watch", interrupt)
    Path("short.yaml").write_text(SUITE, encoding="utf-8")
    done = run_cli("watch", "short.yaml", "--every", "1h")
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted before the first run")

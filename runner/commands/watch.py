"""`compare watch`: repeat a run at a fixed interval, each time in a new folder."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil
from os import SEEK_END
from pathlib import Path

from runner.commands.run.options import RunOptions
from runner.commands.run.perform import FinishedRun
from runner.commands.run.prepared_run import PreparedRun
from runner.errors import CompareError, JournalError, counted
from runner.outputs import otel
from runner.pricing.money import Money
from runner.storage import journal
from runner.storage.journal.writer import lock
from runner.storage.run_folder import RESULTS

LONGEST_SLEEP_S = 20.0
"""Seconds between two readings of the clock, since a machine may sleep and its clock may be set."""

SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """The wall clock in seconds since 1970, and the function that waits; tests replace both."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class DueRun:
    """A run at its due time, and the number of runs missed before it, during another run or a sleep."""

    number: int
    missed: int
    is_due: bool = True
    """False for the last run if it was missed as well, because the time ended before it."""


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """The due times of a watch: multiples of the interval after the first one, by the wall clock."""

    every_s: float
    for_s: float | None = None
    """Seconds after the first due time from which no further run is due; None for no end."""
    clock: TimeOfDay = TimeOfDay()
    """If the clock is set back, the next run is still due within one interval."""

    def due_runs(self) -> Iterator[DueRun]:
        """Yield each run when it is due, the first at once; due times that pass during a run or a sleep are missed.

        If the last run was missed, it is yielded when the time is over.
        """
        origin, number = self.clock.now(), 0
        yield DueRun(0, 0)
        while True:
            due = max(number, self._passed(origin)) + 1
            if self._is_over(due):
                break
            while (left_s := origin + due * self.every_s - self.clock.now()) > 0:
                origin -= max(left_s - self.every_s, 0.0)
                self.clock.sleep(min(left_s, self.every_s, LONGEST_SLEEP_S))
            due = max(due, self._passed(origin))
            if self._is_over(due):  # the machine slept until after the end
                break
            yield DueRun(due, due - number - 1)
            number = due
        last = self._last()
        if last > number:
            yield DueRun(last, last - number, is_due=False)

    def _passed(self, origin: float) -> int:
        return int((self.clock.now() - origin) // self.every_s)

    def _is_over(self, number: int) -> bool:
        return self.for_s is not None and number * self.every_s >= self.for_s

    def _last(self) -> int:
        """Return the number of the last due run before the end."""
        about = ceil((self.for_s or 0) / self.every_s)  # may be off by one, because of rounding
        return max((each for each in range(max(0, about - 2), about + 1) if not self._is_over(each)), default=0)


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """The outcome of one due time: a finished run, what prevented it, or a run with an unwritten output.

    A run that was not due has neither.
    """

    due: DueRun
    finished: FinishedRun | None
    problem: str | None = None

    @property
    def missed(self) -> str | None:
        """A sentence on the runs missed before this one; None if there were none."""
        number = self.due.missed
        return f"left out: {counted(number, 'run')} that would have begun meanwhile" if number else None


def watch(
    suite: Path,
    options: RunOptions,
    prepare: Callable[[RunOptions], PreparedRun],
    perform: Callable[[PreparedRun], FinishedRun],
    times: WatchTimes,
    *,
    spans: Path | None = None,
) -> Iterator[WatchedRun]:
    """Run a suite at each due time; yield the outcome of each.

    The watch ends when the time is over, when the rest of a budget does not pay for another conversation, or after an
    interrupted run. If a run other than the first cannot start, the next one tries again: a key may be set by then,
    or a disk have space.

    Args:
        suite: the suite's file; only one process may watch it at a time.
        options: options of each run; the budgets are for all runs together.
        prepare: prepares a run with these options.
        perform: performs a prepared run.
        times: the times at which runs are due.
        spans: a file to which the OpenTelemetry spans of each run are appended.

    Raises:
        CompareError: at the call, the options do not fit a watch; at the first moment or later, another process watches
            the suite, the first run could not start, or the journal of a run cannot be read, so that the rest of a
            budget is unknown.

    """
    _refuse_impossible(options, times.every_s)
    if spans is not None:
        _check_spans(spans)
    return _watch(suite, options, prepare, perform, times, spans=spans)


def _watch(
    suite: Path,
    options: RunOptions,
    prepare: Callable[[RunOptions], PreparedRun],
    perform: Callable[[PreparedRun], FinishedRun],
    times: WatchTimes,
    *,
    spans: Path | None,
) -> Iterator[WatchedRun]:
    with _only_watcher(suite):
        for due in times.due_runs():
            if not due.is_due:
                yield WatchedRun(due, None)
                return
            prepared = finished = problem = None
            try:
                prepared = prepare(options)
                finished = perform(prepared)
            except CompareError as error:
                if due.number == 0:
                    raise
                problem = str(error)
            if spans is not None and finished is not None:
                problem = _append_spans(spans, finished)
            yield WatchedRun(due, finished, problem)
            if prepared is not None and options.budgets:
                options = replace(options, budgets=_left(prepared))
            if (finished is not None and finished.interrupted) or any(not each.amount for each in options.budgets):
                return


def _refuse_impossible(options: RunOptions, every_s: float) -> None:
    if every_s < SHORTEST_S:
        raise CompareError(f"{options.spell('every_s')} must be {SHORTEST_S:g} s or more, not {every_s:g} s")
    if options.folders:
        output = options.spell("outputs", str(options.folders[0]))
        raise CompareError(f"{output}: each run of a watch has a folder of its own in {RESULTS}; name files")


def _check_spans(path: Path) -> None:
    """Raise CompareError if spans cannot be appended to a file; existing content is kept."""
    if path.suffix.lower() != ".jsonl":
        raise CompareError(f"--spans {path}: spans are JSON lines; name a file that ends in .jsonl")
    if path.name == journal.JOURNAL_FILE:
        raise CompareError(
            f"--spans {path}: {journal.JOURNAL_FILE} is where a run keeps what it observed. Name another file."
        )
    try:
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise CompareError(f"--spans {path} cannot be written: {error.strerror}. Name another file.") from error


@contextmanager
def _only_watcher(suite: Path) -> Iterator[None]:
    """Lock a suite's file, so that no other process watches it."""
    try:
        file = suite.open("rb")
    except OSError as error:
        raise CompareError(f"{suite} cannot be read: {error.strerror}") from error
    with file:
        try:
            lock(file.fileno(), suite)
        except JournalError:
            raise CompareError(
                f"another process watches {suite} already; two at once would disturb each other"
            ) from None
        yield


def _left(prepared: PreparedRun) -> tuple[Money, ...]:
    """Return the rest of each budget after a run, which may have failed after it sent requests."""
    from runner.commands.run.stop_rules import budgets_left  # brings numpy

    budgets = prepared.options.budgets
    if not (prepared.folder / journal.JOURNAL_FILE).exists():
        return budgets
    log = journal.read(prepared.folder)
    paid = chain(log.records, log.judge_records.values())
    return budgets_left(prepared.plan, prepared.forecast, budgets, paid)


def _append_spans(path: Path, finished: FinishedRun) -> str | None:
    """Append the spans of a run to a file; return an error message, None if it succeeds."""
    try:
        with path.open("ab+") as file:
            file.seek(-1 if file.tell() else 0, SEEK_END)
            torn = file.read(1) not in {b"", b"\n"}  # an earlier watch was killed while it wrote
            file.write((b"\n" if torn else b"") + otel.write(finished.run).text.encode())
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}; `compare export {finished.folder} --otel` makes the spans"
    return None

"""Perform a run on its own event loop in its own thread, while a view in the caller's thread shows its progress.

This works where an event loop runs already, as in a notebook's kernel, and nothing on that loop delays the timestamps.
An interrupted run keeps its finished rows.
"""

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from runner.commands.event_loop import event_loop_options
from runner.commands.redraw_timer import RedrawTimer
from runner.commands.run.perform import FinishedRun, perform, write_outputs
from runner.commands.run.prepared_run import PreparedRun
from runner.engine.run_observers import ForwardingObserver, Observer
from runner.errors import JournalError
from runner.storage.journal import JOURNAL_FILE

Result = TypeVar("Result")
Work = Callable[[PreparedRun, Observer], Awaitable[FinishedRun]]

POLL_S = 0.1
"""Seconds between two polls of the run; its thread is not disturbed in between."""


class Interrupted(KeyboardInterrupt):
    """The user interrupted a run; the message says where the finished rows are."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return [f"{KeyboardInterrupt.__name__}: {self}"]


class View(Observer):
    """An observer that draws only when `draw` is called; this base class shows nothing."""

    called_ns = 0
    """Time at which the run's thread made the current call, in nanoseconds of `perf_counter_ns`."""

    def draw(self) -> None:
        """Show the current state of the run."""

    def conclude(self, sentence: str) -> None:
        """Show that the run has ended, with a sentence on its result."""


class QueuedObserver(ForwardingObserver):
    """Queues calls from the run's thread until `deliver` makes them, in order, in the caller's thread."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._calls: SimpleQueue[tuple[int, Callable[[Observer], None]]] = SimpleQueue()
        self.watches_text = view.watches_text

    def forward(self, call: Callable[[Observer], None]) -> None:
        """Queue a call."""
        self._calls.put((perf_counter_ns(), call))

    def deliver(self) -> None:
        """Make the queued calls in this thread."""
        try:
            while True:
                self._view.called_ns, call = self._calls.get_nowait()
                call(self._view)
        except Empty:
            return


def perform_watched(prepared: PreparedRun, view: View | None = None, work: Work = perform) -> FinishedRun:
    """Perform a run in its own thread and show its progress in this one; without a view, show nothing.

    Raises:
        Interrupted: the user interrupted the run.

    """
    with _start_run(prepared, view or View(), work) as run:
        try:
            while not run.task.has_ended(within_s=POLL_S):
                run.update_view()
        except KeyboardInterrupt:
            raise Interrupted(run.stop()) from None
        return run.conclude()


async def perform_watched_async(prepared: PreparedRun, view: View) -> FinishedRun:
    """Perform a run in its own thread without blocking the caller's loop; a cancellation keeps finished rows."""
    with _start_run(prepared, view, perform) as run:
        try:
            while not run.task.has_ended():
                run.update_view()
                await anyio.sleep(POLL_S)
        except anyio.get_cancelled_exc_class():
            run.stop()  # blocks the caller's loop while connections close
            raise
        return run.conclude()


@contextmanager
def _start_run(prepared: PreparedRun, view: View, work: Work) -> Iterator["_RunInThread"]:
    observer = QueuedObserver(view)
    with start_in_thread(partial(work, prepared, observer)) as task:
        yield _RunInThread(prepared, task, observer, view)


class _RunInThread:
    """A run in its own thread and the view that shows it, which is redrawn when `RedrawTimer` says so."""

    def __init__(
        self, prepared: PreparedRun, task: "ThreadedTask[FinishedRun]", observer: QueuedObserver, view: View
    ) -> None:
        self.task = task
        self._prepared, self._observer, self._view = prepared, observer, view
        self._timer = RedrawTimer()

    def update_view(self) -> None:
        """Show what has happened since the last update."""
        self._observer.deliver()
        if self._timer.is_due():
            self._view.draw()

    def conclude(self) -> FinishedRun:
        """Show that the run has ended, and return it."""
        self.update_view()
        finished = self.task.result()
        assert finished is not None, "only a task that was stopped has no result"
        self._view.conclude(f"kept in {finished.folder}")
        return finished

    def stop(self) -> str:
        """Stop the run and write its tables; return a sentence that says where they are."""
        self.task.stop()
        self.task.has_ended(within_s=None)
        self.update_view()
        sentence = _keep_finished(self._prepared)
        self._view.conclude(sentence)
        return sentence


def _keep_finished(prepared: PreparedRun) -> str:
    """Write the tables of a stopped run; return a sentence that says where they are."""
    try:
        finished = write_outputs(prepared, interrupted=True)
    except JournalError as error:
        has_started = (prepared.folder / JOURNAL_FILE).exists()
        return f"stopped; {error}" if has_started else "stopped before anything was sent"
    rows = int((finished.run.measured["outcome"] != "cancelled").sum())
    hint = f'; run(resume="{finished.folder}") resumes it' if prepared.suite.path else ""
    return f'stopped; finished rows kept: {rows}. load("{finished.folder}") returns them{hint}'


class ThreadedTask(Generic[Result]):
    """A coroutine that runs in another thread."""

    def __init__(self, portal: BlockingPortal, work: Callable[[], Awaitable[Result]]) -> None:
        self._portal = portal
        self._scope = portal.call(_open_scope)
        self._future: Future[Result | None] = portal.start_task_soon(self._run, work)

    async def _run(self, work: Callable[[], Awaitable[Result]]) -> Result | None:
        with self._scope:
            return await work()
        return None

    def has_ended(self, within_s: float | None = 0) -> bool:
        """Return whether the task has ended, after waiting up to `within_s` seconds; None waits without a limit."""
        return not wait([self._future], within_s).not_done

    def stop(self) -> None:
        """Cancel the task; it ends after its cleanup."""
        self._portal.call(self._scope.cancel)

    def result(self) -> Result | None:
        """Wait for the task's end; return its result, None if it was stopped, or raise its exception."""
        return self._future.result()


async def _open_scope() -> anyio.CancelScope:
    return anyio.CancelScope()


@contextmanager
def start_in_thread(work: Callable[[], Awaitable[Result]]) -> Iterator[ThreadedTask[Result]]:
    """Run a coroutine in a thread for a `with` block. An error in the block cancels it and waits for its end."""
    with start_blocking_portal("asyncio", event_loop_options().get("backend_options")) as portal:
        yield ThreadedTask(portal, work)

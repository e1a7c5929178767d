"""Perform a run on an event loop and in a thread of its own, while a view in the caller's thread shows its progress.

A run can thus be performed where an event loop runs already, as under a notebook's kernel, and nothing on that loop
delays what is measured. An interrupted run keeps its finished rows.
"""

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic, perf_counter_ns
from typing import Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from runner.commands.event_loop import event_loop_options
from runner.commands.run.prepared_run import PreparedRun
from runner.commands.run.send_and_write import FinishedRun, perform, write_outputs
from runner.engine.run_observers import ForwardingObserver, Observer
from runner.errors import JournalError
from runner.storage.journal import FILE_NAME

Result = TypeVar("Result")
Work = Callable[[PreparedRun, Observer], Awaitable[FinishedRun]]

POLL_S = 0.1
"""Seconds between two looks at the run, whose own thread is not disturbed meanwhile."""

DRAW_S = 0.25
"""Seconds between two drawings, at least."""


class Interrupted(KeyboardInterrupt):
    """The user stopped a run; the message says where the finished rows are."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return [f"{KeyboardInterrupt.__name__}: {self}"]


class View(Observer):
    """An observer that draws only when it is asked to; by itself it shows nothing."""

    called_ns = 0
    """When the present call was made in the run's thread, by `perf_counter_ns`."""

    def draw(self) -> None:
        """Show how the run stands."""

    def conclude(self, sentence: str) -> None:
        """Show that the run is over, and what became of it."""


class Relay(ForwardingObserver):
    """Queues each call until `pass_on` makes it, in order; a call costs the run no more than a queue does."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._calls: SimpleQueue[tuple[int, Callable[[Observer], None]]] = SimpleQueue()
        self.watches_text = view.watches_text

    def forward(self, call: Callable[[Observer], None]) -> None:
        """Queue a call."""
        self._calls.put((perf_counter_ns(), call))

    def pass_on(self) -> None:
        """Make the queued calls, in this thread."""
        try:
            while True:
                self._view.called_ns, call = self._calls.get_nowait()
                call(self._view)
        except Empty:
            return


def perform_watched(prepared: PreparedRun, view: View | None = None, work: Work = perform) -> FinishedRun:
    """Perform a run in a thread of its own, and show its progress in this one; without a view nothing is shown.

    Raises:
        Interrupted: the user stopped it.

    """
    view = view or View()
    relay = Relay(view)
    with start_in_thread(partial(work, prepared, relay)) as task:
        watch = _Watch(relay, view)
        try:
            while not task.has_ended(within_s=POLL_S):
                watch.update()
        except KeyboardInterrupt:
            task.stop()
            task.has_ended(within_s=None)
            watch.update()
            raise Interrupted(_keep_finished(prepared, view)) from None
        watch.update()
        return _conclude(task.result(), view)


async def perform_watched_async(prepared: PreparedRun, view: View) -> FinishedRun:
    """Perform a run in a thread of its own while the caller's loop goes on; a cancellation keeps finished rows."""
    relay = Relay(view)
    with start_in_thread(partial(perform, prepared, relay)) as task:
        watch = _Watch(relay, view)
        try:
            while not task.has_ended():
                watch.update()
                await anyio.sleep(POLL_S)
        except anyio.get_cancelled_exc_class():
            task.stop()
            task.has_ended(within_s=None)  # blocks the caller's loop, for as long as closing connections takes
            watch.update()
            _keep_finished(prepared, view)
            raise
        watch.update()
        return _conclude(task.result(), view)


class _Watch:
    """Passes calls on to a view, and lets it draw now and then."""

    def __init__(self, relay: Relay, view: View) -> None:
        self._relay, self._view = relay, view
        self._draw_at_s = 0.0

    def update(self) -> None:
        self._relay.pass_on()
        if monotonic() >= self._draw_at_s:
            self._view.draw()
            self._draw_at_s = monotonic() + DRAW_S


def _conclude(finished: FinishedRun | None, view: View) -> FinishedRun:
    assert finished is not None, "only a task that was stopped has no result"
    view.conclude(f"kept in {finished.folder}")
    return finished


def _keep_finished(prepared: PreparedRun, view: View) -> str:
    """Write the tables of a run that was stopped; return a sentence on where they are."""
    try:
        finished = write_outputs(prepared, interrupted=True)
    except JournalError as error:
        began = (prepared.folder / FILE_NAME).exists()
        sentence = f"stopped; {error}" if began else "stopped before anything was asked"
    else:
        rows = int((finished.run.measured["outcome"] != "cancelled").sum())
        hint = f'; run(resume="{finished.folder}") goes on' if prepared.suite.path else ""
        sentence = f'stopped; finished rows kept: {rows}. load("{finished.folder}") returns them{hint}'
    view.conclude(sentence)
    return sentence


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
        """Return whether the task has ended, after waiting up to so many seconds for that; None waits for ever."""
        return not wait([self._future], within_s).not_done

    def stop(self) -> None:
        """Cancel the task, which ends when it has cleaned up."""
        self._portal.call(self._scope.cancel)

    def result(self) -> Result | None:
        """Return the result of a task that has ended, None if it was stopped; raise what it raised."""
        return self._future.result()


async def _open_scope() -> anyio.CancelScope:
    return anyio.CancelScope()


@contextmanager
def start_in_thread(work: Callable[[], Awaitable[Result]]) -> Iterator[ThreadedTask[Result]]:
    """Run a coroutine in a thread while a `with` block lasts; an error in the block stops it, and waits for its end."""
    with start_blocking_portal("asyncio", event_loop_options().get("backend_options")) as portal:
        yield ThreadedTask(portal, work)

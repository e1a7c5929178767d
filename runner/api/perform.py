"""A job is performed while its caller watches; what an interruption leaves is kept, and said."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from time import monotonic

import anyio

from runner.api.notebook.view import View
from runner.api.relay import Relay
from runner.api.thread import start_apart
from runner.commands.run.job import PreparedRun
from runner.commands.run.perform import FinishedRun, perform, write_outputs
from runner.engine.observer import Observer
from runner.errors import JournalError

Work = Callable[[PreparedRun, Observer], Awaitable[FinishedRun]]

LOOK_S = 0.1
"""How often the run is looked after: its own thread is left in peace meanwhile."""

DRAW_S = 0.25
"""How often at most it is drawn."""


class Interrupted(KeyboardInterrupt):
    """The user stopped a run; the message says where the finished rows are."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback."""
        return [f"{KeyboardInterrupt.__name__}: {self}"]


def perform_watched(job: PreparedRun, view: View, work: Work = perform) -> FinishedRun:
    """Perform a job to its end in a thread of its own, and show in this one how far it is.

    Raises:
        Interrupted: the user stopped it.

    """
    relay = Relay(view)
    with start_apart(partial(work, job, relay)) as apart:
        watch = _Watch(relay, view)
        try:
            while not apart.has_ended(within_s=LOOK_S):
                watch.look()
        except KeyboardInterrupt:
            apart.stop()
            apart.has_ended(within_s=None)
            watch.look()
            raise Interrupted(_keep(job, view)) from None
        watch.look()
        return _concluded(apart.result(), view)


async def perform_watched_async(job: PreparedRun, view: View) -> FinishedRun:
    """Do the same beside what else the caller's loop does; a cancellation stops the run and keeps finished rows."""
    relay = Relay(view)
    with start_apart(partial(perform, job, relay)) as apart:
        watch = _Watch(relay, view)
        try:
            while not apart.has_ended():
                watch.look()
                await anyio.sleep(LOOK_S)
        except anyio.get_cancelled_exc_class():
            apart.stop()
            apart.has_ended(within_s=None)  # holds up the caller's loop, for as long as closing connections takes
            watch.look()
            _keep(job, view)
            raise
        watch.look()
        return _concluded(apart.result(), view)


class _Watch:
    """Tells a view what the run has told, and lets it draw now and then."""

    def __init__(self, relay: Relay, view: View) -> None:
        self._relay, self._view = relay, view
        self._draw_at_s = 0.0

    def look(self) -> None:
        self._relay.pass_on()
        if monotonic() >= self._draw_at_s:
            self._view.draw()
            self._draw_at_s = monotonic() + DRAW_S


def _concluded(done: FinishedRun | None, view: View) -> FinishedRun:
    assert done is not None, "only an interruption stops the work, and it does not come here"
    view.conclude(f"kept in {done.folder}")
    return done


def _keep(job: PreparedRun, view: View) -> str:
    """Write the tables of a run that was stopped; say where they are."""
    sentence = "stopped before anything was asked"
    with suppress(JournalError):  # it never began
        done = write_outputs(job, interrupted=True)
        finished = int((done.run.measured["outcome"] != "cancelled").sum())
        again = f'; run(resume="{done.folder}") goes on' if job.suite.path else ""
        sentence = f'stopped; finished rows kept: {finished}. load("{done.folder}") returns them{again}'
    view.conclude(sentence)
    return sentence

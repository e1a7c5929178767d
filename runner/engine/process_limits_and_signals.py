"""Process-wide settings of a run: the limit on open files, garbage collection, and signals."""

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from runner.errors import CompareError

SPARE_FILES = 100
"""Number of open files needed besides connections: the journal, libraries, pipes, name look-ups."""

COLLECTION_THRESHOLD = 500_000
"""Number of new live container objects at which the garbage collector runs again.

Thousands of streams in flight have fewer. The objects of a request are freed without the collector, as tests check; it
is needed only for a live view's objects, and for bugs.
"""


def allow_connections(count: int) -> None:
    """Raise this process's soft limit on open files until it allows `count` connections; many systems set it to 256.

    Raises:
        CompareError: the hard limit is too low, or the system refuses the limit for a reason of its own.

    """
    try:
        import resource  # noqa: PLC0415 -- POSIX only
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CompareError(
            f"{count} connections at once need {needed} open files; this system allows {hard}. "
            "Lower --concurrency, or raise the limit (ulimit -n)."
        )
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (OSError, ValueError) as error:  # macOS has another limit, kern.maxfilesperproc, below an unlimited hard one
        raise CompareError(
            f"{count} connections at once need {needed} open files; this system allows {soft} and refuses more "
            f"({error}). Lower --concurrency, or raise the system's limit (macOS: sysctl kern.maxfilesperproc)."
        ) from error


FROZEN_BY_PYTHON = 1_000
"""More objects than an interpreter freezes itself when it starts: 375 in CPython 3.12.1, none in 3.11 and 3.13."""


@contextmanager
def rare_gc() -> Iterator[None]:
    """Freeze existing objects and make garbage collection rare during a `with` block.

    One collection with a thousand streams in flight takes up to 0.1 s, in which no read is timestamped. Existing
    garbage is also exempted: finding it takes as long, and there is little of it. If the process has exempted objects
    before, those stay exempt and no others are added, since the two could not be told apart afterwards.
    """
    usual, is_frozen = gc.get_threshold(), gc.get_freeze_count() > FROZEN_BY_PYTHON
    if not is_frozen:
        gc.freeze()
    gc.set_threshold(COLLECTION_THRESHOLD, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        if not is_frozen:
            gc.unfreeze()


@asynccontextmanager
async def cancel_on_signals() -> AsyncIterator[anyio.CancelScope]:
    """Yield a scope for the caller to enter. The first SIGINT or SIGTERM cancels it; a second ends the process.

    Outside the main thread, as in a notebook's kernel, signals are left alone.
    """
    scope = anyio.CancelScope()
    if threading.current_thread() is not threading.main_thread():
        yield scope
        return
    # Not a task group, which would wrap the run's exceptions in a group.
    watching = asyncio.create_task(_cancel_on_signal(scope))
    try:
        yield scope
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    # Leaving this block restores the default handlers, so that a second signal ends the process.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            break
    scope.cancel()

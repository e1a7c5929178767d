"""Ctrl-C, kindly: the first one stops sending and keeps what is finished, the second one leaves at once."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class Stop:
    """What a signal cancels; `scope.cancel_called` tells whether one came."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


@asynccontextmanager
async def stop_on_signals() -> AsyncIterator[Stop]:
    """Cancel the scope given on the first SIGINT or SIGTERM, and let a second one end the process.

    Outside the main thread, as under a notebook's kernel, signals belong to somebody else and stay theirs.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # No task group, which would wrap what goes wrong in the run.
    watching = asyncio.create_task(_cancel_on_signal(stop.scope))
    try:
        yield stop
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    # Leaving this block gives the signals back, so that a second one is not ours any more.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            break
    scope.cancel()

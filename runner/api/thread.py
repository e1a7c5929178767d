"""A coroutine on an event loop of its own, in a thread of its own.

So it runs where a loop is running already, as under a notebook's kernel, and nothing there holds up what it measures.
"""

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from runner.commands.run.perform import backend

Result = TypeVar("Result")


class ThreadedTask(Generic[Result]):
    """Work that goes on in the other thread."""

    def __init__(self, portal: BlockingPortal, work: Callable[[], Awaitable[Result]]) -> None:
        self._portal = portal
        self._scope = portal.call(_open_scope)
        self._future: Future[Result | None] = portal.start_task_soon(self._perform, work)

    async def _perform(self, work: Callable[[], Awaitable[Result]]) -> Result | None:
        with self._scope:
            return await work()
        return None

    def has_ended(self, within_s: float | None = 0) -> bool:
        """Tell whether the work is over, waiting for that so long at most; with None for as long as it takes."""
        return not wait([self._future], within_s).not_done

    def stop(self) -> None:
        """Cancel the work, which goes on until it has wound up."""
        self._portal.call(self._scope.cancel)

    def result(self) -> Result | None:
        """Return what came of the work once it is over, None if it was stopped; raise what it raised."""
        return self._future.result()


async def _open_scope() -> anyio.CancelScope:
    return anyio.CancelScope()


@contextmanager
def start_apart(work: Callable[[], Awaitable[Result]]) -> Iterator[ThreadedTask[Result]]:
    """Start work for the length of a `with` block; an error in the block stops it, and waits until it has wound up."""
    with start_blocking_portal("asyncio", backend().get("backend_options")) as portal:
        yield ThreadedTask(portal, work)

"""Wait until a condition is true, and fail after a limit."""

import time
from collections.abc import Callable

import anyio
import anyio.lowlevel

LIMIT_S = 120.0
"""So long that a machine with many other things to do passes; a test that fails is rare and may take its time."""


async def until(condition: Callable[[], bool]) -> None:
    """Check the condition once in each iteration of the event loop."""
    with anyio.fail_after(LIMIT_S):
        while not condition():
            await anyio.lowlevel.checkpoint()


def wait_until(condition: Callable[[], bool]) -> None:
    """Check the condition fifty times a second."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not true after {LIMIT_S:g} s"
        time.sleep(0.02)

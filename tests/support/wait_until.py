"""Functions that wait until a condition is true, and fail after a time limit."""

import time
from collections.abc import Callable

import anyio
import anyio.lowlevel

LIMIT_S = 120.0
"""Limit in seconds, long enough for a busy machine; a failing test is rare and may take that long."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true; check it in each iteration of the event loop."""
    with anyio.fail_after(LIMIT_S):
        while not condition():
            await anyio.lowlevel.checkpoint()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true; check it 50 times per second."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not true after {LIMIT_S:g} s"
        time.sleep(0.02)

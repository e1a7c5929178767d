"""Waits until something has come true, and fails when it does not."""

import time
from collections.abc import Callable

import anyio
import anyio.lowlevel

LIMIT_S = 30.0


async def until(true: Callable[[], bool]) -> None:
    """Look again each time the loop has gone round."""
    with anyio.fail_after(LIMIT_S):
        while not true():
            await anyio.lowlevel.checkpoint()


def wait_until(true: Callable[[], bool]) -> None:
    """Look fifty times a second."""
    deadline_s = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.02)

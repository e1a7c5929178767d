"""An event loop on a virtual clock: a wait takes no time, and `perf_counter_ns` returns the loop's time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest


class _NoWait(selectors.SelectSelector):
    """A selector that advances a clock instead of waiting."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the events that are ready now; advance the clock by the timeout."""
        if timeout:
            self._advance(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time starts at 0 and advances when all tasks wait."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_NoWait(self._advance))

    def _advance(self, seconds: float) -> None:
        self._now_s += seconds

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s


def run_virtually(
    monkeypatch: pytest.MonkeyPatch, modules: tuple[str, ...], run: Callable[[VirtualLoop], Coroutine[Any, Any, None]]
) -> float:
    """Run a coroutine to its end; return the virtual seconds that it took.

    Args:
        monkeypatch: the fixture of the test.
        modules: the modules whose `perf_counter_ns` returns the loop's time.
        run: returns the coroutine.

    """
    loop = VirtualLoop()
    for module in modules:
        monkeypatch.setattr(f"{module}.perf_counter_ns", lambda: round(loop.time() * 1e9))
    try:
        loop.run_until_complete(run(loop))
        return loop.time()
    finally:
        loop.close()

"""The cost of a request and of a token, counted in Python calls, since no test may depend on how fast a machine is.

`tests/benchmarks/accuracy.py` measures the cost in CPU time, on a machine with nothing else to do. Between two such
measurements this test notices what a feature adds to each request, or to each token, of runs that do not use it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import runner
from runner.calibration.measure import CalibrationLoad, run_load
from runner.commands.event_loop import run_async
from runner.engine import event_loop_lateness
from runner.simulator.child_process import launch_sync

OURS = str(Path(runner.__file__).parent)
TICKER = event_loop_lateness.__file__
"""Its timer ticks however many requests there are: more often where the machine is slow."""

REQUESTS, TOKENS = 40, 100

MAX_CALLS_A_REQUEST = 910
MAX_CALLS_A_TOKEN = 3.2
"""Less than a tenth above what CPython 3.11 needs, 845 and 2.9; it counts comprehensions, which later versions do not.
Whoever raises one of them has measured what that costs in time (docs/accuracy.md), and found it worth it."""


class CallCounter:
    """Counts the calls of this project's functions, and the times a coroutine or a generator of it is resumed."""

    def __init__(self) -> None:
        self.calls = 0

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Count a call, as `sys.setprofile` reports it."""
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(OURS) and name != TICKER:
            self.calls += 1


@contextmanager
def counting_calls() -> Iterator[CallCounter]:
    """Count the calls of a `with` block."""
    counter, before = CallCounter(), sys.getprofile()
    sys.setprofile(counter.note)
    try:
        yield counter
    finally:
        sys.setprofile(before)


@pytest.fixture
def calls_of(tmp_path: Path) -> Iterator[Callable[[int], float]]:
    """Return a function that puts a load on a simulator and returns the calls per request of this many tokens."""
    with launch_sync() as base_url:

        def count(tokens: int) -> float:
            load = CalibrationLoad(concurrency=4, requests=REQUESTS, ttft_ms=0, gap_ms=0, tokens=tokens)
            run_async(
                run_load, base_url, load, tmp_path / f"first-{tokens}"
            )  # the first request imports and builds what later ones use
            with counting_calls() as counter:
                run_async(run_load, base_url, load, tmp_path / f"second-{tokens}")
            return counter.calls / REQUESTS

        yield count


def test_the_calls_per_request_and_token_are_within_their_budget(calls_of: Callable[[int], float]) -> None:
    """Features that a run does not use add no call to its requests and tokens."""
    short, long = calls_of(1), calls_of(TOKENS + 1)

    assert short <= MAX_CALLS_A_REQUEST
    assert (long - short) / TOKENS <= MAX_CALLS_A_TOKEN

"""Notify the user of work that takes longer than expected, such as writing the page of a large run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

EXPECTED_S = 5.0
"""Seconds within which nearly all runs finish all work after their last request."""


@contextmanager
def notify_if_slow(what: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` from another thread when a block takes longer than expected, and again each time the wait doubles.

    Args:
        what: description of the work, to follow the word "still": "writing report.html".
        tell: shows a line to the user.

    """
    is_done = Event()

    def watch() -> None:
        waited_s = 0.0
        while not is_done.wait(max(EXPECTED_S, waited_s)):
            waited_s += max(EXPECTED_S, waited_s)
            tell(f"still {what}, for {waited_s:.0f} s now")

    Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        is_done.set()

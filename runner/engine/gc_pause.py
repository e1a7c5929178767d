"""Keeps the garbage collector away from measured moments."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_OBJECTS = 500_000
"""So many more containers must be alive than at the last look before the collector looks again.

Thousands of streams in flight are fewer. What a request leaves behind goes without the collector, a test holds that
(tests/test_client.py); it is here for what a live view may leave, and for bugs.
"""


@contextmanager
def keep_collector_away() -> Iterator[None]:
    """Set aside all that exists by now, and have the rest looked through seldom.

    A look at a thousand streams in flight takes up to a tenth of a second, in which no read is stamped. What is
    garbage already is set aside as well: to find it takes as long, and there is little of it.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()

"""Keeps the garbage collector away from measured moments."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keep_collector_away() -> Iterator[None]:
    """Set aside all that exists by now, so that collections during the run look at young objects only.

    A full collection over the modules alone takes tens of milliseconds, in which no read is stamped.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

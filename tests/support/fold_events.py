"""The fold of events, as a test of a decoder or of the fold itself needs it."""

from runner.core.events import Event
from runner.core.record_from_events import Fold


def fold_events(*events: Event) -> Fold:
    """Return the fold of these events, added one by one."""
    fold = Fold()
    for event in events:
        fold.add(event)
    return fold

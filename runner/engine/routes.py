"""The check that the vendor answered that a target's `route` pins. Pure."""

from collections.abc import Sequence

from runner.core.answered_by import is_same_vendor
from runner.core.record_from_events import Fold
from runner.wire.failure import failure


def check_route(fold: Fold, vendors: Sequence[str], at_ns: int) -> set[str]:
    """Fail an attempt that another vendor answered; return the flags of one that does not tell.

    Args:
        fold: what the attempt received; it is over.
        vendors: the names of the vendor that is pinned, its route first; empty if none is.
        at_ns: now.

    """
    notes: set[str] = set()
    started = fold.response_started
    if not vendors or started is None or fold.failed is not None:
        return notes
    found = fold.answered_by.served_by
    if found is None:
        notes.add("route_unconfirmed")
    elif not is_same_vendor(vendors[0], found, vendors[1:]):
        message = f"{found} answered, though route: {vendors[0]} allows no other vendor"
        fold.add(failure("other_route", message, at_ns, status=started.status))
    return notes

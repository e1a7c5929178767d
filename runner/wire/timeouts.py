"""The four timeouts of a request as arithmetic on timestamps: connect, first token, idle, total.

This module reads no clock. All times are `perf_counter_ns`; a request that was not sent counts from 0.
"""

from runner.core.events import Failed
from runner.core.failure_kinds import failure
from runner.core.suite import Timeouts


def next_deadline_ns(sent_ns: int | None, has_text: bool, last_event_ns: int | None, timeouts: Timeouts) -> int:
    """Return when the next timeout expires. Only data resets `idle`; comments and blank lines do not."""
    start_ns = sent_ns or 0
    total_ns = start_ns + int(timeouts.total * 1e9)
    if not has_text:
        return min(total_ns, start_ns + int(timeouts.first_token * 1e9))
    return min(total_ns, (last_event_ns or start_ns) + int(timeouts.idle * 1e9))


def expired_timeout(
    sent_ns: int | None, has_text: bool, last_event_ns: int | None, timeouts: Timeouts, now_ns: int
) -> Failed | None:
    """Return the failure for the timeout that has expired; None if none has."""
    if now_ns < next_deadline_ns(sent_ns, has_text, last_event_ns, timeouts):
        return None
    if now_ns >= (sent_ns or 0) + int(timeouts.total * 1e9):
        return failure("total", f"not finished after {timeouts.total:g} s", now_ns)
    if not has_text:
        return failure("first_token", f"no text after {timeouts.first_token:g} s", now_ns)
    return failure("idle", f"no data for {timeouts.idle:g} s", now_ns)


def head_timeout(write_start_ns: int | None, sent_ns: int | None, timeouts: Timeouts, now_ns: int) -> Failed:
    """Return the failure of a request whose response did not start in time."""
    if sent_ns is None and write_start_ns is not None:
        return failure("total", f"not sent after {timeouts.total:g} s", now_ns)
    if sent_ns is None:
        return failure("connect", f"no connection after {timeouts.connect:g} s", now_ns)
    if timeouts.total <= timeouts.first_token:
        return failure("total", f"no answer after {timeouts.total:g} s", now_ns)
    return failure("first_token", f"no answer after {timeouts.first_token:g} s", now_ns)

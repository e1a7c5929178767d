"""The kernel's timestamp beside a read: how long the read waited, or nothing."""

import socket

from hypothesis import given
from hypothesis import strategies as st

from runner.wire.kernel_clock import LONGEST_WAIT_NS, SO_TIMESTAMPNS, TIMESPEC, _waited_ns

NOW_NS = 1_800_000_000_123_456_789


def control_message(at_ns: int, kind: int = SO_TIMESTAMPNS) -> tuple[int, int, bytes]:
    """Return a control message as the kernel writes it."""
    return socket.SOL_SOCKET, kind, TIMESPEC.pack(*divmod(at_ns, 1_000_000_000))


@given(st.integers(-2 * LONGEST_WAIT_NS, 2 * LONGEST_WAIT_NS))
def test_wait_in_the_kernel_is_exact_to_the_nanosecond(waited_ns: int) -> None:
    """A timestamp in the future, or long ago, means that the clock was set meanwhile: then the wait is 0."""
    expected = waited_ns if 0 <= waited_ns < LONGEST_WAIT_NS else 0
    assert _waited_ns([control_message(NOW_NS, kind=1), control_message(NOW_NS - waited_ns)], NOW_NS) == expected


def test_wait_without_a_kernel_timestamp_is_0() -> None:
    """The kernel does not timestamp segments that arrived before the option was set."""
    assert _waited_ns([], NOW_NS) == 0

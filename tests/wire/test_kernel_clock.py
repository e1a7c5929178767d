"""The kernel's stamp beside a read: how long it had waited, or nothing."""

import socket

from hypothesis import given
from hypothesis import strategies as st

from runner.wire.kernel_clock import SO_TIMESTAMPNS, STEP_NS, TIMESPEC, _waited_ns

NOW_NS = 1_800_000_000_123_456_789


def note(at_ns: int, kind: int = SO_TIMESTAMPNS) -> tuple[int, int, bytes]:
    """Return a control message as the kernel writes it."""
    return socket.SOL_SOCKET, kind, TIMESPEC.pack(*divmod(at_ns, 1_000_000_000))


@given(st.integers(-2 * STEP_NS, 2 * STEP_NS))
def test_a_wait_is_told_to_the_nanosecond(waited_ns: int) -> None:
    """A stamp of the future, or of long ago, is a clock that was set in between: then nothing is subtracted."""
    expected = waited_ns if 0 <= waited_ns < STEP_NS else 0
    assert _waited_ns([note(NOW_NS, kind=1), note(NOW_NS - waited_ns)], NOW_NS) == expected


def test_without_a_stamp_nothing_is_subtracted() -> None:
    """The kernel stamps no segment that came before it was told to."""
    assert _waited_ns([], NOW_NS) == 0

"""The kernel's timestamps of received and sent bytes, converted to our clock, and reads of a single segment."""

import socket
import sys
from collections.abc import Iterator
from time import perf_counter_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.wire.kernel_clock import (
    EXTENDED_ERROR,
    FROM_TIMESTAMPING,
    LONGEST_WAIT_NS,
    NARROW_NS,
    SO_TIMESTAMPING,
    SO_TIMESTAMPNS,
    TIMESPEC,
    SegmentCounter,
    WallClock,
    arrival_ns,
    read_departure,
)

AHEAD_NS = 1_800_000_000_123_456_789
NOW_NS = 50_000_000_000
MS = 1_000_000

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these timestamps and counters")


def timespec(at_ns: int) -> bytes:
    """Return a timestamp as the kernel writes it."""
    return TIMESPEC.pack(*divmod(at_ns, 1_000_000_000))


def compared(*readings: tuple[int, int], ahead_ns: int = AHEAD_NS) -> WallClock:
    """Return a clock that was compared with the wall clock between each pair of our timestamps."""
    clock = WallClock()
    for before_ns, after_ns in readings:
        clock.add(before_ns, (before_ns + after_ns) // 2 + ahead_ns, after_ns)
    return clock


@given(st.integers(-2 * LONGEST_WAIT_NS, 2 * LONGEST_WAIT_NS))
def test_arrival_is_converted_unless_a_clock_was_set(waited_ns: int) -> None:
    """A timestamp in the future, or long ago, means that the clock was set, and there is none."""
    clock = compared((NOW_NS - 100, NOW_NS))
    messages = [
        (socket.SOL_SOCKET, 1, b""),
        (socket.SOL_SOCKET, SO_TIMESTAMPNS, timespec(NOW_NS + AHEAD_NS - waited_ns)),
    ]
    at_ns = arrival_ns(messages, clock, NOW_NS)
    if 0 <= waited_ns < LONGEST_WAIT_NS - NARROW_NS:
        assert at_ns is not None
        assert abs(at_ns - (NOW_NS - waited_ns)) <= 50
    elif not -NARROW_NS < waited_ns <= LONGEST_WAIT_NS:
        assert at_ns is None


def test_read_without_a_kernel_timestamp_has_none() -> None:
    """The kernel does not timestamp segments that arrived before the option was set."""
    assert arrival_ns([], compared((NOW_NS - 100, NOW_NS)), NOW_NS) is None


@given(st.integers(0, 30 * MS), st.integers(0, 30 * MS))
def test_an_interruption_between_the_two_clocks_falsifies_no_timestamp(before_ns: int, after_ns: int) -> None:
    """After one quick comparison, a process that loses the CPU during another keeps the exact difference."""
    clock = compared((NOW_NS - 200, NOW_NS))
    clock.add(NOW_NS + MS, NOW_NS + MS + before_ns + AHEAD_NS, NOW_NS + MS + before_ns + after_ns)
    late_ns = NOW_NS + 100 * MS
    at_ns = clock.convert(NOW_NS + 5 * MS + AHEAD_NS, late_ns)
    assert at_ns is not None
    assert abs(at_ns - (NOW_NS + 5 * MS)) <= 100


def test_a_wall_clock_that_was_set_is_noticed() -> None:
    """A comparison that contradicts those before replaces them."""
    clock = compared((NOW_NS - 100, NOW_NS))
    clock.add(NOW_NS + MS, NOW_NS + MS + 50 + AHEAD_NS + 7 * MS, NOW_NS + MS + 100)
    assert clock.convert(NOW_NS + MS + AHEAD_NS + 7 * MS, NOW_NS + 2 * MS) == pytest.approx(NOW_NS + MS, abs=100)


def test_departure_has_a_time_and_a_place() -> None:
    """An entry of the error queue that is no timestamp, such as an ICMP message, says neither."""
    timestamp = (socket.SOL_SOCKET, SO_TIMESTAMPING, timespec(AHEAD_NS) + timespec(0) * 2)
    place = (socket.IPPROTO_IP, 11, EXTENDED_ERROR.pack(42, FROM_TIMESTAMPING, 0, 0, 0, 0, 99) + bytes(16))
    other = (socket.IPPROTO_IP, 11, EXTENDED_ERROR.pack(111, 2, 3, 3, 0, 0, 0) + bytes(16))
    assert read_departure([timestamp, place]) == (AHEAD_NS, 99)
    assert [read_departure(found) for found in ([timestamp], [place], [other], [timestamp, other], [])] == [None] * 5


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the two ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        with theirs:
            theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield ours, theirs


@on_linux
def test_a_read_is_one_segment_only_if_nothing_was_merged(pair: tuple[socket.socket, socket.socket]) -> None:
    """Two writes read together, or one write read in two parts, are not; the next single write is again."""
    ours, theirs = pair
    counter = SegmentCounter(ours)
    found = []

    def send(*pieces: bytes) -> None:
        for piece in pieces:
            theirs.sendall(piece)
        while len(ours.recv(64, socket.MSG_PEEK)) < sum(map(len, pieces)):
            pass

    for pieces, sizes in (([b"one"], [3]), ([b"one", b"two"], [6]), ([b"four"], [2, 2]), ([b"five!"], [5])):
        send(*pieces)
        for size in sizes:
            counter.add(len(ours.recv(size)))
            found += [counter.was_one_segment()]
            assert counter.was_one_segment() == found[-1]
    assert found == [True, False, False, False, True]


@on_linux
@pytest.mark.parametrize(("before", "expected"), [([b"one"], True), ([b"one", b"two"], False)])
def test_reads_that_were_not_asked_about_count(
    pair: tuple[socket.socket, socket.socket], before: list[bytes], expected: bool
) -> None:
    """A read is one segment only if all reads since the last question were."""
    ours, theirs = pair
    counter = SegmentCounter(ours)
    for pieces in ([b"first"], before, [b"last"]):
        for piece in pieces:
            theirs.sendall(piece)
        while len(ours.recv(64, socket.MSG_PEEK)) < sum(map(len, pieces)):
            pass
        counter.add(len(ours.recv(64)))
    assert counter.was_one_segment() is expected


def test_a_socket_that_is_not_tcp_has_no_segments() -> None:
    """The answer is unknown."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"one")
        counter = SegmentCounter(ours)
        counter.add(len(ours.recv(10)))
        assert counter.was_one_segment() is False


def test_the_clocks_of_this_machine_can_be_compared() -> None:
    """The time of a comparison lies between two of our own timestamps."""
    clock, before_ns = WallClock(), perf_counter_ns()
    assert before_ns <= clock.compare() <= perf_counter_ns()

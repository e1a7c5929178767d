"""The kernel's timestamps of a connection: when the last byte of a read arrived, and of a request left (Linux).

The event loop's own reads come without it. So the reading of a connection, and nothing else, is taken from the loop:
the connection's transport still writes and closes. With TLS, each read is fed to the TLS layer.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from time import perf_counter_ns, time_ns

from runner.wire.batched_reads import batched_reads
from runner.wire.response_body import KERNEL_CLOCK, TRANSPORT_CLOCK

SO_TIMESTAMPNS = 35
SO_TIMESTAMPING = 37
TX_SOFTWARE, REPORT_SOFTWARE, WITH_KEY, WITHOUT_DATA = 1 << 1, 1 << 4, 1 << 7, 1 << 11
"""Flags of SO_TIMESTAMPING: timestamp what leaves, in software, with its place in the stream, without repeating it."""

TIMESPEC = struct.Struct("@ll")
EXTENDED_ERROR = struct.Struct("@IBBBBII")
FROM_TIMESTAMPING = 4
"""The origin of an entry of the error queue that is a timestamp."""

TCP_INFO_SIZE = 160
RECEIVED = struct.Struct("@128xQ16xI")
"""Two counters of TCP_INFO at their places: bytes, and segments that carried data."""

ANCILLARY_SIZE = socket.CMSG_SPACE(TIMESPEC.size) if sys.platform != "win32" else 0
DEPARTURE_SIZE = 512
READ_SIZE = 64 * 1024

LONGEST_WAIT_NS = 10_000_000_000
"""A longer wait in the kernel is taken for a wall clock that was set meanwhile."""

COMPARISON_INTERVAL_NS = 1_000_000
"""Time between two comparisons of the clocks: they drift apart by less than a nanosecond in it."""

NARROW_NS = 20_000
ATTEMPTS = 5
"""The first comparison of the two clocks is repeated until it is this exact, a few times at most."""


OnRead = Callable[[bytes, int, str], None]
"""Called with a read, when it arrived, and by which clock: the kernel's, of its last byte, or the transport's."""

ControlMessages = Iterable[tuple[int, int, bytes]]


class WallClock:
    """Converts timestamps of the kernel, which are of the wall clock, to `perf_counter_ns`.

    The two clocks run at the same speed and differ by a constant until somebody sets the wall clock. Each comparison
    gives bounds of the difference: all of them together are exact to a microsecond, even if the process was interrupted
    during one. Where they contradict each other, the wall clock was set.
    """

    def __init__(self) -> None:
        self._low = self._high = self._ahead = 0
        self._known = False
        self.due_ns = 0
        """When the next comparison is due, in `perf_counter_ns`."""

    def compare(self) -> int:
        """Compare the clocks; return the present `perf_counter_ns`."""
        before = perf_counter_ns()
        wall, after = time_ns(), perf_counter_ns()
        self.add(before, wall, after)
        self.due_ns = after + COMPARISON_INTERVAL_NS
        return after

    def add(self, before_ns: int, wall_ns: int, after_ns: int) -> None:
        """Narrow the bounds by a reading of the wall clock between two of `perf_counter_ns`."""
        low, high = wall_ns - after_ns, wall_ns - before_ns
        if self._known and low <= self._high and high >= self._low:
            low, high = max(low, self._low), min(high, self._high)
        else:
            for _ in range(ATTEMPTS):
                if high - low <= NARROW_NS:
                    break
                before_ns, wall_ns, after_ns = perf_counter_ns(), time_ns(), perf_counter_ns()
                low, high = wall_ns - after_ns, wall_ns - before_ns
        self._low, self._high, self._known = low, high, True
        self._ahead = (low + high) // 2

    def convert(self, wall_ns: int, now_ns: int) -> int | None:
        """Return a timestamp as `perf_counter_ns`; None if it is in the future or long ago, after a clock was set."""
        at_ns = wall_ns - self._ahead
        if now_ns - LONGEST_WAIT_NS < at_ns <= now_ns:
            return at_ns
        return now_ns if now_ns < at_ns < now_ns + NARROW_NS else None


_WALL_CLOCK = WallClock()


class SegmentCounter:
    """Counts TCP segments to determine whether a read was one segment, all of which arrived at once.

    A read of several segments has the timestamp of the last one, and nobody knows when the first one arrived. To ask
    the kernel costs as much as a read, so it is asked only where that matters. The reads before had a segment each
    at least: where there are as many segments as reads, each had one.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._unread = 0
        self._received, self._segments = self._counts() or (0, 0)
        self._size = self._reads = 0
        """Bytes and reads since the kernel was asked."""
        self._answer: bool | None = None

    def _counts(self) -> tuple[int, int] | None:
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
            received, segments = RECEIVED.unpack_from(info)
        except (OSError, struct.error):  # not TCP, or a kernel without these counters
            return None
        return received, segments

    def add(self, size: int) -> None:
        """Count a read of `size` bytes, which has just been made."""
        self._size += size
        self._reads += 1
        self._answer = None

    def was_one_segment(self) -> bool:
        """Return whether the last read was one segment; False where that is not known."""
        if self._answer is None:
            self._answer = self._ask()
        return self._answer

    def _ask(self) -> bool:
        counts = self._counts()
        if counts is None:
            return False
        received, segments = counts
        was_empty = self._unread == 0
        self._unread += received - self._received - self._size
        each_had_one = was_empty and self._unread == 0 and segments - self._segments == self._reads
        self._received, self._segments = received, segments
        self._size = self._reads = 0
        return each_had_one


class KernelReader:
    """Passes on each read with the moment it arrived, and when a request left, until the end of the connection.

    Args:
        sock: a descriptor of the connection's socket.
        on_read: called with a read.
        on_departure: called with the time at which the last byte of a write left.
        on_end: called with the error that ended the connection, None if it was closed cleanly.

    """

    def __init__(
        self,
        sock: socket.socket,
        on_read: OnRead,
        on_departure: Callable[[int], None],
        on_end: Callable[[Exception | None], None],
    ) -> None:
        self._socket = sock
        self._on_read = on_read
        self._on_departure = on_departure
        self._on_end = on_end
        self._left_until = -1
        self._awaits_departure = False
        self.segments = SegmentCounter(sock)
        self._batched_reads = batched_reads()
        self._batched_reads.add(sock.fileno(), self._read)

    def note_write(self) -> None:
        """Look for the departure of a write: it is known at once, or later by the error queue."""
        self._awaits_departure = True
        self._take_departures()

    def _take_departures(self) -> None:
        """Empty the error queue, in which the kernel reports what left, and which wakes the loop until it is empty."""
        with contextlib.suppress(OSError):
            while True:
                _, messages, _, _ = self._socket.recvmsg(0, DEPARTURE_SIZE, socket.MSG_ERRQUEUE)
                self._note_departure(messages)

    def _note_departure(self, messages: ControlMessages) -> None:
        departure = read_departure(messages)
        if departure is None:
            return
        wall_ns, place = departure
        # Places count bytes and wrap around. What is sent again has its old place, and left when it left first.
        if self._left_until >= 0 and not 0 < (place - self._left_until) % 2**32 < 2**31:
            return
        self._left_until = place
        at_ns = _WALL_CLOCK.convert(wall_ns, _WALL_CLOCK.compare())
        if at_ns is not None:
            self._on_departure(at_ns)

    def _read(self) -> None:
        if self._awaits_departure:
            self._awaits_departure = False
            self._take_departures()
        try:
            data, messages, _, _ = self._socket.recvmsg(READ_SIZE, ANCILLARY_SIZE)
        except (BlockingIOError, InterruptedError):
            self._take_departures()
            return
        except OSError as error:
            self._end(error)
            return
        now_ns = perf_counter_ns()
        if now_ns >= _WALL_CLOCK.due_ns:
            now_ns = _WALL_CLOCK.compare()
        if not data:
            self._end(None)
            return
        at_ns = arrival_ns(messages, _WALL_CLOCK, now_ns)
        self.segments.add(len(data))
        try:
            if at_ns is None:
                self._on_read(data, now_ns, TRANSPORT_CLOCK)
            else:
                self._on_read(data, at_ns, KERNEL_CLOCK)
        except Exception as error:  # noqa: BLE001 -- whatever these bytes break, it is this connection and no other
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._batched_reads.remove(self._socket.fileno())
        self._on_end(error)

    def pause(self) -> None:
        """Read nothing until `resume`; what arrives waits in the kernel and keeps its timestamps."""
        self._batched_reads.pause(self._socket.fileno())

    def resume(self) -> None:
        """Read again."""
        self._batched_reads.resume(self._socket.fileno())

    def close(self) -> None:
        """Stop reading."""
        self._batched_reads.remove(self._socket.fileno())
        self._socket.close()


def take_over_reading(
    transport: asyncio.Transport,
    on_read: OnRead,
    on_departure: Callable[[int], None],
    on_end: Callable[[Exception | None], None],
) -> KernelReader | None:
    """Return a reader in place of a transport's own reading; None, and the transport reads on, without kernel support.

    The transport is one directly on a socket, without TLS; the callbacks are those of `KernelReader`.
    """
    own = transport.get_extra_info("socket")
    if sys.platform != "linux" or own is None or transport.get_extra_info("ssl_object") is not None:
        return None
    # Another descriptor of the same socket: loops refuse to watch a descriptor that a transport uses.
    with contextlib.suppress(OSError, NotImplementedError):
        duplicate = socket.socket(fileno=socket.dup(own.fileno()))
        duplicate.setblocking(False)
        duplicate.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with contextlib.suppress(OSError):  # not every kernel and kind of socket timestamps what leaves
            flags = TX_SOFTWARE | REPORT_SOFTWARE | WITH_KEY | WITHOUT_DATA
            duplicate.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, flags)
        transport.pause_reading()
        return KernelReader(duplicate, on_read, on_departure, on_end)
    return None


def feed_protocol(data: bytes, protocol: asyncio.BufferedProtocol) -> None:
    """Pass a read to a protocol as its transport would."""
    left = memoryview(data)
    while left:
        space = memoryview(protocol.get_buffer(len(left)))
        size = min(len(space), len(left))
        space[:size] = left[:size]
        protocol.buffer_updated(size)
        left = left[size:]


def arrival_ns(messages: ControlMessages, clock: WallClock, now_ns: int) -> int | None:
    """Return when a read's last byte arrived, by the timestamp beside the read; None without a usable one.

    The kernel does not timestamp what arrived shortly after the first socket of the machine asked for it.
    """
    for level, kind, data in messages:
        if kind == SO_TIMESTAMPNS and level == socket.SOL_SOCKET and len(data) >= TIMESPEC.size:
            seconds, rest_ns = TIMESPEC.unpack_from(data)  # as `_wall_ns`, which would cost a call for each read
            return clock.convert(seconds * 1_000_000_000 + rest_ns, now_ns)
    return None


def read_departure(messages: ControlMessages) -> tuple[int, int] | None:
    """Return when a write left, by the wall clock, and the place of its last byte; None if an entry does not say it."""
    wall_ns = place = None
    for level, kind, data in messages:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING) and len(data) >= TIMESPEC.size:
            wall_ns = _wall_ns(data)
        elif level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and len(data) >= EXTENDED_ERROR.size:
            error = EXTENDED_ERROR.unpack(data[: EXTENDED_ERROR.size])
            place = error[6] if error[1] == FROM_TIMESTAMPING else None
    return (wall_ns, place) if wall_ns and place is not None else None


def _wall_ns(data: bytes) -> int:
    seconds, rest_ns = TIMESPEC.unpack_from(data)
    at_ns: int = seconds * 1_000_000_000 + rest_ns
    return at_ns

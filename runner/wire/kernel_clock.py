"""Kernel timestamps of a connection (Linux): when the last byte of a read arrived, and when a request's last byte left.

The event loop's own reads have no kernel timestamps. This module therefore reads the socket itself; the connection's
transport still writes and closes. With TLS, each read is fed to the TLS layer.
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
"""Flags of SO_TIMESTAMPING: software timestamps of sent data, with its offset in the stream, without the data."""

TIMESPEC = struct.Struct("@ll")
EXTENDED_ERROR = struct.Struct("@IBBBBII")
FROM_TIMESTAMPING = 4
"""Origin of the error-queue entries that are timestamps (SO_EE_ORIGIN_TIMESTAMPING)."""

TCP_INFO_SIZE = 160
RECEIVED = struct.Struct("@128xQ16xI")
"""Two counters of TCP_INFO at their offsets: bytes received, and segments received that carried data."""

ANCILLARY_SIZE = socket.CMSG_SPACE(TIMESPEC.size) if sys.platform != "win32" else 0
DEPARTURE_SIZE = 512
READ_SIZE = 64 * 1024

LONGEST_WAIT_NS = 10_000_000_000
"""Longest plausible wait of data in the kernel; a longer one means that the wall clock was set meanwhile."""

COMPARISON_INTERVAL_NS = 1_000_000
"""Time between two comparisons of the clocks, in which they drift apart by less than a nanosecond."""

NARROW_NS = 20_000
ATTEMPTS = 5
"""The first comparison of the clocks is repeated, up to `ATTEMPTS` times, until it is exact to `NARROW_NS`."""


OnRead = Callable[[bytes, int, str], None]
"""Callback for a read: its bytes, its arrival time, and the clock of that time, `KERNEL_CLOCK` or `TRANSPORT_CLOCK`."""

ControlMessages = Iterable[tuple[int, int, bytes]]


class WallClock:
    """Converts kernel timestamps, which use the wall clock, to `perf_counter_ns`.

    The two clocks run at the same speed and differ by a constant until somebody sets the wall clock. Each comparison
    bounds the difference. Together the bounds are exact to a microsecond, even if the process was interrupted during
    a comparison. Bounds that contradict each other show that the wall clock was set.
    """

    def __init__(self) -> None:
        self._low = self._high = self._ahead = 0
        self._known = False
        self.due_ns = 0
        """Time of the next comparison, in `perf_counter_ns`."""

    def compare(self) -> int:
        """Compare the clocks and return the current `perf_counter_ns`."""
        before = perf_counter_ns()
        wall, after = time_ns(), perf_counter_ns()
        self.add(before, wall, after)
        self.due_ns = after + COMPARISON_INTERVAL_NS
        return after

    def add(self, before_ns: int, wall_ns: int, after_ns: int) -> None:
        """Narrow the bounds with a wall-clock reading taken between two readings of `perf_counter_ns`."""
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
        """Return a timestamp as `perf_counter_ns`; None if it is in the future or too old, because a clock was set."""
        at_ns = wall_ns - self._ahead
        if now_ns - LONGEST_WAIT_NS < at_ns <= now_ns:
            return at_ns
        return now_ns if now_ns < at_ns < now_ns + NARROW_NS else None


_WALL_CLOCK = WallClock()


class SegmentCounter:
    """Counts TCP segments to determine whether a read was a single segment, whose bytes arrived together.

    A read of several segments has the timestamp of the last one; the arrival of the first one is unknown. Querying
    the kernel costs as much as a read, so it is queried only where that matters. Each read has at least one segment,
    so if there were as many segments as reads since the last query, each read was one segment.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._unread = 0
        self._received, self._segments = self._counts() or (0, 0)
        self._size = self._reads = 0
        """Bytes and reads since the last query of the kernel."""
        self._was_one_segment = False

    def _counts(self) -> tuple[int, int] | None:
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
            received, segments = RECEIVED.unpack_from(info)
        except (OSError, struct.error):  # not TCP, or a kernel without these counters
            return None
        return received, segments

    def add(self, size: int) -> None:
        """Count the latest read, of `size` bytes."""
        self._size += size
        self._reads += 1

    def was_one_segment(self) -> bool:
        """Return whether the last read was one segment; False if that is unknown."""
        if self._reads:
            self._was_one_segment = self._query()
        return self._was_one_segment

    def _query(self) -> bool:
        counts = self._counts()
        if counts is None:
            return False
        received, segments = counts
        was_empty = self._unread == 0
        self._unread += received - self._received - self._size
        were_single = was_empty and self._unread == 0 and segments - self._segments == self._reads
        self._received, self._segments = received, segments
        self._size = self._reads = 0
        return were_single


class KernelReader:
    """Reads a connection until its end, and reports the kernel's timestamps of each read and each write.

    Args:
        sock: a duplicate of the connection's socket.
        on_read: called with each read.
        on_departure: called with the time at which the last byte of a write left, in `perf_counter_ns`.
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
        self._departed_until = -1
        self._awaits_departure = False
        self.segments = SegmentCounter(sock)
        self._batched_reads = batched_reads()
        self._batched_reads.add(sock.fileno(), self._read)

    def note_write(self) -> None:
        """Look for the departure time of a write, now and at the next read: the kernel may report it late."""
        self._awaits_departure = True
        self._take_departures()

    def _take_departures(self) -> None:
        """Empty the error queue, where the kernel reports departures; it wakes the loop until it is empty."""
        with contextlib.suppress(OSError):
            while True:
                _, messages, _, _ = self._socket.recvmsg(0, DEPARTURE_SIZE, socket.MSG_ERRQUEUE)
                self._note_departure(messages)

    def _note_departure(self, messages: ControlMessages) -> None:
        departure = read_departure(messages)
        if departure is None:
            return
        wall_ns, offset = departure
        # Offsets wrap around at 2**32. Data that is sent again has its old offset; its first departure counts.
        if self._departed_until >= 0 and not 0 < (offset - self._departed_until) % 2**32 < 2**31:
            return
        self._departed_until = offset
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
        except Exception as error:  # noqa: BLE001 -- bad bytes end this connection and no other
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._batched_reads.remove(self._socket.fileno())
        self._on_end(error)

    def pause(self) -> None:
        """Stop reading until `resume`; what arrives waits in the kernel and keeps its timestamps."""
        self._batched_reads.pause(self._socket.fileno())

    def resume(self) -> None:
        """Resume reading."""
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
    """Return a reader that replaces a transport's own; None, and the transport reads on, without kernel support.

    The transport must be directly on a socket, without TLS; for the callbacks see `KernelReader`.
    """
    own = transport.get_extra_info("socket")
    if sys.platform != "linux" or own is None or transport.get_extra_info("ssl_object") is not None:
        return None
    # Another descriptor of the same socket: loops refuse to watch a descriptor that a transport uses.
    with contextlib.suppress(OSError, NotImplementedError):
        duplicate = socket.socket(fileno=socket.dup(own.fileno()))
        duplicate.setblocking(False)
        duplicate.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with contextlib.suppress(OSError):  # some kernels and kinds of socket do not timestamp sent data
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
    """Return when a read's last byte arrived, in `perf_counter_ns`; None without a usable timestamp.

    The kernel adds no timestamps to data that arrives shortly after the machine's first socket enables them.
    """
    for level, kind, data in messages:
        if kind == SO_TIMESTAMPNS and level == socket.SOL_SOCKET and len(data) >= TIMESPEC.size:
            seconds, rest_ns = TIMESPEC.unpack_from(data)  # `_wall_ns` inlined: it saves a call for each read
            return clock.convert(seconds * 1_000_000_000 + rest_ns, now_ns)
    return None


def read_departure(messages: ControlMessages) -> tuple[int, int] | None:
    """Return when a write left, by the wall clock, and the offset of its last byte; None if an entry lacks either."""
    wall_ns = offset = None
    for level, kind, data in messages:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPING) and len(data) >= TIMESPEC.size:
            wall_ns = _wall_ns(data)
        elif level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and len(data) >= EXTENDED_ERROR.size:
            error = EXTENDED_ERROR.unpack(data[: EXTENDED_ERROR.size])
            offset = error[6] if error[1] == FROM_TIMESTAMPING else None
    return (wall_ns, offset) if wall_ns and offset is not None else None


def _wall_ns(data: bytes) -> int:
    seconds, rest_ns = TIMESPEC.unpack_from(data)
    at_ns: int = seconds * 1_000_000_000 + rest_ns
    return at_ns

"""Reads with the kernel's timestamp: when the last byte of a read reached this machine (Linux).

The event loop's own reads come without it. So the reading of a connection, and nothing else, is taken from the loop:
the connection's transport still writes and closes. With TLS, each read is fed to the TLS layer.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from time import perf_counter_ns, time_ns

from runner.wire.batched_reads import batched_reads

SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@ll")
ANCILLARY_SIZE = socket.CMSG_SPACE(TIMESPEC.size) if sys.platform != "win32" else 0
READ_SIZE = 64 * 1024

LONGEST_WAIT_NS = 10_000_000_000
"""A longer wait in the kernel is taken for a wall clock that was set meanwhile."""


class KernelReader:
    """Passes each read to `on_read` with the moment it arrived, until the connection ends or `close` is called."""

    def __init__(
        self,
        sock: socket.socket,
        on_read: Callable[[int, bytes], None],
        on_end: Callable[[OSError | None], None],
    ) -> None:
        self._socket = sock
        self._on_read = on_read
        self._on_end = on_end
        self._batched_reads = batched_reads()
        self._batched_reads.add(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(READ_SIZE, ANCILLARY_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        # In this order: an interruption between the two clocks makes the timestamp late, as without the kernel's.
        waited_ns = _waited_ns(ancillary, time_ns())
        at_ns = perf_counter_ns() - waited_ns
        if not data:
            self._end(None)
            return
        self._on_read(at_ns, data)

    def _end(self, error: OSError | None) -> None:
        self._batched_reads.remove(self._socket.fileno())
        self._on_end(error)

    def close(self) -> None:
        """Stop reading."""
        self._batched_reads.remove(self._socket.fileno())
        self._socket.close()


def take_over_reading(
    transport: asyncio.Transport, on_read: Callable[[int, bytes], None], on_end: Callable[[OSError | None], None]
) -> KernelReader | None:
    """Return a reader in place of a transport's own reading; None, and the transport reads on, without kernel support.

    Args:
        transport: a transport directly on a socket, without TLS.
        on_read: called with the `perf_counter_ns` at which a read's last byte arrived, and the read.
        on_end: called with the error that ended the connection, None if it was closed cleanly.

    """
    own = transport.get_extra_info("socket")
    if sys.platform != "linux" or own is None or transport.get_extra_info("ssl_object") is not None:
        return None
    # Another descriptor of the same socket: loops refuse to watch a descriptor that a transport uses.
    with contextlib.suppress(OSError, NotImplementedError):
        duplicate = socket.socket(fileno=socket.dup(own.fileno()))
        duplicate.setblocking(False)
        duplicate.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        transport.pause_reading()
        return KernelReader(duplicate, on_read, on_end)
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


def _waited_ns(ancillary: list[tuple[int, int, bytes]], now_ns: int) -> int:
    """Return how long a read waited in the kernel, in nanoseconds, by the timestamp beside it; 0 without one."""
    for level, kind, timestamp in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, rest_ns = TIMESPEC.unpack(timestamp)
            waited_ns: int = now_ns - seconds * 1_000_000_000 - rest_ns
            return waited_ns if 0 <= waited_ns < LONGEST_WAIT_NS else 0
    return 0

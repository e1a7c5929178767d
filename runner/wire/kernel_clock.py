"""Reads a connection with the kernel's stamp: when the last bytes of a read reached this machine (Linux).

The event loop's own reads come without it. So a connection's reading, and only that, is taken out of the loop's
hands: its transport still writes, and closes. Under TLS a read is handed to the layer that opens it.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from time import perf_counter_ns, time_ns

from runner.wire.batched_reads import running_rounds

SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@ll")
NOTE_SPACE = socket.CMSG_SPACE(TIMESPEC.size) if sys.platform != "win32" else 0
READ_SIZE = 64 * 1024

STEP_NS = 10_000_000_000
"""A wait longer than this is a clock that was set in between."""


class KernelReader:
    """Hands over each read with the moment it arrived, until the connection ends or `close` is called."""

    def __init__(
        self,
        reading: socket.socket,
        hear: Callable[[int, bytes], None],
        end: Callable[[OSError | None], None],
    ) -> None:
        self._socket = reading
        self._hear = hear
        self._end = end
        self._rounds = running_rounds()
        self._rounds.add(reading.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, notes, _, _ = self._socket.recvmsg(READ_SIZE, NOTE_SPACE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        # In this order: who is interrupted between the two looks at a clock stamps too late, as without the kernel.
        waited_ns = _waited_ns(notes, time_ns())
        at_ns = perf_counter_ns() - waited_ns
        if not data:
            self._finish(None)
            return
        self._hear(at_ns, data)

    def _finish(self, error: OSError | None) -> None:
        self._rounds.remove(self._socket.fileno())
        self._end(error)

    def close(self) -> None:
        """Read no more."""
        self._rounds.remove(self._socket.fileno())
        self._socket.close()


def read_by_kernel(
    transport: asyncio.Transport, hear: Callable[[int, bytes], None], end: Callable[[OSError | None], None]
) -> KernelReader | None:
    """Take over the reading of a socket's own transport; None, and all is as before, where the kernel tells no stamps.

    `hear` is given the `perf_counter_ns` at which a read's last byte arrived, and the read; `end` why there is no more.
    """
    own = transport.get_extra_info("socket")
    if sys.platform != "linux" or own is None or transport.get_extra_info("ssl_object") is not None:
        return None
    # Another descriptor of the same socket: loops refuse to watch the one that a transport uses.
    with contextlib.suppress(OSError, NotImplementedError):
        reading = socket.socket(fileno=socket.dup(own.fileno()))
        reading.setblocking(False)
        reading.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        transport.pause_reading()
        return KernelReader(reading, hear, end)
    return None


def hand_over(data: bytes, protocol: asyncio.BufferedProtocol) -> None:
    """Give a read to a protocol as its transport would."""
    left = memoryview(data)
    while left:
        space = memoryview(protocol.get_buffer(len(left)))
        size = min(len(space), len(left))
        space[:size] = left[:size]
        protocol.buffer_updated(size)
        left = left[size:]


def _waited_ns(notes: list[tuple[int, int, bytes]], now_ns: int) -> int:
    """Return how long a read lay in the kernel, by the stamp beside it; 0 without one."""
    for level, kind, stamp in notes:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, rest_ns = TIMESPEC.unpack(stamp)
            waited_ns: int = now_ns - seconds * 1_000_000_000 - rest_ns
            return waited_ns if 0 <= waited_ns < STEP_NS else 0
    return 0

"""Count the rows whose TTFT is wrong by more than their own `client_error_s`, on a machine that busy loops occupy.

python tests/benchmarks/ttft_bounds.py [-n 1000] [--busy 4] [--concurrency 4] [--ttft-ms 30]

Three servers answer, one after the other. The simulator tells by the same clock when it had the request and when it
sent the first text: a TTFT that is shorter than the time between the two is wrong. A plain server, of threads and
blocking sockets, has the kernel's own timestamps of the request's arrival and of the first text's departure (Linux): a
TTFT that differs from the time between these is wrong, shorter or longer. It is asked twice: once it waits
as the simulator does, once it answers at once.
"""

import argparse
import json
import multiprocessing
import os
import platform
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate

from runner.analysis.timestamp_errors import read_timestamps
from runner.calibration.measure import CalibrationLoad, run_load
from runner.commands.event_loop import run_async
from runner.core.record import Record
from runner.simulator.child_process import launch_sync
from runner.storage import journal

TOLERANCE_US = 2
"""Tolerance for the truncation of two durations to whole microseconds."""

SO_TIMESTAMPNS, SO_TIMESTAMPING = 35, 37
DEPARTURE_FLAGS = 1 << 1 | 1 << 4 | 1 << 11
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class BoundedTtft:
    """One reply: its measured and its true TTFT, and the error bound that its row states, in microseconds."""

    measured_us: int
    true_us: int
    admitted_us: int
    flagged: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers of wrong rows among `n`; `beyond` counts those whose error exceeds the bound that they state."""

    server: str
    n: int
    shorter: int
    shorter_beyond: int
    shortest_us: int
    longer_beyond: int | None
    longest_us: int
    zero: int
    flagged: int
    admitted_max_us: int


def bounds_of(server: str, rows: Sequence[BoundedTtft], *, is_exact: bool) -> Bounds:
    """Return the counts of some rows; `longer_beyond` is None if the truth is only a lower bound."""
    errors = [(row.measured_us - row.true_us, row.admitted_us + TOLERANCE_US) for row in rows]
    return Bounds(
        server=server,
        n=len(rows),
        shorter=sum(error < -TOLERANCE_US for error, _ in errors),
        shorter_beyond=sum(error < -admitted for error, admitted in errors),
        shortest_us=min(error for error, _ in errors),
        longer_beyond=sum(error > admitted for error, admitted in errors) if is_exact else None,
        longest_us=max(error for error, _ in errors),
        zero=sum(row.measured_us <= 0 for row in rows),
        flagged=sum(row.flagged for row in rows),
        admitted_max_us=max(row.admitted_us for row in rows),
    )


def main() -> None:
    """Measure against each server and print a line about it."""
    options = parse_options()
    load = CalibrationLoad(options.concurrency, options.n, options.ttft_ms, gap_ms=2, tokens=4)
    with busy_loops(options.busy):
        found = [bounds_of("simulator", ask_simulator(load), is_exact=False)]
        if sys.platform == "linux":
            found.append(bounds_of("plain server", ask_plain_server(load, options.ttft_ms), is_exact=True))
            found.append(bounds_of("plain server, at once", ask_plain_server(load, 0), is_exact=True))
    if options.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        print(
            f"{platform.platform()}, {os.cpu_count()} CPUs, {options.busy} busy loops, true TTFT {options.ttft_ms} ms"
        )
        print(render(found))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=1000, help="requests to each server (1000)")
    parser.add_argument("--busy", type=int, default=4, help="processes that do nothing but occupy a CPU (4)")
    parser.add_argument("--concurrency", type=int, default=4, help="requests at a time (4)")
    parser.add_argument("--ttft-ms", type=float, default=30.0, help="the true TTFT (30)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


def render(found: Sequence[Bounds]) -> str:
    """Return the table; times are in milliseconds."""
    headers = (
        *("server", "n", "shorter", "beyond own error", "worst", "longer beyond own error", "worst"),
        *("0 or less", "flagged", "largest own error"),
    )
    table = [
        (
            *(each.server, each.n, each.shorter, each.shorter_beyond, _milliseconds(min(each.shortest_us, 0))),
            "–" if each.longer_beyond is None else each.longer_beyond,
            *(_milliseconds(max(each.longest_us, 0)), each.zero, each.flagged, _milliseconds(each.admitted_max_us)),
        )
        for each in found
    ]
    return tabulate(table, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


def _milliseconds(value_us: int) -> str:
    return f"{value_us / 1000:.3f}"


def _spin() -> None:
    while True:
        pass


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Run processes that occupy the CPUs during a `with` block."""
    processes = [multiprocessing.get_context("fork").Process(target=_spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def measure(base_url: str, load: CalibrationLoad) -> list[Record]:
    """Send the requests like any run; return their records."""
    with TemporaryDirectory() as folder:
        run_async(run_load, base_url, load, Path(folder))
        return [record for record in journal.read(Path(folder)).records if record.timed]


def _row(record: Record, true_us: int) -> BoundedTtft:
    admitted_us = round((record.client_error_s or 0) * 1e6)
    return BoundedTtft(record.text_events.at_us[0], true_us, admitted_us, "client_late" in record.flags)


def ask_simulator(load: CalibrationLoad) -> list[BoundedTtft]:
    """Return the rows of the simulator, which reports its own timestamps."""
    with launch_sync() as base_url:
        records = measure(base_url, load)
    timestamps = [(record, read_timestamps(record)) for record in records]
    return [_row(record, each.origin_us[0] - each.received_us) for record, each in timestamps if each is not None]


def ask_plain_server(load: CalibrationLoad, wait_ms: float) -> list[BoundedTtft]:
    """Return the rows of the plain server, which notes the kernel's timestamps of each reply under its id."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs, wait_ms / 1000), daemon=True)
    server.start()
    try:
        records = measure(f"http://127.0.0.1:{ours.recv()}/v1", load)
        ours.send("over")
        true_us: dict[str, int] = ours.recv()
    finally:
        server.kill()
        server.join()
    return [_row(record, true_us[record.request_id]) for record in records if record.request_id in true_us]


def serve(pipe: Connection, wait_s: float) -> None:
    """Answer on a free port with a thread for each connection; at the end, send the true TTFTs by request id."""
    true_us: dict[str, int] = {}
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def accept() -> None:
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0], wait_s, true_us), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    time.sleep(0.2)  # the kernel starts to timestamp shortly after the first socket asks for it
    pipe.send(listener.getsockname()[1])
    pipe.recv()
    pipe.send(true_us)


def answer(connection: socket.socket, wait_s: float, true_us: dict[str, int]) -> None:
    """Answer the requests on one connection, and note for each reply the time between the kernel's two timestamps."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, DEPARTURE_FLAGS)
    while (arrived_ns := _read_request(connection)) is not None:
        time.sleep(wait_s)
        request_id = f"{connection.fileno()}-{arrived_ns}"
        connection.sendall(HEAD.replace(b"\r\n\r\n", b"\r\nx-request-id: %s\r\n\r\n" % request_id.encode()))
        _departures(connection)
        connection.sendall(_frame({"content": "one"}))
        departed_ns = _departures(connection)[-1]
        true_us[request_id] = (departed_ns - arrived_ns) // 1000
        for word in (" two", " three"):
            time.sleep(0.002)
            connection.sendall(_frame({"content": word}))
        connection.sendall(_frame({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def _read_request(connection: socket.socket) -> int | None:
    """Read one request; return the arrival time of its last byte by the kernel's clock, None at the end of input."""
    data, arrived_ns = b"", None
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _announced(data):
        piece, messages, _, _ = connection.recvmsg(65536, 256)
        if not piece:
            return None
        data += piece
        arrived_ns = _timestamp(messages, SO_TIMESTAMPNS)
    return arrived_ns


def _announced(data: bytes) -> int:
    return int(data.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def _departures(connection: socket.socket) -> list[int]:
    """Return the departure times, by the kernel's clock, of the data sent since the last call."""
    departures: list[int] = []
    try:
        while True:
            messages = connection.recvmsg(0, 512, socket.MSG_ERRQUEUE)[1]
            departures.append(_timestamp(messages, SO_TIMESTAMPING) or 0)
    except BlockingIOError:
        return departures


def _timestamp(messages: Sequence[tuple[int, int, bytes]], kind: int) -> int | None:
    for level, found, data in messages:
        if (level, found) == (socket.SOL_SOCKET, kind):
            seconds, rest_ns = struct.unpack("@ll", data[:16])
            return int(seconds * 1_000_000_000 + rest_ns)
    return None


def _frame(delta: dict[str, str], reason: str | None = None) -> bytes:
    event = b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": reason}]}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


if __name__ == "__main__":
    main()

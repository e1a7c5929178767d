"""The client `bare`: an asyncio protocol that only timestamps reads, on connections opened beforehand.

It parses nothing while it measures: a reply has ended if its last bytes are those of the last chunk. Replies are
decoded after the measurement. No client on this event loop can be cheaper, so the difference is the cost of a tool.
"""

import asyncio
import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from time import perf_counter_ns
from typing import cast
from urllib.parse import urlsplit

from runner.analysis.timestamp_errors import ReplyTimestamps
from runner.calibration.measure import CalibrationLoad
from tests.benchmarks.client import Measurement, run_client, timestamps_since

LAST_CHUNK = b"0\r\n\r\n"
EVENT = re.compile(rb"data: (\{[^\n]*\})\n")
RECEIVED = re.compile(rb"x-received-ns: (\d+)")
START_INTERVAL_S = 0.001

Reads = list[tuple[int, bytes]]


class BareProtocol(asyncio.Protocol):
    """A protocol that sends one request after another, and keeps the time of each and the reads of its reply."""

    def __init__(self, request: bytes, left: Iterator[int]) -> None:
        self.request = request
        self.left = left
        self.done = asyncio.get_running_loop().create_future()
        self.replies: list[tuple[int, Reads]] = []
        self.reads: Reads = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        # If a buffer is allowed, uvloop writes at the end of its iteration, long after the timestamp was taken.
        self.transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail if requests are left."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server hung up"))

    def ask(self) -> None:
        """Send the next request, if one is left."""
        if next(self.left, None) is None:
            self.done.set_result(None)
            return
        self.reads = []
        self.transport.write(self.request)
        self.replies.append((perf_counter_ns(), self.reads))

    def data_received(self, data: bytes) -> None:
        """Timestamp a read; send the next request if it ended a reply."""
        self.reads.append((perf_counter_ns(), data))
        if data.endswith(LAST_CHUNK):
            self.ask()


async def ask(base_url: str, load: CalibrationLoad) -> Measurement:
    """Send the requests on as many connections as there are streams."""
    url = urlsplit(base_url)
    loop, left = asyncio.get_running_loop(), iter(range(load.requests))
    host, port = url.hostname or "", url.port or 80
    readers = [
        (await loop.create_connection(lambda: BareProtocol(_request(load), left), host, port))[1]
        for _ in range(load.concurrency)
    ]
    measurement = Measurement()
    with measurement.timing():
        await _start_evenly(readers)
        await asyncio.gather(*(reader.done for reader in readers))
    for reader in readers:
        reader.transport.close()
        measurement.replies += [_decode(sent_ns, reads) for sent_ns, reads in reader.replies]
    return measurement


async def _start_evenly(readers: Sequence[BareProtocol]) -> None:
    """Send the first requests 1 ms apart: a burst would wait for the server, which is not measured here."""
    start_ns = perf_counter_ns()
    for place, reader in enumerate(readers):
        await asyncio.sleep(START_INTERVAL_S * place - (perf_counter_ns() - start_ns) / 1e9)
        reader.ask()


def _request(load: CalibrationLoad) -> bytes:
    content = {"model": load.model, "stream": True, "messages": [{"role": "user", "content": "Count."}]}
    body = json.dumps(content).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _decode(sent_ns: int, reads: Reads) -> ReplyTimestamps:
    """Return a reply's timestamps: the timestamp of a text is that of the read with the last byte of its event."""
    whole = b"".join(data for _, data in reads)
    ends = list(accumulate(len(data) for _, data in reads))
    at_ns, origin_ns = [], []
    for event in EVENT.finditer(whole):
        chunk = json.loads(event[1])
        if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
            at_ns.append(reads[bisect_left(ends, event.end())][0])
            origin_ns.append(chunk["sent_ns"])
    received = RECEIVED.search(whole)
    assert received is not None, whole[:200]
    return timestamps_since(sent_ns, int(received[1]), at_ns, origin_ns)


if __name__ == "__main__":
    run_client(ask)

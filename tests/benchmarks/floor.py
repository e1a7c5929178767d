"""The least that a Python client can do: a bare protocol that stamps reads, on connections opened beforehand.

It checks nothing, parses nothing and knows when a reply is over by its last bytes. What it read is decoded once
all is over. No tool can be cheaper on this loop; how far one is from it is what it pays for being a tool.
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

from runner.analysis.calibration import ReplyTimestamps
from runner.calibration.measure import CalibrationLoad
from tests.benchmarks.measured import Measured, be_client, stamps_since

LAST_CHUNK = b"0\r\n\r\n"
EVENT = re.compile(rb"data: (\{[^\n]*\})\n")
RECEIVED = re.compile(rb"x-received-ns: (\d+)")
START_INTERVAL_S = 0.001

Reads = list[tuple[int, bytes]]


class Reader(asyncio.Protocol):
    """Asks the same again and again on one connection; keeps for each reply when it was sent for, and its reads."""

    def __init__(self, request: bytes, left: Iterator[int]) -> None:
        self.request = request
        self.left = left
        self.done = asyncio.get_running_loop().create_future()
        self.heard: list[tuple[int, Reads]] = []
        self.reads: Reads = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport = cast("asyncio.Transport", transport)
        # With a buffer allowed, uvloop writes at the end of its turn, long after the stamp was taken.
        self.transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up if the connection went before all was said."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server hung up"))

    def ask(self) -> None:
        """Send the next request, if one is left."""
        if next(self.left, None) is None:
            self.done.set_result(None)
            return
        self.reads = []
        self.transport.write(self.request)
        self.heard.append((perf_counter_ns(), self.reads))

    def data_received(self, data: bytes) -> None:
        """Stamp a read."""
        self.reads.append((perf_counter_ns(), data))
        if data.endswith(LAST_CHUNK):
            self.ask()


async def ask(base_url: str, load: CalibrationLoad) -> Measured:
    """Ask on as many connections as there are streams."""
    url = urlsplit(base_url)
    loop, left = asyncio.get_running_loop(), iter(range(load.requests))
    host, port = url.hostname or "", url.port or 80
    readers = [
        (await loop.create_connection(lambda: Reader(_request(load), left), host, port))[1]
        for _ in range(load.concurrency)
    ]
    measured = Measured()
    with measured.timing():
        await _start_evenly(readers)
        await asyncio.gather(*(reader.done for reader in readers))
    for reader in readers:
        reader.transport.close()
        measured.replies += [_decode(sent_ns, reads) for sent_ns, reads in reader.heard]
    return measured


async def _start_evenly(readers: Sequence[Reader]) -> None:
    """Send the first requests one by one: in a burst they would wait for the server, which is not what is measured."""
    start_ns = perf_counter_ns()
    for place, reader in enumerate(readers):
        await asyncio.sleep(START_INTERVAL_S * place - (perf_counter_ns() - start_ns) / 1e9)
        reader.ask()


def _request(load: CalibrationLoad) -> bytes:
    asked = {"model": load.model, "stream": True, "messages": [{"role": "user", "content": "Count."}]}
    body = json.dumps(asked).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _decode(sent_ns: int, reads: Reads) -> ReplyTimestamps:
    """Find each text's read: the one that brought its event's last byte."""
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
    return stamps_since(sent_ns, int(received[1]), at_ns, origin_ns)


if __name__ == "__main__":
    be_client(ask)

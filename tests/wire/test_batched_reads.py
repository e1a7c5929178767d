"""Batched reads: no read is missed, many connections are read at intervals, and nothing is left open."""

import socket
import sys
from collections.abc import Iterator

import anyio
import pytest

from runner.wire import batched_reads
from runner.wire.batched_reads import BatchedReads
from tests.support.wait_until import until

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both loops."""
    return "asyncio", {"use_uvloop": request.param}


class BatchedConnection:
    """A connection whose one end is read in batches, `size` bytes at a time."""

    def __init__(self, reads_of_loop: BatchedReads, size: int = 1024) -> None:
        self.far, self.near = socket.socketpair()
        self.near.setblocking(False)
        self.reads: list[bytes] = []
        self._batched_reads = reads_of_loop
        self._size = size
        reads_of_loop.add(self.near.fileno(), self._read)

    def _read(self) -> None:
        self.reads.append(self.near.recv(self._size))

    def close(self) -> None:
        """Stop reading and close both ends."""
        self._batched_reads.remove(self.near.fileno())
        self.near.close()
        self.far.close()


@pytest.fixture
def connections() -> Iterator[list[BatchedConnection]]:
    """Close all connections that a test has opened."""
    opened: list[BatchedConnection] = []
    yield opened
    for connection in opened:
        connection.far.close()
        connection.near.close()


async def test_reader_is_called_again_while_something_is_left_to_read(connections: list[BatchedConnection]) -> None:
    """A reader that takes one byte at a time is called until nothing is left, then for the end."""
    connection = BatchedConnection(batched_reads.batched_reads(), size=1)
    connections.append(connection)
    connection.far.send(b"abc")
    connection.far.close()
    with anyio.fail_after(10):
        await until(lambda: b"" in connection.reads)
    connection.close()
    assert b"".join(connection.reads) == b"abc"


async def test_many_connections_are_read_at_intervals(
    connections: list[BatchedConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that arrive between two batches are read together; with fewer connections each is read at once."""
    monkeypatch.setattr(batched_reads, "MANY_CONNECTIONS", 2)
    monkeypatch.setattr(batched_reads, "BATCH_INTERVAL_NS", 50_000_000)
    reads_of_loop = batched_reads.batched_reads()
    connection = BatchedConnection(reads_of_loop)
    connections.append(connection)

    async def send(count: int) -> None:
        for _ in range(count):
            connection.far.send(b"a")
            await anyio.sleep(0.005)

    assert reads_of_loop.max_delay_ns == 0
    await send(3)
    assert connection.reads == [b"a"] * 3

    connections.append(BatchedConnection(reads_of_loop))
    assert reads_of_loop.max_delay_ns == 50_000_000
    await send(3)
    with anyio.fail_after(10):
        await until(lambda: b"".join(connection.reads) == b"a" * 6)
    assert len(connection.reads) < 6

    with anyio.fail_after(10):  # an interval without anything to read: woken again by the next piece
        await anyio.sleep(0.12)
        await send(1)
        await until(lambda: b"".join(connection.reads) == b"a" * 7)
    for each in connections:
        each.close()


async def test_connection_closed_by_another_of_its_batch_is_not_read(connections: list[BatchedConnection]) -> None:
    """A read may close another connection that is ready in the same batch."""
    reads_of_loop = batched_reads.batched_reads()
    first, second = BatchedConnection(reads_of_loop), BatchedConnection(reads_of_loop)
    connections += [first, second]
    for one, other in ((first, second), (second, first)):
        reads_of_loop.remove(one.near.fileno())
        reads_of_loop.add(one.near.fileno(), other.close)
    first.far.send(b"a")
    second.far.send(b"b")
    with anyio.fail_after(10):
        await until(lambda: -1 in (first.near.fileno(), second.near.fileno()))
    left = [connection for connection in connections if connection.near.fileno() != -1]
    assert len(left) == 1
    left[0].close()


async def test_epoll_is_closed_with_the_last_connection(connections: list[BatchedConnection]) -> None:
    """The epoll of a loop is closed with its last connection, and the next connection opens a new one."""
    before = batched_reads.batched_reads()
    connections.append(BatchedConnection(before))
    connections[0].close()
    after = batched_reads.batched_reads()
    connections.append(BatchedConnection(after))
    assert after is not before
    assert before._epoll.closed
    connections[1].close()
    assert not batched_reads._OPEN


async def test_a_paused_descriptor_is_not_read_until_it_is_resumed(connections: list[BatchedConnection]) -> None:
    """Pausing holds for one descriptor and may be repeated; a paused one can be removed, and the last closes all."""
    reads = batched_reads.batched_reads()
    paused, other = BatchedConnection(reads), BatchedConnection(reads)
    connections += [paused, other]
    reads.pause(paused.near.fileno())
    reads.pause(paused.near.fileno())
    paused.far.send(b"early")
    other.far.send(b"other")
    with anyio.fail_after(10):
        await until(lambda: other.reads == [b"other"])
        assert paused.reads == []
        reads.resume(paused.near.fileno())
        reads.resume(paused.near.fileno())
        await until(lambda: paused.reads == [b"early"])
    reads.pause(paused.near.fileno())
    paused.close()
    other.close()
    assert batched_reads._OPEN == {}

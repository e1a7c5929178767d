"""Sockets are read in rounds: nothing is missed, a crowd is looked at seldom, and nothing is left behind."""

import socket
import sys
from collections.abc import Iterator

import anyio
import pytest

from runner.wire import batched_reads
from runner.wire.batched_reads import BatchedReads, running_rounds
from tests.support.wait_until import until

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both loops."""
    return "asyncio", {"use_uvloop": request.param}


class Line:
    """A connection whose one end is read in rounds, so many bytes at a time."""

    def __init__(self, going_round: BatchedReads, size: int = 1024) -> None:
        self.far, self.near = socket.socketpair()
        self.near.setblocking(False)
        self.reads: list[bytes] = []
        self._rounds = going_round
        self._size = size
        going_round.add(self.near.fileno(), self._read)

    def _read(self) -> None:
        self.reads.append(self.near.recv(self._size))

    def close(self) -> None:
        """Leave the rounds."""
        self._rounds.remove(self.near.fileno())
        self.near.close()
        self.far.close()


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """Close all lines that a test has opened."""
    opened: list[Line] = []
    yield opened
    for line in opened:
        line.far.close()
        line.near.close()


async def test_what_a_read_leaves_is_asked_for_again(lines: list[Line]) -> None:
    """A reader that takes one byte at a time is called until nothing is left, then for the end."""
    line = Line(running_rounds(), size=1)
    lines.append(line)
    line.far.send(b"abc")
    line.far.close()
    with anyio.fail_after(10):
        await until(lambda: b"" in line.reads)
    line.close()
    assert b"".join(line.reads) == b"abc"


async def test_a_crowd_is_left_to_speak_between_two_rounds(lines: list[Line], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces that come during a rest are read together behind it; with fewer connections each is read at once."""
    monkeypatch.setattr(batched_reads, "CROWD", 2)
    monkeypatch.setattr(batched_reads, "REST_NS", 50_000_000)
    going_round = running_rounds()
    line = Line(going_round)
    lines.append(line)

    async def say(count: int) -> None:
        for _ in range(count):
            line.far.send(b"a")
            await anyio.sleep(0.005)

    assert going_round.rest_ns == 0
    await say(3)
    assert line.reads == [b"a"] * 3

    lines.append(Line(going_round))
    assert going_round.rest_ns == 50_000_000
    await say(3)
    with anyio.fail_after(10):
        await until(lambda: b"".join(line.reads) == b"a" * 6)
    assert len(line.reads) < 6

    with anyio.fail_after(10):  # rested and found nothing: woken again by the next piece
        await anyio.sleep(0.12)
        await say(1)
        await until(lambda: b"".join(line.reads) == b"a" * 7)
    for each in lines:
        each.close()


async def test_who_is_closed_in_a_round_is_not_read_in_it(lines: list[Line]) -> None:
    """A read may end another connection that is due in the same round."""
    going_round = running_rounds()
    first, second = Line(going_round), Line(going_round)
    lines += [first, second]
    for one, other in ((first, second), (second, first)):
        going_round.remove(one.near.fileno())
        going_round.add(one.near.fileno(), other.close)
    first.far.send(b"a")
    second.far.send(b"b")
    with anyio.fail_after(10):
        await until(lambda: -1 in (first.near.fileno(), second.near.fileno()))
    left = [line for line in lines if line.near.fileno() != -1]
    assert len(left) == 1
    left[0].close()


async def test_nothing_is_left_behind_the_last_connection(lines: list[Line]) -> None:
    """The rounds of a loop end with their last connection, and begin anew with the next."""
    before = running_rounds()
    lines.append(Line(before))
    lines[0].close()
    after = running_rounds()
    lines.append(Line(after))
    assert after is not before
    assert before._epoll.closed
    lines[1].close()
    assert not batched_reads._OPEN

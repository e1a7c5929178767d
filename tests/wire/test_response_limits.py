"""The bounds of a response: its bytes, what waits to be decoded, and the time that decoding may take."""

import gzip
import sys
import time
from collections.abc import Callable

import anyio
import pytest

from runner.core.events import Channel, Event, Outcome
from runner.core.suite import Timeouts
from runner.providers.redaction import Redactor
from runner.storage.recordings.recording_format import unpack_reads
from runner.wire import read_loop
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client, ProviderRefusal
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.response_body import PAUSE_LIMIT, UNDECODED_LIMIT, ReplyTooLarge, ResponseBody
from runner.wire.response_recording import RecordingBuffer
from tests.support.client_requests import ask, endpoint_at, failure
from tests.support.scripted_server import (
    STREAM_HEAD,
    ScriptedReply,
    delta_event,
    http_chunk,
    http_head,
    json_reply,
    serve,
    streamed_reply,
)

pytestmark = pytest.mark.anyio

ENDLESS = ScriptedReply([(0.0, STREAM_HEAD), *[(0.0, http_chunk(delta_event("x" * 20) * 500))] * 4000], "close")


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test on both loops, which pause reads in different ways."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(params=["kernel", "transport"])
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with the kernel's timestamps, and without, as on other systems."""
    if request.param == "transport":
        monkeypatch.setattr("runner.wire.connection_pool.take_over_reading", lambda *_: None)
    elif sys.platform != "linux":
        pytest.skip("only Linux timestamps in the kernel")


class PausableSource:
    """A connection that records pauses of its reads."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reads(self) -> None:
        """Record a pause."""
        self.calls.append("pause")

    def resume_reads(self) -> None:
        """Record the end of a pause."""
        self.calls.append("resume")


def body_of(limit: int) -> tuple[ResponseBody, PausableSource]:
    """Return a body whose request was sent, and its source."""
    body, source = ResponseBody(limit=limit), PausableSource()
    body.begin_sending(1, source)
    return body, source


async def test_a_body_keeps_its_bytes_up_to_the_limit() -> None:
    """The read that passes the limit is cut there, later ones are dropped, and reading stops."""
    body, source = body_of(10)
    for data in (b"abcdef", b"ghijkl", b"m", b"n"):
        body.receive(1, data)
    assert b"".join(data for _, data in body.take()) == b"abcdefghij"
    assert isinstance(body.error, ReplyTooLarge)
    assert "resume" not in source.calls
    body.receive(2, b"o")
    body.finish()
    assert body.take() == []
    assert isinstance(body.error, ReplyTooLarge)


async def test_a_body_of_exactly_the_limit_is_whole() -> None:
    """The limit is inclusive, for one piece or several."""
    body, _ = body_of(10)
    body.receive(1, b"abcde")
    body.take()
    body.receive(2, b"fghij")
    body.finish()
    assert (body.error, body.take()) == (None, [(2, b"fghij")])


async def test_a_connection_is_read_again_when_its_bytes_are_taken() -> None:
    """Bytes that wait to be decoded pause reading once at a mark, and taking them ends the pause."""
    body, source = body_of(16 * PAUSE_LIMIT)
    piece = bytes(UNDECODED_LIMIT)
    for _ in range(PAUSE_LIMIT // UNDECODED_LIMIT + 3):
        body.receive(1, piece)
    assert source.calls == ["pause"]
    body.take()
    assert source.calls == ["pause", "resume"]
    assert body.was_paused


async def test_a_connection_returns_to_the_pool_readable() -> None:
    """A body that ended during a pause does not leave its connection paused."""
    body, source = body_of(16 * PAUSE_LIMIT)

    class PooledConnection:
        """A connection of the pool."""

        def release(self) -> None:
            """Record the return."""
            source.calls.append("release")

        def close(self) -> None:
            """Record the end."""
            source.calls.append("close")

    body.hold(PooledConnection())
    for _ in range(PAUSE_LIMIT // UNDECODED_LIMIT + 1):
        body.receive(1, bytes(UNDECODED_LIMIT))
    body.finish()
    await body.aclose()
    assert source.calls == ["pause", "resume", "release"]


async def test_a_long_piece_is_divided() -> None:
    """A read that became long by decompression is decoded in parts, each with its timestamp."""
    body, _ = body_of(PAUSE_LIMIT)
    body.receive(7, bytes(3 * UNDECODED_LIMIT + 1))
    assert [(at_ns, len(data)) for at_ns, data in body.take()] == [*[(7, UNDECODED_LIMIT)] * 3, (7, 1)]


@pytest.mark.usefixtures("clock")
async def test_a_slow_decoder_makes_the_server_wait() -> None:
    """For any speed of the server, few bytes wait to be decoded, and every byte arrives in the end."""
    content = bytes(range(256)) * 40_000
    waiting: list[int] = []
    with serve(ScriptedReply([(0, http_head(content_length=str(len(content))) + content)])) as server:
        client = Client(endpoint_at(server.url))
        try:
            head = await client._completion_head("chat_completions")
            body = ResponseBody()
            await client._transport.send(head, b"{}", body)
            received = []
            while not body.complete:
                await anyio.sleep(0.03)
                waiting.append(body._size)
                received += body.take()
            received += body.take()
            await body.aclose()
        finally:
            await client.aclose()
    assert b"".join(data for _, data in received) == content
    assert body.was_paused
    assert max(waiting) <= PAUSE_LIMIT + 256 * 1024


@pytest.mark.usefixtures("clock")
async def test_a_reply_beyond_its_limit_keeps_its_text() -> None:
    """The outcome is `too_large`, the text so far is kept, and the next request finds a working connection."""
    with serve([ENDLESS, streamed_reply("fine")]) as server:
        client, first, second = Client(endpoint_at(server.url)), Attempt(), Attempt()
        request = AttemptRequest("m-1", (), {"stream": True}, Timeouts(), reply_limit=200_000)
        try:
            for attempt in (first, second):
                with anyio.fail_after(20):
                    await client.ask(request, attempt)
        finally:
            await client.aclose()
    assert failure(first) == (Outcome.TOO_LARGE, "reply_limit")
    assert first.fold.failed is not None
    assert first.fold.failed.message == "the reply is larger than its limit of 200,000 bytes"
    assert len(first.fold.text(Channel.ANSWER) or "") == 20 * (200_000 // len(delta_event("x" * 20)))
    assert (failure(second), second.fold.text(Channel.ANSWER)) == ((Outcome.OK, None), "fine")


def slowly(decode: Callable[[ResponseDecoder, int, bytes], list[Event]]) -> Callable[..., list[Event]]:
    """Return a decoder that takes a tenth of a second for each read."""

    def feed(decoder: ResponseDecoder, at_ns: int, data: bytes) -> list[Event]:
        time.sleep(0.1)
        return decode(decoder, at_ns, data)

    return feed


@pytest.mark.parametrize("is_whole", [False, True], ids=["endless", "whole"])
async def test_the_total_timeout_ends_decoding(is_whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that takes longer to decode than `total` ends then, even if all of it has arrived."""
    monkeypatch.setattr(ResponseDecoder, "feed", slowly(ResponseDecoder.feed))
    monkeypatch.setattr(read_loop, "OVERTIME_NS", 150_000_000)
    data = gzip.compress(delta_event("x") * 60_000)
    head = http_head(content_encoding="gzip", content_length=str(len(data) + (not is_whole)))
    with serve(ScriptedReply([(0, head + data)])) as server:
        (attempt,) = await ask(endpoint_at(server.url), Timeouts(total=0.5))
    assert failure(attempt) == (Outcome.TIMEOUT, "total")
    assert attempt.fold.has_text


async def test_an_interrupted_reply_is_decoded_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Received bytes are decoded, unless that takes too long."""
    monkeypatch.setattr(ResponseDecoder, "feed", slowly(ResponseDecoder.feed))
    monkeypatch.setattr(read_loop, "OVERTIME_NS", 150_000_000)
    attempt, client = Attempt(), None
    with serve(ENDLESS) as server:
        client = Client(endpoint_at(server.url))
        try:
            with anyio.move_on_after(0.5):
                await client.ask(AttemptRequest("m-1", (), {"stream": True}, Timeouts()), attempt)
        finally:
            await client.aclose()
    assert attempt.fold.failed is None
    assert attempt.fold.has_text


@pytest.mark.parametrize("broken", ["feed", "close"])
async def test_an_exception_in_the_decoder_fails_its_row_only(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row has the exception, and the bytes are kept."""

    def fail(*_: object) -> list[Event]:
        raise LookupError("no such luck")

    monkeypatch.setattr(ResponseDecoder, broken, fail)
    attempt = Attempt(recording=RecordingBuffer(Redactor()))
    with serve(streamed_reply("Hello")) as server:
        client = Client(endpoint_at(server.url))
        try:
            await client.ask(AttemptRequest("m-1", (), {"stream": True}, Timeouts()), attempt)
        finally:
            await client.aclose()
    assert failure(attempt) == (Outcome.BAD_STREAM, "undecodable")
    assert attempt.fold.failed is not None
    assert "LookupError: no such luck" in attempt.fold.failed.message
    assert attempt.recording is not None
    assert b"Hello" in b"".join(data for _, data in unpack_reads(attempt.recording.finish()))


async def test_an_exception_while_connecting_fails_its_row_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver may raise exceptions that no list holds; warming up leaves them to the request."""

    async def resolve(*_: object, **__: object) -> object:
        raise LookupError("unknown encoding: punycode")

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    client, attempt = Client(endpoint_at("http://llm.example/v1")), Attempt()
    try:
        assert await client.warm_up(2) == []
        await client.ask(AttemptRequest("m-1", (), {}, Timeouts()), attempt)
        assert failure(attempt) == (Outcome.CONNECTION, "connection")
        with pytest.raises(ProviderRefusal, match="unknown encoding"):
            await client.list_models()
    finally:
        await client.aclose()


async def test_a_list_of_models_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """`providers --models` reads no more of a list than of a reply."""
    monkeypatch.setattr(ResponseBody.__init__, "__defaults__", (None, 1000, ()))
    with serve(json_reply("200 OK", {"data": [{"id": "m" * 2000}]})) as server:
        client = Client(endpoint_at(server.url))
        try:
            with pytest.raises(ProviderRefusal, match="larger than its limit"):
                await client.list_models()
        finally:
            await client.aclose()

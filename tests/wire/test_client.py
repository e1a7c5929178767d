"""The client over real sockets: all samples, the four timeouts, and what the server receives."""

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from openai import AsyncOpenAI

from runner.core.events import Channel, Outcome
from runner.core.suite import Timeouts
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client, ProviderRefusal
from runner.wire.dialects import DIALECTS
from runner.wire.event_loop_time_slices import TimeSlices
from tests.support.certificate import make_certificate, server_context
from tests.support.client_requests import KEY, QUESTION, ask, ask_once, endpoint_at, failure
from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    ReceivedRequest,
    ScriptedReply,
    delta_event,
    http_chunk,
    http_head,
    json_reply,
    serve,
    sse_event,
    streamed_reply,
    unused_port,
)
from tests.support.wait_until import until
from tests.support.wire_samples import SAMPLES, Sample, expectation, observe, reply_of

pytestmark = pytest.mark.anyio

COMMENT = http_chunk(b": keep-alive\n\n")


@pytest.fixture(autouse=True)
def no_proxy_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the proxy variables of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
async def test_sample_is_decoded_as_expected_over_a_connection(sample: Sample) -> None:
    """What providers really send gives the same fold over a socket as from its bytes alone."""
    with serve(reply_of(sample)) as server:
        attempt = await ask_once(server.url, Timeouts(first_token=1))
    observed, expected = observe(attempt.fold), expectation(sample)
    if expected["outcome"] == "connection":  # the text of the message is that of a library
        assert observed.pop("error")
        assert observed.pop("worth_repeating")
    assert observed == expected


async def test_request_body_holds_the_model_the_messages_and_the_parameters() -> None:
    """The JSON body holds what the caller gave, and nothing that the SDK adds."""
    with serve(streamed_reply("Hello")) as server:
        await ask_once(server.url)
    asked = server.requests[0]
    assert (asked.method, asked.target) == ("POST", "/v1/chat/completions")
    assert asked.json == {"model": "m-1", "messages": QUESTION, "stream": True}


async def test_request_head_is_the_sdks_and_the_same_every_time() -> None:
    """If an upgrade of the SDK makes its headers vary, this test fails."""
    send = DIALECTS["chat_completions"].send
    with serve(streamed_reply("Hello")) as server:
        client = Client(endpoint_at(server.url))
        for _ in range(3):
            await client.ask(AttemptRequest("m-1", QUESTION, {}), Attempt())
        heads = {await client._head_by_sdk(send, "chat_completions") for _ in range(2)}
        await client.aclose()
        async with AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0) as sdk:
            await sdk.chat.completions.with_raw_response.create(model="m-1", messages=())
    *ours, by_sdk = [asked.headers for asked in server.requests]
    assert len(heads) == 1
    assert all(headers == ours[0] for headers in ours)
    assert {**by_sdk, **DIFFERENT} == {**ours[0], **DIFFERENT}


DIFFERENT = {"accept-encoding": "", "content-length": "", "x-stainless-read-timeout": "", "transfer-encoding": ""}


@pytest.mark.parametrize(
    "reply", [streamed_reply("Hello"), json_reply("500 Oops", {"error": "x"}), ScriptedReply([(0, b"")], "reset")]
)
async def test_request_leaves_no_work_for_the_garbage_collector(reply: ScriptedReply) -> None:
    """A run pauses the collector, so no request may leave reference cycles, however it ends."""
    with serve(reply) as server:
        client = Client(endpoint_at(server.url))
        await client.ask(AttemptRequest("m-1", QUESTION, {}), Attempt())
        gc.freeze()  # objects left by other tests would also be counted
        gc.disable()
        try:
            for _ in range(5):
                await client.ask(AttemptRequest("m-1", QUESTION, {}), Attempt())
            assert gc.collect() == 0
        finally:
            gc.enable()
        await client.aclose()


HEAD_ONLY = ScriptedReply([(0, STREAM_HEAD)], linger_s=20)
SILENCE = ScriptedReply([(0, b"")], linger_s=20)
TEXT_THEN_COMMENTS = ScriptedReply([(0, STREAM_HEAD + http_chunk(delta_event("Hel"))), *[(0.05, COMMENT)] * 100])
COMMENTS = ScriptedReply([(0, STREAM_HEAD), *[(0.05, COMMENT)] * 100])
ENDLESS_TEXT = ScriptedReply([(0, STREAM_HEAD), *[(0.05, http_chunk(delta_event("x")))] * 100])
UNFINISHED_ERROR = ScriptedReply([(0, http_head("401 Unauthorized") + b'{"error":')], linger_s=20)


async def test_no_timeout_runs_while_a_request_waits_for_its_time_slice() -> None:
    """A request that other work of the loop delays is sent, and is no connect timeout."""
    slices, attempts = TimeSlices(), [Attempt(), Attempt()]
    request = AttemptRequest("m-1", QUESTION, {}, Timeouts(connect=0.2))
    with serve(streamed_reply("Hello")) as server:
        client = Client(endpoint_at(server.url), time_slices=slices)
        try:
            await client.ask(AttemptRequest("m-1", QUESTION, {}), attempts[0])  # opens the connection
            await slices.acquire()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.ask, request, attempts[1])
                await anyio.sleep(0.4)
                slices.release()
        finally:
            await client.aclose()
    assert [failure(attempt) for attempt in attempts] == [(Outcome.OK, None)] * 2


@pytest.mark.parametrize(
    ("reply", "timeouts", "stage"),
    [
        (SILENCE, Timeouts(connect=60, first_token=0.2), "first_token"),
        (SILENCE, Timeouts(total=0.2), "total"),
        (HEAD_ONLY, Timeouts(connect=60, first_token=0.2), "first_token"),
        (HEAD_ONLY, Timeouts(total=0.2), "total"),
        (COMMENTS, Timeouts(first_token=0.3, idle=0.1), "first_token"),
        (TEXT_THEN_COMMENTS, Timeouts(idle=0.3), "idle"),
        (ENDLESS_TEXT, Timeouts(first_token=0.2, idle=2, total=0.5), "total"),
    ],
    ids=["silence", "silence-total", "head", "head-total", "comments", "text-comments", "endless-text"],
)
async def test_each_timeout_has_its_own_error_type(reply: ScriptedReply, timeouts: Timeouts, stage: str) -> None:
    """Comments reset no timeout, and text that arrived is kept."""
    with serve(reply) as server:
        attempt = await ask_once(server.url, timeouts)
    assert failure(attempt) == (Outcome.TIMEOUT, stage)
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.worth_repeating == (stage == "first_token")
    assert attempt.fold.has_text == (reply in (TEXT_THEN_COMMENTS, ENDLESS_TEXT))


PING = http_chunk(sse_event({"type": "ping"}))
PINGED = ScriptedReply([(0, STREAM_HEAD + http_chunk(delta_event("Hel"))), *[(0.05, PING)] * 100])
PINGED_BEHIND = ScriptedReply(
    [
        (
            0,
            STREAM_HEAD
            + http_chunk(delta_event("Hello"))
            + http_chunk(sse_event({"choices": [{"delta": {}, "finish_reason": "stop"}]})),
        ),
        *[(0.05, PING)] * 100,
    ]
)


async def test_json_pings_reset_no_timeout_and_are_no_events() -> None:
    """A reply that falls silent is idle even if pings continue; after its finish it is complete."""
    with serve(PINGED) as server:
        silent = await ask_once(server.url, Timeouts(idle=0.3))
    assert failure(silent) == (Outcome.TIMEOUT, "idle")
    assert silent.fold.last_event == silent.fold.timestamps_ns[-1]
    with serve(PINGED_BEHIND) as server:
        whole = await ask_once(server.url, Timeouts(idle=0.3))
    assert whole.fold.outcome() is Outcome.OK
    assert whole.fold.last_event == whole.fold.timestamps_ns[-1]


async def test_error_whose_body_never_ends_is_classified_by_its_status() -> None:
    """The timeout of the rest of the body does not replace the refusal."""
    with serve(UNFINISHED_ERROR) as server:
        attempt = await ask_once(server.url, Timeouts(first_token=0.2))
    assert failure(attempt) == (Outcome.AUTH, "key")


async def test_slow_connection_is_a_connect_timeout() -> None:
    """A TLS handshake without an answer counts as connecting, because nothing was sent."""
    with serve(SILENCE) as server:
        attempt = await ask_once(server.url.replace("http", "https"), Timeouts(connect=0.2, first_token=60))
    assert failure(attempt) == (Outcome.TIMEOUT, "connect")
    assert attempt.body.sent_ns is None


async def test_text_of_a_cancelled_request_is_kept() -> None:
    """The attempt of a cancelled request holds what had arrived, decoded."""
    with serve(
        ScriptedReply([(0, STREAM_HEAD + http_chunk(delta_event("Hel")) + http_chunk(delta_event("lo")))], linger_s=20)
    ) as server:
        client, attempt = Client(endpoint_at(server.url)), Attempt()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.ask, AttemptRequest("m-1", QUESTION, {}), attempt)
            await until(lambda: len(attempt.body._pieces) > 0)
            tasks.cancel_scope.cancel()
        await client.aclose()
    assert attempt.fold.text(Channel.ANSWER) == "Hello"


@pytest.mark.parametrize("last", [DONE_EVENT, sse_event({"error": {"message": "gone"}})], ids=["done", "error"])
async def test_reading_ends_at_done_or_an_error(last: bytes) -> None:
    """The server may keep the connection open."""
    with serve(
        ScriptedReply(
            [(0, STREAM_HEAD + http_chunk(delta_event("Hello"))), (0.05, http_chunk(FINISH_EVENT + last))], linger_s=30
        )
    ) as server:
        first, second = await ask(endpoint_at(server.url), times=2)
    assert first.fold.text(Channel.ANSWER) == second.fold.text(Channel.ANSWER) == "Hello"
    assert first.fold.outcome() is (Outcome.OK if last is DONE_EVENT else Outcome.PROVIDER_ERROR)
    assert server.connections == 2


async def test_connection_of_a_complete_reply_is_reused() -> None:
    """Consecutive replies and refusals share a connection."""
    with serve([streamed_reply("a"), json_reply("429 Slow", {"error": "slow"}), streamed_reply("b")]) as server:
        attempts = await ask(endpoint_at(server.url), times=3)
    assert [attempt.body.phases.reused for attempt in attempts] == [False, True, True]
    assert server.connections == 1


async def test_watch_receives_text_before_the_reply_is_complete() -> None:
    """Each event is passed on while the reply is still arriving."""
    permit = threading.Event()
    with serve(
        ScriptedReply(
            [
                (0, STREAM_HEAD + http_chunk(delta_event("Hel"))),
                (permit, http_chunk(FINISH_EVENT + DONE_EVENT) + b"0\r\n\r\n"),
            ]
        )
    ) as server:
        client, attempt = Client(endpoint_at(server.url)), Attempt()
        with anyio.fail_after(10):
            await client.ask(AttemptRequest("m-1", QUESTION, {}), attempt, lambda _: permit.set())
        await client.aclose()
    assert attempt.fold.outcome() is Outcome.OK


async def test_redirect_is_reported_and_not_followed() -> None:
    """No other server receives anything; the message holds the target without its user and query."""
    with serve(streamed_reply("Hello")) as other:
        target = other.url.replace("//", "//user:word@") + "/chat?key=secret"
        with serve(
            ScriptedReply([(0, http_head("307 Temporary Redirect", location=target, content_length="0"))])
        ) as server:
            attempt = await ask_once(server.url)
    assert failure(attempt) == (Outcome.BAD_REQUEST, "redirect")
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.message == f"redirected to {other.url}/chat"
    assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize("status", ["408 Timeout", "409 Conflict", "429 Slow down", "500 Oops", "503 Busy"])
async def test_sdk_does_not_retry(status: str) -> None:
    """Retries, counts and times belong to the engine; one call of the client is one request."""
    with serve(json_reply(status, {"error": {"message": "no"}}, retry_after="0")) as server:
        attempt = await ask_once(server.url)
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.worth_repeating
    assert len(server.requests) == 1


AMBIENT = {
    "OPENAI_API_KEY": "sk-ambient-key",
    "OPENAI_ADMIN_KEY": "sk-ambient-admin",
    "OPENAI_ORG_ID": "org-ambient",
    "OPENAI_PROJECT_ID": "proj-ambient",
    "OPENAI_CUSTOM_HEADERS": "X-Ambient: ambient\nAuthorization: Bearer ambient",
}


@pytest.mark.parametrize(
    ("row", "key", "sent"),
    [
        ({}, KEY, {"authorization": f"Bearer {KEY}"}),
        ({"auth": "api-key"}, KEY, {"api-key": KEY}),
        ({"keyless": True}, None, {}),
        ({"keyless": True}, KEY, {"authorization": f"Bearer {KEY}"}),
        ({"headers": {"X-Own": "1"}}, KEY, {"authorization": f"Bearer {KEY}", "x-own": "1"}),
    ],
    ids=["bearer", "api-key", "keyless", "keyless-with-key", "headers"],
)
async def test_only_the_headers_of_the_endpoint_are_sent(
    row: dict[str, object], key: str | None, sent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is only in the header that its row names; values of OPENAI_* variables are not sent."""
    with serve(streamed_reply("never")) as elsewhere, serve(answer_any) as server:
        for name, value in {**AMBIENT, "OPENAI_BASE_URL": elsewhere.url}.items():
            monkeypatch.setenv(name, value)
        client = Client(endpoint_at(server.url, key, **row))
        await client.ask(AttemptRequest("m-1", QUESTION, {}), Attempt())
        await client.list_models()
        await client.aclose()
    assert elsewhere.requests == []
    assert len(server.requests) == 2
    for asked in server.requests:
        names = [name for name in ("authorization", "api-key", "x-own") if name in asked.headers]
        assert {name: asked.headers[name] for name in names} == sent
        assert b"ambient" not in asked.raw.lower()


def answer_any(asked: ReceivedRequest) -> ScriptedReply:
    """Answer a prompt with text, and any other request with a list of models."""
    return streamed_reply("Hello") if asked.method == "POST" else json_reply("200 OK", {"data": [{"id": "m-1"}]})


@pytest.mark.parametrize(
    ("listed", "ids"),
    [
        ({"object": "list", "data": [{"id": "b"}, {"id": "a"}]}, ["b", "a"]),
        ([{"id": "bare", "type": "chat"}], ["bare"]),
        ({"data": [{"id": "models/gemini-9"}]}, ["gemini-9"]),
        ({"data": []}, []),
    ],
)
async def test_list_of_models_is_parsed_in_every_spelling(listed: Any, ids: list[str]) -> None:
    """The ids are in the endpoint's order."""
    with serve(json_reply("200 OK", listed)) as server:
        client = Client(endpoint_at(server.url))
        assert await client.list_models() == ids
        await client.aclose()
    assert (server.requests[0].method, server.requests[0].target) == ("GET", "/v1/models")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (json_reply("404 Not Found", {"error": "no such page"}), Outcome.NOT_FOUND),
        (json_reply("401 Unauthorized", {"error": {"message": "who are you"}}), Outcome.AUTH),
        (json_reply("200 OK", "<html>"), Outcome.BAD_STREAM),
        (json_reply("200 OK", {"models": []}), Outcome.BAD_STREAM),
        (json_reply("200 OK", "null"), Outcome.BAD_STREAM),
        (ScriptedReply([(0, b"")], "close"), Outcome.CONNECTION),
    ],
    ids=["404", "401", "html", "other-json", "null", "cut"],
)
async def test_failed_list_of_models_is_a_provider_refusal(reply: ScriptedReply, outcome: Outcome) -> None:
    """Anything but a list of models is classified as for a completion request."""
    with serve(reply) as server:
        client = Client(endpoint_at(server.url))
        with pytest.raises(ProviderRefusal) as refusal:
            await client.list_models()
        await client.aclose()
    assert refusal.value.failed.outcome is outcome


async def test_list_of_models_has_a_timeout() -> None:
    """An endpoint that does not respond is abandoned after the timeout of the first token."""
    with serve(SILENCE) as server:
        client = Client(endpoint_at(server.url))
        with anyio.fail_after(10), pytest.raises(ProviderRefusal) as refusal:
            await client.list_models(Timeouts(first_token=0.2))
        await client.aclose()
    assert refusal.value.failed.outcome is Outcome.TIMEOUT


@contextmanager
def answer_in_the_clear() -> Iterator[int]:
    """Run a server that answers a TLS handshake in plain HTTP; yield its port."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer)
        server.start()
        yield listener.getsockname()[1]
        server.join()


async def test_untrusted_certificate_is_its_own_error_type(tmp_path: Path) -> None:
    """An untrusted certificate is not worth repeating, and nothing is sent."""
    with serve(streamed_reply("Hello"), server_context(make_certificate(tmp_path))) as server:
        attempt = await ask_once(server.url)
    assert failure(attempt) == (Outcome.CONNECTION, "tls_certificate")
    assert attempt.fold.failed is not None
    assert not attempt.fold.failed.worth_repeating
    assert server.requests == []


PROXY_WORD = "pass" + "word-of-proxy"


@pytest.mark.parametrize(
    ("reply", "stage"),
    [
        (ScriptedReply([(0, b"")], "close"), "disconnected"),
        (ScriptedReply([(0, b"")], "reset"), "reset"),
        (ScriptedReply([(0, b"SSH-2.0-OpenSSH_9.6\r\n")], linger_s=5), "bad_http"),
        (ScriptedReply([(0, STREAM_HEAD + http_chunk(delta_event("Hel"))[:-10])], "close"), "cut"),
        (ScriptedReply([(0, http_head(content_length="100") + b"data:")], "close"), "cut"),
    ],
    ids=["disconnected", "reset", "bad-http", "cut", "short"],
)
async def test_broken_connection_is_classified_by_its_stage(reply: ScriptedReply, stage: str) -> None:
    """The message is one sentence, the stage is the error type."""
    with serve(reply) as server:
        attempt = await ask_once(server.url)
    assert failure(attempt) == (Outcome.CONNECTION, stage)
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.worth_repeating == (stage != "bad_http")
    assert "\n" not in attempt.fold.failed.message


async def test_unreachable_host_is_classified_by_its_stage() -> None:
    """A closed port, an unknown name, and a port without TLS are three different failures."""
    assert failure(await ask_once(f"http://127.0.0.1:{unused_port()}/v1")) == (Outcome.CONNECTION, "refused")
    assert failure(await ask_once("http://nowhere.invalid/v1")) == (Outcome.CONNECTION, "dns")
    with answer_in_the_clear() as port:
        assert failure(await ask_once(f"https://127.0.0.1:{port}/v1")) == (Outcome.CONNECTION, "tls")


@pytest.mark.parametrize(
    ("proxy", "url", "stage"),
    [
        (f"http://user:{PROXY_WORD}@127.0.0.1:{{closed}}", "http://fake.test/v1", "proxy"),
        (f"http://user:{PROXY_WORD}@127.0.0.1:{{refusing}}", "https://fake.test/v1", "proxy_auth"),
        (f"socks4://user:{PROXY_WORD}@127.0.0.1:{{refusing}}", "http://fake.test/v1", "bad_proxy"),
        (f"http://user:{PROXY_WORD}@:80:80", "http://fake.test/v1", "bad_proxy"),
    ],
    ids=["closed", "refusing", "ftp", "garbage"],
)
async def test_failing_proxy_is_reported_without_its_password(
    proxy: str, url: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that fails and one that cannot be used have different error types."""
    with serve(json_reply("407 Proxy Authentication Required", "")) as server:
        address = proxy.format(closed=unused_port(), refusing=server.port)
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("https_proxy", address)
        attempt = await ask_once(url)
    assert failure(attempt) == (Outcome.AUTH if stage == "proxy_auth" else Outcome.CONNECTION, stage)
    assert attempt.fold.failed is not None
    assert PROXY_WORD not in attempt.fold.failed.message
    assert attempt.fold.failed.worth_repeating == (stage == "proxy")


async def test_proxy_may_be_named_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """`host:port` means an HTTP proxy, as it does for curl."""
    with serve(streamed_reply("Hello")) as server:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{server.port}")
        assert (await ask_once("http://fake.test/v1")).fold.text(Channel.ANSWER) == "Hello"
    assert server.requests[0].target == "http://fake.test/v1/chat/completions"

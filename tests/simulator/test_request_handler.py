"""The simulator over a real connection: streams, errors, timing, the log, and each fault on the wire."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import anyio
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runner.simulator
from runner.simulator.child_process import launch_sync
from runner.simulator.faults import FAULTS
from runner.simulator.http_request import MAX_BODY_BYTES, MAX_HEAD_BYTES, HttpRequest
from runner.simulator.model_names import model_ids
from runner.simulator.persona import MS, PERSONAS
from runner.simulator.request_handler import RequestHandler
from tests.support.simulator_requests import (
    HttpResponse,
    chat_body,
    connect,
    deltas,
    http,
    parse_response,
    post,
    read_all,
    send,
    send_chat,
    timestamps,
)
from tests.support.wait_until import wait_until

HOME = str(Path(runner.simulator.__path__[0]).parents[1])


@pytest.fixture
def connection(base_url: str) -> Iterator[socket.socket]:
    """Open a connection to it."""
    with connect(base_url) as connection:
        yield connection


def test_a_stream_is_events_that_end_with_done(base_url: str) -> None:
    """A stream has a role, text, a finish_reason, usage and [DONE]."""
    reply = send_chat(base_url, stream=True, stream_options={"include_usage": True})

    assert (reply.status, reply.complete) == (200, True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    role, *_, finish, usage = reply.events
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}  # type: ignore[index]
    assert deltas(reply, "content") == [" one", " two", " three", " four"]
    assert finish["choices"][0]["finish_reason"] == "stop"  # type: ignore[index]
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 4)  # type: ignore[index]
    assert reply.body.endswith(b"\n\ndata: [DONE]\n\n")


def test_usage_is_sent_only_with_include_usage(base_url: str) -> None:
    """Without include_usage no event has usage."""
    assert all("usage" not in event for event in send_chat(base_url, stream=True).events)


def test_a_completion_without_a_stream_is_one_json_document(base_url: str) -> None:
    """Without `stream` the same text comes at once, with usage."""
    reply = send_chat(base_url)
    document = json.loads(reply.body)

    assert reply.headers["content-length"] == str(len(reply.body))
    assert document["choices"][0]["message"] == {"role": "assistant", "content": " one two three four"}
    assert document["usage"]["total_tokens"] == document["usage"]["prompt_tokens"] + 4


@pytest.mark.parametrize("stream", [True, False])
def test_every_response_is_marked_as_simulated(base_url: str, *, stream: bool) -> None:
    """Header, fingerprint and model id name the simulation."""
    reply = send_chat(base_url, "quick", stream=stream)
    documents = reply.events if stream else [json.loads(reply.body)]

    assert reply.headers["x-simulated"] == "true"
    assert {document["system_fingerprint"] for document in documents} == {"simulated"}
    assert {document["model"] for document in documents} == {"sim/quick"}
    assert reply.headers["x-request-id"].startswith("req-sim-")


def test_pipelined_requests_are_answered_in_order(connection: socket.socket) -> None:
    """They are answered on one connection that stays open; `connection: close` ends it."""
    connection.sendall(
        post(chat_body(stream=True)) + http("GET", "/v1/models") + http("GET", "/log", b"", "connection: close")
    )
    raw = read_all(connection)

    assert raw.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert raw.index(b"[DONE]") < raw.index(b'"owned_by"') < raw.index(b'"received_ns"')


def test_http_1_0_gets_no_chunks(base_url: str) -> None:
    """The response to HTTP/1.0 ends with the connection."""
    reply = send(base_url, post(chat_body(stream=True), version="1.0"))

    assert "transfer-encoding" not in reply.headers
    assert reply.body.startswith(b"data: {")
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_expect_100_continue_is_answered(connection: socket.socket) -> None:
    """`Expect: 100-continue` is answered once, before the body is sent."""
    body = chat_body()
    request = post(body, "expect: 100-continue", "connection: close")
    connection.sendall(request.removesuffix(body))
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert parse_response(read_all(connection)).status == 200


def test_head_gets_no_body(base_url: str) -> None:
    """A HEAD request is answered without a body."""
    reply = send(base_url, http("HEAD", "/v1/models", b"", "connection: close"))
    assert (reply.status, reply.body) == (405, b"")


@pytest.mark.parametrize(
    ("request_bytes", "status", "param", "words"),
    [
        (http("GET", "/", b"", "connection: close"), 404, None, "Unknown path"),
        (http("GET", "/v1/chat/completions", b"", "connection: close"), 405, None, "POST only"),
        (http("POST", "/v1/models", b"", "connection: close"), 405, None, "GET only"),
        (post(b"{", "connection: close"), 400, None, "not valid JSON"),
        (post(b"[" * 100_000, "connection: close"), 400, None, "not valid JSON"),
        (post(b"[]", "connection: close"), 400, None, "JSON object"),
        (post(b"{}", "connection: close"), 400, "model", "name of a model"),
        (post(chat_body(messages=[]), "connection: close"), 400, "messages", "at least one"),
        (post(chat_body(messages=["hi"]), "connection: close"), 400, "messages[0]", "an object"),
        (post(chat_body(messages=[{"role": "x"}]), "connection: close"), 400, "messages[0].role", "one of"),
        (post(chat_body(messages=[{"role": "user"}]), "connection: close"), 400, "messages[0].content", "a string"),
        (post(chat_body(max_tokens=0), "connection: close"), 400, "max_tokens", "at least 1"),
        (post(chat_body(max_tokens="9"), "connection: close"), 400, "max_tokens", "an integer"),
        (post(chat_body(seed=True), "connection: close"), 400, "seed", "an integer"),
        (post(chat_body(stream="yes"), "connection: close"), 400, "stream", "true or false"),
        (post(chat_body(stop=[""]), "connection: close"), 400, "stop", "non-empty"),
        (post(chat_body(stop={}), "connection: close"), 400, "stop", "a string or a list"),
        (post(chat_body(n=2), "connection: close"), 400, "n", "one choice"),
        (post(chat_body(thinking="off"), "connection: close"), 400, "thinking", "disabled"),
        (post(chat_body(reasoning_effort="much"), "connection: close"), 400, "reasoning_effort", "none, low"),
        (post(chat_body(temperature=3), "connection: close"), 400, "temperature", "from 0 to 2"),
        (post(chat_body(stream_options={}), "connection: close"), 400, "stream_options", "only allowed when"),
        (post(chat_body("sim/qiuck"), "connection: close"), 404, "model", "Did you mean `sim/quick`?"),
        (post(chat_body("nobody/knows"), "connection: close"), 404, "model", "does not exist"),
        (b"hello\r\n\r\n", 400, None, "request line"),
        (http("GET", "/", b"", f"x: {'y' * MAX_HEAD_BYTES}"), 431, None, "exceeds"),
        (http("GET", "/").replace(b"length: 0", b"length: %d" % (MAX_BODY_BYTES + 1)), 413, None, "exceeds"),
    ],
)
def test_a_wrong_request_gets_a_clear_error(
    base_url: str, request_bytes: bytes, status: int, param: str | None, words: str
) -> None:
    """Errors have OpenAI's shape, the right status, and name the wrong parameter."""
    reply = send(base_url, request_bytes)

    assert (reply.status, reply.error["param"]) == (status, param)
    assert words in str(reply.error["message"])


def test_a_405_response_has_allow(base_url: str) -> None:
    """405 names the allowed method."""
    assert send(base_url, http("GET", "/v1/chat/completions", b"", "connection: close")).headers["allow"] == "POST"


def with_official_client(base_url: str, use: Callable[[openai.AsyncOpenAI], object]) -> None:
    """Run a coroutine function with an official client."""

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
            await use(client)  # type: ignore[misc]

    anyio.run(main)


def test_the_official_client_reads_a_stream(base_url: str) -> None:
    """AsyncOpenAI decodes the chunks, usage included, and keeps `sent_ns` as an extra field."""

    async def use(client: openai.AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model="thinker",
            messages=[{"role": "user", "content": "Who are you?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        usage = chunks[-1].usage
        assert "“thinker”" in text
        assert usage is not None
        assert usage.completion_tokens_details is not None
        assert (usage.completion_tokens_details.reasoning_tokens or 0) > 0
        assert all(chunk.model_extra and chunk.model_extra["sent_ns"] > 0 for chunk in chunks)

    with_official_client(base_url, use)


def test_the_official_client_reads_completions_models_and_errors(base_url: str) -> None:
    """AsyncOpenAI reads a completion and the models, and maps errors to its own types."""

    async def use(client: openai.AsyncOpenAI) -> None:
        create = client.chat.completions.create
        completion = await create(model="sim/quick", messages=[{"role": "user", "content": "2 + 3 = ?"}])
        assert completion.choices[0].message.content == "2 + 3 = 5"
        models = [model.id async for model in client.models.list()]
        assert models == list(model_ids())
        assert (await client.models.retrieve("sim/quick")).id == "sim/quick"
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            await create(model="gone", messages=[{"role": "user", "content": "?"}])
        with pytest.raises(openai.AuthenticationError, match="API key"):
            await create(model="sim/fault-unauthorized", messages=[{"role": "user", "content": "?"}])

    with_official_client(base_url, use)


def test_a_thinking_persona_sends_reasoning_first(base_url: str) -> None:
    """Reasoning comes first, on its own channel; `thinking: disabled` leaves it out."""
    aloud = send_chat(base_url, "sim/thinker", stream=True)
    silent = send_chat(base_url, "sim/thinker", stream=True, thinking={"type": "disabled"})
    keys = [key for event in aloud.events for key in event["choices"][0]["delta"]]  # type: ignore[index]

    assert keys[2:].index("content") == keys.count("reasoning_content")
    assert "".join(deltas(aloud, "content")) == "".join(deltas(silent, "content"))
    assert deltas(silent, "reasoning_content") == []


def test_max_tokens_and_stop_end_an_answer_early(base_url: str) -> None:
    """max_tokens is respected and named as the reason; a stop word and the text after it are left out."""
    short = json.loads(send_chat(base_url, "quick", max_tokens=3).body)
    stopped = json.loads(send_chat(base_url, "quick", stop="simulated").body)

    assert (short["choices"][0]["finish_reason"], short["usage"]["completion_tokens"]) == ("length", 3)
    assert stopped["choices"][0]["finish_reason"] == "stop"
    assert stopped["choices"][0]["message"]["content"] != ""
    assert "simulated" not in stopped["choices"][0]["message"]["content"]


def test_a_lone_surrogate_is_replaced(base_url: str) -> None:
    """JSON allows lone surrogates and UTF-8 does not."""
    body = chat_body("quick").replace(b"Hello?", b"\\ud800 what?")
    assert send(base_url, post(body, "connection: close")).status == 200


def test_no_token_is_early_and_timestamps_never_decrease(base_url: str) -> None:
    """Each token's timestamp is at or after its time, counted from the request and not from the last token."""
    reply = send_chat(base_url, "sim/exact?ttft_ms=30&gap_ms=3&tokens=60", stream=True)
    received_ns, sent_ns = int(reply.headers["x-received-ns"]), timestamps(reply)

    assert sent_ns == sorted(sent_ns)
    assert len(sent_ns) == 60
    assert all(sent >= received_ns + (30 + 3 * index) * MS for index, sent in enumerate(sent_ns))


def test_timestamps_are_on_the_clock_of_this_process(base_url: str) -> None:
    """On one machine, the server's timestamps lie between the client's before and after."""
    before_ns = time.perf_counter_ns()
    reply = send_chat(base_url, stream=True)
    received_ns = int(reply.headers["x-received-ns"])
    assert before_ns <= received_ns <= timestamps(reply)[0] <= time.perf_counter_ns()


def test_a_slow_reader_gets_everything(connection: socket.socket) -> None:
    """A stream faster than its reader waits, and nothing is lost."""
    connection.sendall(post(chat_body("sim/exact?ttft_ms=0&gap_ms=0&tokens=40000", stream=True), "connection: close"))
    time.sleep(0.2)
    reply = parse_response(read_all(connection))

    assert reply.complete
    assert len(deltas(reply, "content")) == 40_000


def read_log(base_url: str) -> list[dict[str, object]]:
    """Return the simulator's own log."""
    log = json.loads(send(base_url, http("GET", "/log", b"", "connection: close")).body)
    assert isinstance(log, list)
    return log


def test_the_log_counts_the_requests_in_flight() -> None:
    """Each chat request is logged with its model and the number of requests in flight, including itself."""
    with launch_sync() as url:
        connections = [connect(url) for _ in range(3)]
        model = "sim/exact?ttft_ms=60000"
        for count, connection in enumerate(connections, 1):
            connection.sendall(post(chat_body(model, stream=True)))
            assert connection.recv(9) == b"HTTP/1.1 "
            assert read_log(url)[-1]["in_flight"] == count
        for connection in connections:
            connection.close()
        wait_until(lambda: (send_chat(url), read_log(url)[-1]["in_flight"] == 1)[1])
        assert [entry["model"] for entry in read_log(url)[:3]] == [model] * 3


def test_the_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long-running server drops the oldest entries."""
    monkeypatch.setattr("runner.simulator.request_handler.MAX_LOG_ENTRIES", 20)
    handler = RequestHandler()
    request = HttpRequest(
        "POST", "/v1/chat/completions", {}, chat_body("nobody"), keep_alive=True, chunked_allowed=True
    )
    for received_ns in range(30):
        handler.respond(request, received_ns)
    log = handler.respond(HttpRequest("GET", "/log", {}, b"", keep_alive=True, chunked_allowed=True), 0)
    entries = json.loads(next(iter(log.steps)).head)
    assert (len(entries), entries[0]["received_ns"]) == (20, 10)


FAST_PACE = "ttft_ms=1&gap_ms=1&tokens=6"


def send_to_fault(base_url: str, name: str, options: str = FAST_PACE, **fields: object) -> HttpResponse:
    """Send a streamed chat request to a model with a fault."""
    fields = {"stream": True, "stream_options": {"include_usage": True}, **fields}
    return send_chat(base_url, f"sim/fault-{name}?{options}", **fields)


def finish_reasons(reply: HttpResponse) -> list[object]:
    """Return the finish reasons of a stream."""
    return [
        event["choices"][0]["finish_reason"]  # type: ignore[index]
        for event in reply.events
        if event["choices"] and event["choices"][0]["finish_reason"]  # type: ignore[index]
    ]


def has_error(reply: HttpResponse, status: int, code: str, **headers: str) -> bool:
    """Return whether a reply is an error with this status, code and headers."""
    sent = {name: reply.headers.get(name.replace("_", "-")) for name in headers}
    return (reply.status, reply.error["code"], sent) == (status, code, headers)


def has_page(reply: HttpResponse, status: int) -> bool:
    """Return whether a reply is an HTML page."""
    return reply.status == status and reply.headers["content-type"].startswith("text/html") and b"<html" in reply.body


def has_future_retry_date(reply: HttpResponse) -> bool:
    """Return whether Retry-After is an HTTP date."""
    date = time.strptime(reply.headers["retry-after"], "%a, %d %b %Y %H:%M:%S GMT")
    return reply.status == 429 and len(date) == 9


def is_cut_in_a_chunk(reply: HttpResponse) -> bool:
    """Return whether a reply has four complete events and a part of the fifth."""
    return not reply.complete and reply.body.count(b"}\n\n") == 4 and not reply.body.endswith(b"}\n\n")


def has_broken_json(reply: HttpResponse) -> bool:
    """Return whether one event is cut off, and the stream ends."""
    broken = [line for line in reply.body.split(b"\n") if line.startswith(b"data: {") and not line.endswith(b"}")]
    return len(broken) == 1 and b"[DONE]" in reply.body


def has_odd_framing(reply: HttpResponse) -> bool:
    """Return whether a reply has all the oddities at once."""
    bom, ping = reply.body.startswith(b"\xef\xbb\xbf:"), b"event: ping\r\n\r\n" in reply.body
    return bom and ping and b"id: 3\r\ndata:{" in reply.body and b"\n\n" not in reply.body


FAULTS_ON_THE_WIRE: Mapping[str, Callable[[HttpResponse], bool]] = {
    "unauthorized": partial(has_error, status=401, code="invalid_api_key"),
    "unknown-model": partial(has_error, status=404, code="model_not_found"),
    "rate-limited": partial(has_error, status=429, code="rate_limit_exceeded", retry_after="2"),
    "rate-limited-ms": partial(has_error, status=429, code="rate_limit_exceeded", retry_after_ms="300"),
    "rate-limited-date": has_future_retry_date,
    "no-balance": partial(has_error, status=429, code="insufficient_quota"),
    "server-error": partial(has_error, status=500, code="internal_error"),
    "bad-gateway": partial(has_page, status=502),
    "redirect": lambda reply: (reply.status, reply.headers["location"]) == (301, "/moved/v1/chat/completions"),
    "html": partial(has_page, status=200),
    "empty": lambda reply: (reply.status, reply.body) == (200, b""),
    "error-with-200": lambda reply: reply.status == 200 and "message" in reply.error,
    "not-streamed": lambda reply: json.loads(reply.body)["object"] == "chat.completion",
    "cut-mid-chunk": is_cut_in_a_chunk,
    "reset": is_cut_in_a_chunk,
    "cut-clean": lambda reply: reply.complete and len(reply.events) == 4 and not finish_reasons(reply),
    "no-done": lambda reply: reply.complete and finish_reasons(reply) == ["stop"] and b"[DONE]" not in reply.body,
    "no-usage": lambda reply: b"[DONE]" in reply.body and b'"usage"' not in reply.body,
    "filtered": lambda reply: finish_reasons(reply) == ["content_filter"] and len(deltas(reply, "content")) == 3,
    "error-first": lambda reply: reply.status == 200 and ["error" in event for event in reply.events] == [True],
    "error-middle": lambda reply: ["error" in event for event in reply.events] == [False] * 4 + [True],
    "broken-json": has_broken_json,
    "invalid-utf8": lambda reply: reply.body.count(b"\xff") == 1 and b"[DONE]" in reply.body,
    "odd-framing": has_odd_framing,
    "burst": lambda reply: len(set(timestamps(reply))) == 1 and len(timestamps(reply)) == 6,
}
OTHER_FAULTS = {
    *("flaky", "no-stream-options", "slow-headers", "stall-first", "stall-middle", "comments-forever", "lingers"),
    *("calls-cut", "calls-unnumbered"),
}


def test_every_fault_is_tested_on_the_wire() -> None:
    """Every row of the table has a test of its effect on the wire."""
    assert {*FAULTS_ON_THE_WIRE, *OTHER_FAULTS} == set(FAULTS)


@pytest.mark.parametrize("name", FAULTS_ON_THE_WIRE)
def test_a_fault_does_on_the_wire_what_its_description_says(base_url: str, name: str) -> None:
    """One request gets one faulty response."""
    reply = reply_before_reset(base_url) if name == "reset" else send_to_fault(base_url, name)
    assert FAULTS_ON_THE_WIRE[name](reply), reply


def reply_before_reset(base_url: str) -> HttpResponse:
    """Return the bytes before the connection is reset, and check that it is."""
    pieces: list[bytes] = []
    with connect(base_url) as connection:
        connection.sendall(post(chat_body(f"sim/fault-reset?{FAST_PACE}", stream=True)))
        with pytest.raises(ConnectionResetError):
            pieces.extend(iter(lambda: connection.recv(65536), b""))
    return parse_response(b"".join(pieces))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_answers_a_request_without_a_stream(base_url: str, name: str) -> None:
    """Faults of the stream do not change other responses; faults of the status do."""
    reply = send_chat(base_url, f"sim/fault-{name}?hold_ms=1&{FAST_PACE}")
    assert reply.complete
    assert reply.status != 200 or name in {"html", "empty"} or json.loads(reply.body)


def test_flaky_counts_by_content(base_url: str) -> None:
    """Each content fails as often as the model's name says, then succeeds; other content is counted separately."""
    options = f"times=2&{FAST_PACE}"
    for seed in (1, 2):
        assert [send_to_fault(base_url, "flaky", options, seed=seed).status for _ in range(4)] == [503, 503, 200, 200]


def test_stream_options_are_refused_by_name(base_url: str) -> None:
    """400 names the parameter; the same request without it is answered."""
    refused = send_to_fault(base_url, "no-stream-options")
    assert (refused.status, refused.error["param"]) == (400, "stream_options")
    assert send_to_fault(base_url, "no-stream-options", stream_options=None).status == 200


@pytest.mark.parametrize(
    ("name", "sent_before"),
    [("slow-headers", b""), ("stall-first", b"\r\n\r\n"), ("stall-middle", b" three"), ("lingers", b"[DONE]")],
)
def test_a_delayed_stream_continues_after_its_delay(base_url: str, name: str, sent_before: bytes) -> None:
    """The part before the delay is sent before it, the rest after it."""
    with connect(base_url) as connection:
        connection.sendall(
            post(chat_body(f"sim/fault-{name}?hold_ms=400&{FAST_PACE}", stream=True), "connection: close")
        )
        before = b""
        while sent_before not in before:
            before += connection.recv(65536)
        whole = parse_response(before + read_all(connection))
    cut = len(before.split(b'"content":" '))
    assert {"slow-headers": 1, "stall-first": 1, "stall-middle": 4, "lingers": 7}[name] == cut
    assert whole.complete
    assert len(timestamps(whole)) == 6


@pytest.mark.parametrize(("name", "silent"), [("stall-first", True), ("stall-middle", False)])
def test_a_stall_without_end_outlasts_any_client(base_url: str, name: str, *, silent: bool) -> None:
    """Without `hold_ms` no more bytes come, and the connection stays open."""
    with connect(base_url) as connection:
        connection.sendall(post(chat_body(f"sim/fault-{name}?{FAST_PACE}", stream=True)))
        connection.settimeout(0.3)
        pieces: list[bytes] = []
        with pytest.raises(TimeoutError):
            pieces.extend(iter(lambda: connection.recv(65536), b""))
    received = b"".join(pieces)
    assert received.startswith(b"HTTP/1.1 200")
    assert (b"data:" not in received) == silent


def test_comments_forever_sends_only_comments(base_url: str) -> None:
    """One comment follows another."""
    with connect(base_url) as connection:
        connection.sendall(post(chat_body("sim/fault-comments-forever", stream=True)))
        received = b""
        while received.count(b": keep-alive\n\n") < 3:
            received += connection.recv(65536)
    assert b"data:" not in received


def test_a_server_fault_applies_to_every_model() -> None:
    """`--fault` is injected into the answers of every persona."""
    with launch_sync(fault="unauthorized") as url:
        assert send_chat(url, "quick").status == 401


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_invalid_bytes_do_not_affect_the_next_client(base_url: str, data: bytes) -> None:
    """After any bytes and a closed connection, the server answers the next client."""
    with connect(base_url) as client:
        client.sendall(data)
    assert send(base_url, http("GET", "/v1/models", b"", "connection: close")).status == 200


def test_the_documentation_lists_every_fault_and_model() -> None:
    """docs/simulator.md has a row for each, with the same description."""
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert all(f"| `{fault.name}` | {fault.description} |" in page for fault in FAULTS.values())
    assert all(
        f"| `sim/{persona.name}` | {persona.first.median_ns // MS} ms |" in page for persona in PERSONAS.values()
    )

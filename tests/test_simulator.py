import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runner.simulator
from runner.errors import CompareError
from runner.simulator import process
from runner.simulator.alarm import Alarm, LoopAlarm, make_alarm
from runner.simulator.answer import answer
from runner.simulator.chat import ChatRequest, Said, parse_chat
from runner.simulator.faults import FAULTS
from runner.simulator.model import Model, model_ids, parse_model
from runner.simulator.persona import MS, PERSONAS
from runner.simulator.process import launch, launch_sync
from runner.simulator.refusal import Refusal
from runner.simulator.request import BODY_BYTES_MAX, HEAD_BYTES_MAX, Request, RequestReader
from runner.simulator.server import run
from runner.simulator.service import LOG_ENTRIES_MAX, Service
from runner.simulator.tokens import tokenize

PATIENCE_S = 20.0
HOME = str(Path(runner.simulator.__path__[0]).parents[1])


@dataclass(frozen=True)
class Reply:
    """A raw HTTP response, chunked coding undone."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool

    @property
    def events(self) -> list[dict[str, object]]:
        """The JSON of each data line."""
        lines = self.body.split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]

    @property
    def error(self) -> dict[str, object]:
        """The error object of an error response."""
        error = json.loads(self.body)["error"]
        assert isinstance(error, dict)
        return error


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with launch_sync() as url:
        yield url


@pytest.fixture
def wire(base_url: str) -> Iterator[socket.socket]:
    with connect(base_url) as connection:
        yield connection


def connect(base_url: str) -> socket.socket:
    host, _, port = base_url.removeprefix("http://").removesuffix("/v1").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def http(method: str, path: str, body: bytes = b"", *headers: str, version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "host: simulator", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chat_body(model: str = "sim/exact?ttft_ms=1&gap_ms=1&tokens=4", **fields: object) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello?"}], **fields}).encode()


def post(body: bytes, *headers: str, version: str = "1.1") -> bytes:
    return http("POST", "/v1/chat/completions", body, *headers, version=version)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def parse_reply(raw: bytes) -> Reply:
    head, _, rest = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") != "chunked":
        return Reply(int(status_line.split()[1]), headers, rest, complete=True)
    body, complete = unchunk(rest)
    return Reply(int(status_line.split()[1]), headers, body, complete)


def unchunk(raw: bytes) -> tuple[bytes, bool]:
    """Undo chunked coding; tell whether its end was there."""
    body = b""
    while b"\r\n" in raw:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body, raw == b"\r\n"
        body, raw = body + raw[:length], raw[length + 2 :]
    return body, False


def ask(base_url: str, request: bytes) -> Reply:
    """Send one request on a connection of its own; the request must end the connection."""
    with connect(base_url) as connection:
        connection.sendall(request)
        return parse_reply(read_all(connection))


def ask_chat(base_url: str, model: str = "sim/exact?ttft_ms=1&gap_ms=1&tokens=4", **fields: object) -> Reply:
    return ask(base_url, post(chat_body(model, **fields), "connection: close"))


def said(*texts: str) -> tuple[Said, ...]:
    """Lay texts out as a conversation that ends with the user."""
    roles = ("user", "assistant")
    return tuple(Said(roles[index % 2], text) for index, text in enumerate(texts))


def reply_text(*texts: str, persona: str = "quick", seed: int | None = None) -> str:
    return answer(PERSONAS[persona], ChatRequest(model=persona, messages=said(*texts), seed=seed)).text


def deltas(reply: Reply, field: str) -> list[str]:
    """Return the text of all chunks on one channel."""
    return [
        choice["delta"][field]
        for event in reply.events
        for choice in event["choices"]  # type: ignore[attr-defined]
        if choice["delta"].get(field)
    ]


def stamps(reply: Reply) -> list[int]:
    """Return `sent_ns` of the chunks that carry text."""
    return [
        int(str(event["sent_ns"]))
        for event in reply.events
        if event["choices"] and event["choices"][0]["delta"].get("content")  # type: ignore[index]
    ]


# The protocol, as raw bytes.


def test_a_stream_is_told_in_events_that_end_with_done(base_url: str) -> None:
    """A streamed completion names its role, brings its text, a finish_reason, its usage and [DONE]."""
    reply = ask_chat(base_url, stream=True, stream_options={"include_usage": True})

    assert (reply.status, reply.complete) == (200, True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    role, *_, finish, usage = reply.events
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}  # type: ignore[index]
    assert deltas(reply, "content") == [" one", " two", " three", " four"]
    assert finish["choices"][0]["finish_reason"] == "stop"  # type: ignore[index]
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 4)  # type: ignore[index]
    assert reply.body.endswith(b"\n\ndata: [DONE]\n\n")


def test_usage_comes_only_when_asked_for(base_url: str) -> None:
    """Without include_usage no event speaks of usage."""
    assert all("usage" not in event for event in ask_chat(base_url, stream=True).events)


def test_a_whole_completion_is_one_json_document(base_url: str) -> None:
    """Without `stream` the same text comes at once, with usage."""
    reply = ask_chat(base_url)
    document = json.loads(reply.body)

    assert reply.headers["content-length"] == str(len(reply.body))
    assert document["choices"][0]["message"] == {"role": "assistant", "content": " one two three four"}
    assert document["usage"]["total_tokens"] == document["usage"]["prompt_tokens"] + 4


@pytest.mark.parametrize("stream", [True, False])
def test_everything_says_that_it_is_simulated(base_url: str, *, stream: bool) -> None:
    """Header, fingerprint and model id name the simulation."""
    reply = ask_chat(base_url, "quick", stream=stream)
    documents = reply.events if stream else [json.loads(reply.body)]

    assert reply.headers["x-simulated"] == "true"
    assert {document["system_fingerprint"] for document in documents} == {"simulated"}
    assert {document["model"] for document in documents} == {"sim/quick"}


def test_a_connection_serves_one_request_after_the_other(wire: socket.socket) -> None:
    """Pipelined requests are answered in order on one kept connection; `connection: close` ends it."""
    wire.sendall(
        post(chat_body(stream=True)) + http("GET", "/v1/models") + http("GET", "/log", b"", "connection: close")
    )
    raw = read_all(wire)

    assert raw.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert raw.index(b"[DONE]") < raw.index(b'"owned_by"') < raw.index(b'"received_ns"')


def test_an_old_client_is_read_to_the_end_of_the_connection(base_url: str) -> None:
    """HTTP/1.0 gets no chunked coding."""
    reply = ask(base_url, post(chat_body(stream=True), version="1.0"))

    assert "transfer-encoding" not in reply.headers
    assert reply.body.startswith(b"data: {")
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a_client_that_waits_is_told_to_continue(wire: socket.socket) -> None:
    """`Expect: 100-continue` is answered once, before the body is sent."""
    body = chat_body()
    request = post(body, "expect: 100-continue", "connection: close")
    wire.sendall(request.removesuffix(body))
    assert wire.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(body)
    assert parse_reply(read_all(wire)).status == 200


def test_head_gets_no_body(base_url: str) -> None:
    """A HEAD request is answered with a head alone."""
    reply = ask(base_url, http("HEAD", "/v1/models", b"", "connection: close"))
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
        (post(chat_body(stream_options={}), "connection: close"), 400, "stream_options", "only allowed when"),
        (post(chat_body("sim/qiuck"), "connection: close"), 404, "model", "Did you mean 'sim/quick'?"),
        (post(chat_body("nobody/knows"), "connection: close"), 404, "model", "does not exist"),
        (b"hello\r\n\r\n", 400, None, "request line"),
        (http("GET", "/", b"", f"x: {'y' * HEAD_BYTES_MAX}"), 431, None, "exceeds"),
        (http("GET", "/").replace(b"length: 0", b"length: %d" % (BODY_BYTES_MAX + 1)), 413, None, "exceeds"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    base_url: str, request_bytes: bytes, status: int, param: str | None, words: str
) -> None:
    """Errors have OpenAI's shape, the fitting status, and name the parameter at fault."""
    reply = ask(base_url, request_bytes)

    assert (reply.status, reply.error["param"]) == (status, param)
    assert words in str(reply.error["message"])


def test_a_wrong_method_is_told_the_right_one(base_url: str) -> None:
    """405 carries Allow."""
    assert ask(base_url, http("GET", "/v1/chat/completions", b"", "connection: close")).headers["allow"] == "POST"


# The official client.


def talk(base_url: str, use: Callable[[openai.AsyncOpenAI], object]) -> None:
    """Run a coroutine function with an official client."""

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
            await use(client)  # type: ignore[misc]

    anyio.run(main)


def test_the_official_client_hears_a_stream(base_url: str) -> None:
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

    talk(base_url, use)


def test_the_official_client_gets_completions_models_and_errors(base_url: str) -> None:
    """AsyncOpenAI reads a whole completion, the models, and maps errors to its own types."""

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

    talk(base_url, use)


# What is said.


def test_the_same_request_gets_the_same_answer_at_the_same_pace() -> None:
    """Words and delays are a function of persona, messages and seed; another seed has other delays."""
    chat = ChatRequest(model="steady", messages=said("Why is the sky blue?"), seed=1)
    answer_one = answer(PERSONAS["steady"], chat)
    process_answers = [_answer_in_another_process() for _ in range(2)]

    assert process_answers == [repr(answer_one.chunks)] * 2
    other_seed = ChatRequest(model="steady", messages=chat.messages, seed=2)
    assert answer(PERSONAS["steady"], other_seed).chunks != answer_one.chunks


def _answer_in_another_process() -> str:
    code = (
        "from runner.simulator.answer import *; from runner.simulator.persona import *;"
        "print(repr(answer(PERSONAS['steady'], ChatRequest(model='steady',"
        "messages=(Said('user', 'Why is the sky blue?'),), seed=1)).chunks))"
    )
    environment = {**os.environ, "PYTHONPATH": HOME, "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, encoding="utf-8", check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        (("My name is Ada.", "Hello Ada.", "What is my name?"), "Your name is Ada."),
        (("I'm Grace", "Hello.", "do you know my name?"), "Your name is Grace."),
        (("Hi", "Hello.", "What is my name?"), "not told me"),
        (("我叫小明。", "你好", "我叫什么名字？"), "你叫小明。"),
        (("Name a colour", "Red.", "What did I say before?"), "“Name a colour”"),
        (("Name a colour", "Red.", "What did you say?"), "“Red.”"),
        (("我最喜欢的颜色是绿色", "好的", "我最喜欢的颜色是什么？"), "“我最喜欢的颜色是绿色”"),
        (("天空为什么是蓝色的？", "因为散射。", "我刚才说了什么？"), "“天空为什么是蓝色的？”"),
        (("天空为什么是蓝色的？", "因为散射。", "你刚才说了什么？"), "“因为散射。”"),
        (("My favourite number is 7.", "Noted.", "What's my favourite number?"), "favourite number is 7"),
        (("what did I say before?",), "nothing before this"),
        (("我刚才说了什么？",), "什么也没有说过"),
    ],
)
def test_the_history_is_remembered(conversation: tuple[str, ...], words: str) -> None:
    """Asked what was said before, a persona answers from the messages it was sent, and only from them."""
    assert words in reply_text(*conversation)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who are you?", "“quick”, a simulated persona"),
        ("你是谁？", "“quick”，compare 内置的模拟角色"),
        ("你好", "你好！"),
        ("Hello!", "Hello!"),
        ("thank you", "You are welcome!"),
        ("What is 17 * 23?", "17 * 23 = 391"),
        ("7除以2等于几？", "= 3.5"),
        ("1 / 0", "undefined"),
        ("What is the capital of France?", "Paris"),
        ("法国的首都是哪里？", "巴黎"),
        ('Reply with exactly "OK".', "OK"),
        ("Why is the sky blue?", "“Why is the sky blue?”"),
        ("为什么天空是蓝色的？", "模拟角色“quick”"),
        ("", "simulated"),
    ],
)
def test_a_reply_fits_its_question(question: str, words: str) -> None:
    """Simple questions are answered, others echoed with the admission that nobody thought about them."""
    assert words in reply_text(question)


def test_a_thinker_thinks_before_it_answers(base_url: str) -> None:
    """Reasoning comes first, on its own channel; `thinking: disabled` leaves it out."""
    aloud = ask_chat(base_url, "sim/thinker", stream=True)
    silent = ask_chat(base_url, "sim/thinker", stream=True, thinking={"type": "disabled"})
    keys = [key for event in aloud.events for key in event["choices"][0]["delta"]]  # type: ignore[index]

    assert keys[2:].index("content") == keys.count("reasoning_content")
    assert "".join(deltas(aloud, "content")) == "".join(deltas(silent, "content"))
    assert deltas(silent, "reasoning_content") == []


def test_max_tokens_and_stop_end_an_answer_early(base_url: str) -> None:
    """The budget is kept and named as the reason; a stop word and what follows is left out."""
    short = json.loads(ask_chat(base_url, "quick", max_tokens=3).body)
    stopped = json.loads(ask_chat(base_url, "quick", stop="simulated").body)

    assert (short["choices"][0]["finish_reason"], short["usage"]["completion_tokens"]) == ("length", 3)
    assert stopped["choices"][0]["finish_reason"] == "stop"
    assert stopped["choices"][0]["message"]["content"] != ""
    assert "simulated" not in stopped["choices"][0]["message"]["content"]


def test_a_lone_surrogate_does_no_harm(base_url: str) -> None:
    """What JSON can spell and UTF-8 cannot is replaced."""
    body = chat_body("quick").replace(b"Hello?", b"\\ud800 what?")
    assert ask(base_url, post(body, "connection: close")).status == 200


messages_of_any_kind = st.lists(
    st.builds(Said, st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1, max_size=5
).map(tuple)


@given(
    persona=st.sampled_from(list(PERSONAS.values())),
    messages=messages_of_any_kind,
    max_tokens=st.none() | st.integers(1, 50),
    stop=st.lists(st.text(min_size=1), max_size=2).map(tuple),
)
@settings(max_examples=60, deadline=None)
def test_any_conversation_gets_a_consistent_answer(
    persona: runner.simulator.persona.Persona, messages: tuple[Said, ...], max_tokens: int | None, stop: tuple[str, ...]
) -> None:
    """Chunks come in order and add up to the text; the counts keep to the budget."""
    spoken = answer(persona, ChatRequest("m", messages, max_tokens=max_tokens, stop=stop))
    parts = [json.loads(chunk.delta) for chunk in spoken.chunks]
    dues = [chunk.due_ns for chunk in spoken.chunks]

    assert dues == sorted(dues)
    assert "".join(part.get("content", "") for part in parts) == spoken.text
    assert "".join(part.get("reasoning_content", "") for part in parts) == spoken.reasoning
    assert max_tokens is None or spoken.output_tokens <= max_tokens
    assert (spoken.finish_reason == "length") <= (spoken.output_tokens == max_tokens)


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    """No character is lost between tokens."""
    assert "".join(tokenize(text)) == text


# The names of models.


@given(ttft=st.integers(0, 10**6), gap=st.integers(0, 10**6), tokens=st.integers(1, 999), chunk=st.integers(1, 9))
def test_an_exact_model_keeps_exactly_the_timetable_in_its_name(ttft: int, gap: int, tokens: int, chunk: int) -> None:
    """Chunk i is due at ttft + i * gap: multiples, so that nothing can drift."""
    model = parse_model(f"sim/exact?ttft_ms={ttft}&gap_ms={gap}&tokens={tokens}&chunk={chunk}")
    spoken = answer(model.persona, ChatRequest(model.name, said("?")))

    assert spoken.output_tokens == tokens
    assert [c.due_ns for c in spoken.chunks] == [(ttft + i * gap) * MS for i in range(-(-tokens // chunk))]


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("sim/exact?", 400, "'' is not one of ttft_ms="),
        ("sim/exact?speed=1", 400, "'speed=1' is not one of"),
        ("sim/exact?tokens", 400, "'tokens' is not one of"),
        ("sim/exact?tokens=0", 400, "from 1 to 100000"),
        ("sim/exact?tokens=1&tokens=2", 400, "given twice"),
        ("sim/exact?tokens=١", 400, "whole number"),
        ("sim/exact?gap_ms=-1", 400, "number of milliseconds"),
        ("sim/exact?gap_ms=nan", 400, "number of milliseconds"),
        ("sim/exact?ttft_ms=3600001", 400, "up to 3600000"),
        ("sim/exact?hold_ms=1", 400, "not one of"),
        ("sim/quick?gap_ms=1", 400, "takes no options"),
        ("sim/fault-nothing", 404, "does not exist"),
        ("sim/fault-htlm", 404, "Did you mean 'sim/fault-html'?"),
        ("sim/sim/quick", 404, "does not exist"),
        ("", 404, "does not exist"),
    ],
)
def test_a_wrong_model_name_is_refused_in_a_clear_sentence(name: str, status: int, words: str) -> None:
    """404 for what does not exist, 400 for an option that does not fit."""
    with pytest.raises(Refusal, match=".") as refused:
        parse_model(name)
    assert (refused.value.status, words in refused.value.message) == (status, True), refused.value.message


@given(st.text() | st.builds("sim/{}?{}={}".format, st.sampled_from(["exact", "fault-flaky"]), st.text(), st.text()))
def test_any_model_name_is_read_or_refused(name: str) -> None:
    """The parser of names raises nothing but `Refusal`."""
    try:
        assert isinstance(parse_model(name), Model)
    except Refusal as refusal:
        assert refusal.status in (400, 404)


# Requests out of bytes.


def read_requests(pieces: list[bytes]) -> list[Request]:
    """Feed bytes piece by piece and take out every request as soon as it is whole."""
    reader, requests = RequestReader(), []
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.next_request()) is not None:
            requests.append(request)
    return requests


THREE_REQUESTS = (
    b"\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nx-twice: \t2 \r\nContent-Length: 3\r\n\r\nabc"
    b"POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;why=not\r\nabc\r\n1\r\nd\r\n0\r\ntrailer: t\r\n\r\n"
    b"GET /d HTTP/1.0\r\n\r\n"
)


@given(st.lists(st.integers(0, len(THREE_REQUESTS))))
def test_requests_do_not_depend_on_how_the_bytes_are_cut(cuts: list[int]) -> None:
    """Whole, byte by byte and at any cuts, the same three requests come out."""
    edges = [0, *sorted(cuts), len(THREE_REQUESTS)]
    pieces = [THREE_REQUESTS[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    first, second, third = read_requests(pieces)

    assert (first.method, first.path, first.headers["x-twice"], first.body) == ("POST", "/a", "1, 2", b"abc")
    assert (second.body, second.keep_alive, third.keep_alive, third.chunked_allowed) == (b"abcd", True, False, False)
    assert read_requests([bytes([byte]) for byte in THREE_REQUESTS]) == [first, second, third]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nspace : before\r\n\r\n",
        b"GET / HTTP/1.1\r\nfolded: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nbare: a\nb\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(request_bytes: bytes) -> None:
    """Ambiguous framing and malformed lines are never guessed at."""
    with pytest.raises(Refusal) as refused:
        read_requests([request_bytes])
    assert refused.value.status in (400, 413)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"\r\n\r\n", THREE_REQUESTS[:70]]), max_size=8))
def test_arbitrary_bytes_never_crash_the_reader(pieces: list[bytes]) -> None:
    """Any bytes are requests, too few, or refused."""
    try:
        read_requests(pieces)
    except Refusal as refusal:
        assert refusal.status in (400, 413, 431)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PARAMS = ["model", "messages", "stream", "stream_options", "n", "stop", "seed", "max_tokens", "thinking", "role"]


@given(st.binary() | st.dictionaries(st.sampled_from(PARAMS), json_values).map(json.dumps).map(str.encode))
def test_arbitrary_bodies_are_read_or_refused(body: bytes) -> None:
    """The parser of bodies raises nothing but `Refusal`."""
    try:
        assert parse_chat(body).messages
    except Refusal as refusal:
        assert refusal.status == 400


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_client_that_sends_rubbish_harms_nobody(base_url: str, rubbish: bytes) -> None:
    """After any bytes and a rude farewell, the server answers the next client."""
    with connect(base_url) as rude:
        rude.sendall(rubbish)
    assert ask(base_url, http("GET", "/v1/models", b"", "connection: close")).status == 200


# The clock.


def test_no_token_is_early_and_stamps_never_go_back(base_url: str) -> None:
    """Every token's stamp is at or after its moment, counted from the request and not from the last token."""
    reply = ask_chat(base_url, "sim/exact?ttft_ms=30&gap_ms=3&tokens=60", stream=True)
    received_ns, sent_ns = int(reply.headers["x-received-ns"]), stamps(reply)

    assert sent_ns == sorted(sent_ns)
    assert len(sent_ns) == 60
    assert all(sent >= received_ns + (30 + 3 * index) * MS for index, sent in enumerate(sent_ns))


def test_the_stamps_are_on_the_clock_of_this_process(base_url: str) -> None:
    """On one machine, the server's stamps lie between our own before and after."""
    before_ns = time.perf_counter_ns()
    reply = ask_chat(base_url, stream=True)
    received_ns = int(reply.headers["x-received-ns"])
    assert before_ns <= received_ns <= stamps(reply)[0] <= time.perf_counter_ns()


@pytest.mark.parametrize("make", [make_alarm, LoopAlarm])
def test_an_alarm_rings_in_order_and_never_early(make: Callable[[object], Alarm]) -> None:
    """Every callback comes once, at or after its moment, whatever the order of setting."""

    async def main() -> list[tuple[int, int]]:
        alarm, rung = make(asyncio.get_running_loop()), list[tuple[int, int]]()
        start_ns = time.perf_counter_ns()
        dues = [start_ns + offset * 300_000 for offset in random.Random(5).sample(range(-3, 60), 63)]
        for due_ns in dues:
            alarm.set(due_ns, lambda due_ns=due_ns: rung.append((due_ns, time.perf_counter_ns())))  # type: ignore[misc]
        with anyio.fail_after(PATIENCE_S):
            while len(rung) < len(dues):
                await anyio.sleep(0.01)
        return rung

    rung = anyio.run(main)
    assert all(rung_ns >= due_ns for due_ns, rung_ns in rung)
    future = [due_ns for due_ns, _ in rung][4:]
    assert len({due_ns for due_ns, _ in rung}) == 63
    if make is make_alarm:
        assert future == sorted(future)


def test_a_slow_reader_gets_everything(wire: socket.socket) -> None:
    """A stream faster than its reader is held back and lost nowhere."""
    model = "sim/exact?ttft_ms=0&gap_ms=0&tokens=30000"
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.sendall(post(chat_body(model, stream=True), "connection: close"))
    time.sleep(0.1)
    reply = parse_reply(read_all(wire))

    assert reply.complete
    assert len(deltas(reply, "content")) == 30_000


# The log.


def read_log(base_url: str) -> list[dict[str, object]]:
    log = json.loads(ask(base_url, http("GET", "/log", b"", "connection: close")).body)
    assert isinstance(log, list)
    return log


def test_the_log_knows_how_many_were_under_way() -> None:
    """Each chat request is logged with its model and how many were in flight with it, itself included."""
    with launch_sync() as url:
        connections = [connect(url) for _ in range(3)]
        model = "sim/exact?ttft_ms=60000"
        for count, connection in enumerate(connections, 1):
            connection.sendall(post(chat_body(model, stream=True)))
            assert connection.recv(9) == b"HTTP/1.1 "
            assert read_log(url)[-1]["in_flight"] == count
        for connection in connections:
            connection.close()
        await_true(lambda: (ask_chat(url), read_log(url)[-1]["in_flight"] == 1)[1])
        assert [entry["model"] for entry in read_log(url)[:3]] == [model] * 3


def await_true(true: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail when patience ends."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_the_log_is_bounded() -> None:
    """A long-lived server forgets the oldest entries."""
    service = Service()
    request = Request("POST", "/v1/chat/completions", {}, chat_body("nobody"), keep_alive=True, chunked_allowed=True)
    for received_ns in range(LOG_ENTRIES_MAX + 10):
        service.respond(request, received_ns)
    log = service.respond(Request("GET", "/log", {}, b"", keep_alive=True, chunked_allowed=True), 0)
    entries = json.loads(next(iter(log.steps)).head)
    assert (len(entries), entries[0]["received_ns"]) == (LOG_ENTRIES_MAX, 10)


# Faults.

QUICKLY = "ttft_ms=1&gap_ms=1&tokens=6"


def ask_fault(base_url: str, name: str, options: str = QUICKLY, **fields: object) -> Reply:
    fields = {"stream": True, "stream_options": {"include_usage": True}, **fields}
    return ask_chat(base_url, f"sim/fault-{name}?{options}", **fields)


def finish_reasons(reply: Reply) -> list[object]:
    return [
        event["choices"][0]["finish_reason"]  # type: ignore[index]
        for event in reply.events
        if event["choices"] and event["choices"][0]["finish_reason"]  # type: ignore[index]
    ]


def has_error(reply: Reply, status: int, code: str, **headers: str) -> bool:
    sent = {name: reply.headers.get(name.replace("_", "-")) for name in headers}
    return (reply.status, reply.error["code"], sent) == (status, code, headers)


def has_page(reply: Reply, status: int) -> bool:
    return reply.status == status and reply.headers["content-type"].startswith("text/html") and b"<html" in reply.body


def names_a_coming_date(reply: Reply) -> bool:
    date = time.strptime(reply.headers["retry-after"], "%a, %d %b %Y %H:%M:%S GMT")
    return reply.status == 429 and len(date) == 9


def is_broken_off(reply: Reply) -> bool:
    return not reply.complete and reply.body.count(b"}\n\n") == 4 and not reply.body.endswith(b"}\n\n")


def breaks_json(reply: Reply) -> bool:
    broken = [line for line in reply.body.split(b"\n") if line.startswith(b"data: {") and not line.endswith(b"}")]
    return len(broken) == 1 and b"[DONE]" in reply.body


def is_odd(reply: Reply) -> bool:
    bom, ping = reply.body.startswith(b"\xef\xbb\xbf:"), b"event: ping\r\n\r\n" in reply.body
    return bom and ping and b"id: 3\r\ndata:{" in reply.body and b"\n\n" not in reply.body


FAULTS_ON_THE_WIRE: Mapping[str, Callable[[Reply], bool]] = {
    "unauthorized": partial(has_error, status=401, code="invalid_api_key"),
    "unknown-model": partial(has_error, status=404, code="model_not_found"),
    "rate-limited": partial(has_error, status=429, code="rate_limit_exceeded", retry_after="2"),
    "rate-limited-ms": partial(has_error, status=429, code="rate_limit_exceeded", retry_after_ms="300"),
    "rate-limited-date": names_a_coming_date,
    "no-balance": partial(has_error, status=429, code="insufficient_quota"),
    "server-error": partial(has_error, status=500, code="internal_error"),
    "bad-gateway": partial(has_page, status=502),
    "redirect": lambda reply: (reply.status, reply.headers["location"]) == (301, "/moved/v1/chat/completions"),
    "html": partial(has_page, status=200),
    "empty": lambda reply: (reply.status, reply.body) == (200, b""),
    "error-with-200": lambda reply: reply.status == 200 and "message" in reply.error,
    "not-streamed": lambda reply: json.loads(reply.body)["object"] == "chat.completion",
    "cut-mid-chunk": is_broken_off,
    "reset": is_broken_off,
    "cut-clean": lambda reply: reply.complete and len(reply.events) == 4 and not finish_reasons(reply),
    "no-done": lambda reply: reply.complete and finish_reasons(reply) == ["stop"] and b"[DONE]" not in reply.body,
    "no-usage": lambda reply: b"[DONE]" in reply.body and b'"usage"' not in reply.body,
    "filtered": lambda reply: finish_reasons(reply) == ["content_filter"] and len(deltas(reply, "content")) == 3,
    "error-first": lambda reply: reply.status == 200 and ["error" in event for event in reply.events] == [True],
    "error-middle": lambda reply: ["error" in event for event in reply.events] == [False] * 4 + [True],
    "broken-json": breaks_json,
    "invalid-utf8": lambda reply: reply.body.count(b"\xff") == 1 and b"[DONE]" in reply.body,
    "odd-framing": is_odd,
    "burst": lambda reply: len(set(stamps(reply))) == 1 and len(stamps(reply)) == 6,
}
FAULTS_TESTED_APART = {
    "flaky", "no-stream-options", "slow-headers", "stall-first", "stall-middle", "comments-forever", "lingers"
}  # fmt: skip


def test_no_fault_is_untested() -> None:
    """Every row of the table has a test of what it does on the wire."""
    assert {*FAULTS_ON_THE_WIRE, *FAULTS_TESTED_APART} == set(FAULTS)


@pytest.mark.parametrize("name", FAULTS_ON_THE_WIRE)
def test_a_fault_does_on_the_wire_what_it_says(base_url: str, name: str) -> None:
    """One request, one spoiled response; and a request without a stream never hangs."""
    if name == "reset":
        reply = reply_before_reset(base_url)
    else:
        reply = ask_fault(base_url, name)
    assert FAULTS_ON_THE_WIRE[name](reply), reply


def reply_before_reset(base_url: str) -> Reply:
    """Read what there is until the connection is reset, and be sure that it is."""
    received = b""
    with connect(base_url) as connection:
        connection.sendall(post(chat_body(f"sim/fault-reset?{QUICKLY}", stream=True)))
        with pytest.raises(ConnectionResetError):
            while True:
                received += connection.recv(65536) or pytest.fail("closed, not reset")
    return parse_reply(received)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_answers_a_request_without_a_stream(base_url: str, name: str) -> None:
    """Faults of the stream leave others in peace; faults of the status meet them too."""
    reply = ask_chat(base_url, f"sim/fault-{name}?hold_ms=1&{QUICKLY}")
    assert reply.complete
    assert reply.status != 200 or name in {"html", "empty"} or json.loads(reply.body)


def test_flaky_counts_by_content(base_url: str) -> None:
    """The same content fails as often as its name says, then succeeds; other content starts anew."""
    options = f"times=2&{QUICKLY}"
    for seed in (1, 2):
        assert [ask_fault(base_url, "flaky", options, seed=seed).status for _ in range(4)] == [503, 503, 200, 200]


def test_stream_options_are_refused_by_name(base_url: str) -> None:
    """400 naming the parameter; the same request without it is answered."""
    refused = ask_fault(base_url, "no-stream-options")
    assert (refused.status, refused.error["param"]) == (400, "stream_options")
    assert ask_fault(base_url, "no-stream-options", stream_options=None).status == 200


@pytest.mark.parametrize(
    ("name", "told_before"),
    [("slow-headers", b""), ("stall-first", b"\r\n\r\n"), ("stall-middle", b" three"), ("lingers", b"[DONE]")],
)
def test_a_held_back_stream_goes_on_after_its_time(base_url: str, name: str, told_before: bytes) -> None:
    """What precedes the pause is sent before it; after it, all the rest is."""
    with connect(base_url) as connection:
        connection.sendall(post(chat_body(f"sim/fault-{name}?hold_ms=400&{QUICKLY}", stream=True), "connection: close"))
        before = b""
        while told_before not in before:
            before += connection.recv(65536)
        whole = parse_reply(before + read_all(connection))
    cut = len(before.split(b'"content":" '))
    assert {"slow-headers": 1, "stall-first": 1, "stall-middle": 4, "lingers": 7}[name] == cut
    assert whole.complete
    assert len(stamps(whole)) == 6


@pytest.mark.parametrize(("name", "silent"), [("stall-first", True), ("stall-middle", False)])
def test_a_stall_without_end_outlasts_any_client(base_url: str, name: str, *, silent: bool) -> None:
    """Without `hold_ms` nothing more comes, and the connection stays open."""
    with connect(base_url) as connection:
        connection.sendall(post(chat_body(f"sim/fault-{name}?{QUICKLY}", stream=True)))
        connection.settimeout(0.3)
        received = b""
        with pytest.raises(TimeoutError):
            while True:
                received += connection.recv(65536) or pytest.fail("closed")
    assert received.startswith(b"HTTP/1.1 200")
    assert (b"data:" not in received) == silent


def test_comments_keep_coming_and_nothing_else(base_url: str) -> None:
    """Comments only, one after the other."""
    with connect(base_url) as connection:
        connection.sendall(post(chat_body("sim/fault-comments-forever", stream=True)))
        received = b""
        while received.count(b": keep-alive\n\n") < 3:
            received += connection.recv(65536)
    assert b"data:" not in received


def test_a_fault_can_be_given_to_the_whole_server() -> None:
    """`--fault` spoils the answers of every persona."""
    with launch_sync(fault="unauthorized") as url:
        assert ask_chat(url, "quick").status == 401


# The process.


def is_listening(base_url: str) -> bool:
    try:
        connect(base_url).close()
    except ConnectionRefusedError:
        return False
    return True


def has_zombies() -> bool:
    """Tell whether a child of this process has ended and was not reaped."""
    if not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def count_children() -> int:
    """Count this process's children, where Linux tells."""
    return sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))


def test_the_child_ends_with_its_block() -> None:
    """After the `async with` block, an exception included, nobody listens and nothing is left to reap."""

    async def main() -> str:
        with pytest.raises(KeyError):
            async with launch() as url:
                assert is_listening(url)
                raise KeyError
        return url

    url = anyio.run(main)
    assert not is_listening(url)
    assert not has_zombies()


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.05])
def test_a_start_that_is_cancelled_leaves_no_child(delay_s: float) -> None:
    """A `launch` whose task is cancelled half-way still ends what it started."""

    async def launch_and_wait() -> None:
        async with launch():
            await asyncio.sleep(PATIENCE_S)

    async def main() -> None:
        task = asyncio.create_task(launch_and_wait())
        await asyncio.sleep(delay_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    children_before = count_children()
    asyncio.run(main())
    assert (count_children(), has_zombies()) == (children_before, False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_child_dies_with_a_killed_parent() -> None:
    """A parent killed without a chance to clean up takes its simulator with it."""
    code = (
        "import time; from runner.simulator.process import launch_sync\n"
        "with launch_sync() as url:\n    print(url, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": HOME}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert is_listening(url)
        parent.kill()
    await_true(lambda: not is_listening(url))


def test_a_failed_start_is_one_clear_sentence() -> None:
    """A port in use, a port that is none and an unknown fault are `CompareError`s that say what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        in_use = pytest.raises(
            CompareError, match=rf"did not start: Cannot listen on 127\.0\.0\.1:{port}: .*in use\. Choose"
        )
        with in_use, launch_sync(port=port):
            pytest.fail("started on a port in use")
    with pytest.raises(CompareError, match="between 0 and 65535"):
        run("127.0.0.1", 65536, on_ready=pytest.fail)
    with pytest.raises(CompareError, match="'nowhere.invalid' is not known"):
        run("nowhere.invalid", 0, on_ready=pytest.fail)
    with pytest.raises(CompareError, match="no fault 'htlm'. Did you mean 'html'"), launch_sync(fault="htlm"):
        pytest.fail("started with an unknown fault")


def test_a_child_that_never_gets_ready_is_given_up() -> None:
    """When patience ends, the child is ended and the error says so."""
    with pytest.raises(CompareError, match="nothing for 0 s"), launch_sync(start_limit_s=0):
        pytest.fail("started in no time")


def test_no_key_reaches_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's environment is a short list of names."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "secret")
    environment = process._environment()
    assert "secret" not in environment.values()
    assert set(environment) <= {*process.PASSED_ON, "PYTHONPATH", "PYTHONUTF8"}


def test_the_child_imports_nothing_heavy() -> None:
    """The server's process starts fast: none of the big libraries is loaded in it."""
    code = "import sys, runner.simulator.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    output = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": HOME}, capture_output=True, text=True, check=True
    ).stdout
    heavy = {"openai", "aiohttp", "httpx2", "pandas", "numpy", "pydantic", "rich", "anyio", "click", "yaml", "jinja2"}
    assert not heavy & set(output.split())


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_served_alone_it_says_how_to_use_it_and_ends_on_interrupt() -> None:
    """In the foreground: the base URL, a curl example, and exit code 0 on Ctrl-C."""
    command = [sys.executable, "-m", "runner.simulator", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": HOME}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        first, example = alone.stdout.readline(), alone.stdout.readline()
        assert is_listening(first.split()[3])
        assert example.startswith(f"curl -N {first.split()[3]}/chat/completions")
        alone.send_signal(signal.SIGINT)
        assert alone.wait(PATIENCE_S) == 0

"""Dialects: another API needs a builder and a decoder in two tables, and nothing else."""

from collections.abc import Mapping
from time import monotonic
from typing import Any, get_args

import pytest
from openai import AsyncOpenAI

from runner.core.events import Channel, Outcome
from runner.core.suite import Api, Parameters
from runner.engine.request_template_and_refused_fields import RequestTemplates
from runner.planning.request import Target
from runner.providers.body_fields import BodyBuilder, thinking_fields
from runner.providers.provider_row import ProviderRow
from runner.providers.request_body import BUILDERS, request_body
from runner.storage.recordings.recording_format import Label, decode_label, encode_label
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client
from runner.wire.dialects import DIALECTS, Dialect
from runner.wire.response_recording import decode_recording
from tests.support.client_requests import KEY, QUESTION, endpoint_at
from tests.support.echo_dialect import EchoDialect
from tests.support.scripted_server import ScriptedReply, http_chunk, http_head, serve

pytestmark = pytest.mark.anyio

ECHOED = b'data: {"say":"Hel"}\n\ndata: {"say":"lo"}\n\ndata: {"stop":1}\n\n'
ECHO: Any = "echo"
"""The name of an API that only these tests know."""


async def _send_echo(sdk: AsyncOpenAI, headers: Mapping[str, Any]) -> None:
    await sdk.post("/echo", cast_to=object, body={}, options={"headers": headers})


@pytest.fixture(autouse=True)
def echo_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a third API in both tables."""
    builder = BodyBuilder(lambda _, model, __: ({"model": model}, ()), lambda body, told: {**body, "input": told})
    dialect = Dialect(_send_echo, EchoDialect, auth="x-api-key", headers={"x-version": "1", "x-own": "no"})
    monkeypatch.setitem(BUILDERS, ECHO, builder)
    monkeypatch.setitem(DIALECTS, ECHO, dialect)


def test_both_tables_have_every_api() -> None:
    """A suite may name an API if, and only if, its requests can be built and its responses decoded."""
    assert {*get_args(Api), ECHO} == BUILDERS.keys() == DIALECTS.keys()


async def test_a_request_goes_to_the_path_of_its_api_with_its_headers_and_is_read_by_its_decoder() -> None:
    """One client sends in several dialects; the row's headers replace those of the dialect."""
    with serve(lambda _: ScriptedReply([(0, http_head(content_length=str(len(ECHOED))) + ECHOED)])) as server:
        client, attempts = Client(endpoint_at(server.url, headers={"X-Own": "yes"})), (Attempt(), Attempt())
        await client.ask(AttemptRequest("m-1", QUESTION, {}, api=ECHO), attempts[0])
        await client.ask(AttemptRequest("m-1", QUESTION, {}), attempts[1])
        await client.aclose()
    echoed, chat = server.requests
    assert (echoed.target, chat.target) == ("/v1/echo", "/v1/chat/completions")
    assert echoed.json == {"model": "m-1", "input": QUESTION}
    assert {name: echoed.headers.get(name) for name in ("x-api-key", "x-version", "x-own", "authorization")} == {
        "x-api-key": KEY,
        "x-version": "1",
        "x-own": "yes",
        "authorization": None,
    }
    assert chat.headers["authorization"] == f"Bearer {KEY}"
    assert not {"x-api-key", "x-version"} & chat.headers.keys()
    assert [attempt.fold.text(Channel.ANSWER) for attempt in attempts] == ["Hello", None]


async def test_a_row_says_which_header_carries_the_key_whatever_the_api() -> None:
    """`auth` of a row takes precedence over the header of the API."""
    with serve(lambda _: ScriptedReply([(0, http_head(content_length=str(len(ECHOED))) + ECHOED)])) as server:
        client = Client(endpoint_at(server.url, auth="bearer"))
        await client.ask(AttemptRequest("m-1", QUESTION, {}, api=ECHO), Attempt())
        await client.aclose()
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("row", "parameters", "api"),
    [
        (ProviderRow(), Parameters(), "chat_completions"),
        (ProviderRow(), Parameters(api=ECHO), ECHO),
        (ProviderRow.model_construct(api=ECHO), Parameters(), ECHO),
        (ProviderRow.model_construct(api=ECHO), Parameters(api="chat_completions"), "chat_completions"),
    ],
)
def test_a_target_names_its_api_or_has_that_of_the_row(row: ProviderRow, parameters: Parameters, api: Api) -> None:
    """A target's `api` takes precedence over that of its provider's row."""
    row = ProviderRow().model_copy(update={"api": row.api})
    assert RequestTemplates(row).for_target(Target("acme", "m", parameters)).api == api
    assert ("stream" in request_body(row, "m", parameters)[0]) == (api == "chat_completions")


def test_thinking_of_a_row_is_written_for_its_own_api() -> None:
    """A target of another API gets that API's own fields, or a note that there are none."""
    row = ProviderRow(thinking={"off": {"enable_thinking": False}})
    standard: Any = {"off": {"budget": 0}}
    assert thinking_fields(row, "m", "off", "chat_completions", standard) == ({"enable_thinking": False}, None)
    assert thinking_fields(row, "m", "off", ECHO, standard) == ({"budget": 0}, None)
    assert thinking_fields(row, "m", "high", ECHO, standard) == (
        {},
        "thinking: high is not known for m (known: off) and was not sent",
    )


def test_a_recording_is_decoded_in_the_dialect_that_it_names() -> None:
    """A label without a dialect, as in earlier recordings, means chat completions."""
    label = Label("k", 1, "acme", "m", "c", epoch_ns=0, sent_ns=1, status=200, headers_ns=2, closed_ns=9, api=ECHO)
    assert decode_recording(label, [(3, ECHOED)]).text(Channel.ANSWER) == "Hello"
    old = encode_label(label).replace(b',"api":"echo"', b"")
    assert decode_label(old).api == "chat_completions"


RESPONSES_DELTA = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"Hello"}\n\n'
LAST_EVENTS: list[tuple[Api, Outcome, list[bytes]]] = [
    *(
        (
            "responses",
            outcome,
            [
                RESPONSES_DELTA,
                b'data: {"type":"response.%s","response":{"status":"%s",' % (end, end),
                b'"output":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n',
            ],
        )
        for end, outcome in (
            (b"completed", Outcome.OK),
            (b"incomplete", Outcome.LENGTH),
            (b"failed", Outcome.PROVIDER_ERROR),
        )
    ),
    (
        "messages",
        Outcome.OK,
        [
            b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}\n\n',
            b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\ndata: {"type":',
            b'"message_stop"}\n\n',
        ],
    ),
]


@pytest.mark.parametrize(("api", "outcome", "pieces"), LAST_EVENTS)
async def test_reading_ends_at_the_last_event_of_a_dialect(api: Api, outcome: Outcome, pieces: list[bytes]) -> None:
    """A server that keeps the connection open delays nothing, even if its last event came in two reads."""
    first, *rest = [http_chunk(piece) for piece in pieces]
    head = http_head(content_type="text/event-stream", transfer_encoding="chunked")
    attempt = Attempt()
    with serve(ScriptedReply([(0, head + first), *((0.1, piece) for piece in rest)], linger_s=30)) as server:
        client, began_s = Client(endpoint_at(server.url)), monotonic()
        await client.ask(AttemptRequest("m-1", QUESTION, {}, api=api), attempt)
        took_s = monotonic() - began_s
        await client.aclose()
    assert (attempt.fold.outcome(), attempt.fold.text(Channel.ANSWER)) == (outcome, "Hello")
    assert took_s < 15

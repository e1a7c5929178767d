"""Requests to llmock, an independent server, which breaks replies in its own ways and checks its client."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from runner.core.events import Channel, Outcome
from runner.core.suite import Timeouts
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client
from tests.conftest import RunCli
from tests.support.client_requests import QUESTION, ask_once, endpoint_at, failure
from tests.support.command import read_rows

pytest.importorskip("llmock", reason="the second server is in the dependency group test")
pytestmark = pytest.mark.anyio

SERVE = """
import sys
from llmock.testing import LLMockServer
with LLMockServer() as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""

PATHS = {
    "openai": "/v1",
    "mistral": "/mistral/v1",
    "groq": "/groq/openai/v1",
    "together": "/together/v1",
    "perplexity": "/perplexity/v1",
    "xai": "/xai/v1",
}


@dataclass(frozen=True)
class SecondServer:
    """A running llmock, as its own process."""

    url: str

    def base_url(self, provider: str = "openai") -> str:
        """Return the base URL at which it imitates a provider."""
        return self.url + PATHS[provider]

    def script(self, *behaviors: Mapping[str, object]) -> None:
        """Replace the scenario by these behaviors."""
        self._ask("reset", {})
        self._ask("scenario", {"behaviors": behaviors})

    def verdict(self) -> Any:
        """Return its findings about its client."""
        return self._ask("verdict")

    def _ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/_llmock/{path}", data), timeout=20) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def server() -> Iterator[SecondServer]:
    """Run llmock for the tests of this file."""
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield SecondServer(process.stdout.readline().strip())
        process.kill()  # on a signal it would first finish its stalled streams


def fault(kind: str, after_chunks: int, **more: object) -> dict[str, object]:
    """Return a behavior of llmock that breaks a stream."""
    return {"type": "stream_fault", "kind": kind, "after_chunks": after_chunks, **more}


TEXT = "Hello from the second server, which says a little more than one word."

STATUSES = [
    (400, Outcome.BAD_REQUEST, "request"),
    (401, Outcome.AUTH, "key"),
    (402, Outcome.AUTH, "balance"),
    (403, Outcome.AUTH, "permission"),
    (404, Outcome.NOT_FOUND, "address"),
    (408, Outcome.PROVIDER_ERROR, "server_timeout"),
    (413, Outcome.BAD_REQUEST, "context"),
    (422, Outcome.BAD_REQUEST, "request"),
    (429, Outcome.RATE_LIMITED, "rate"),
    (500, Outcome.PROVIDER_ERROR, "server"),
    (502, Outcome.PROVIDER_ERROR, "server"),
    (503, Outcome.PROVIDER_ERROR, "overloaded"),
    (504, Outcome.PROVIDER_ERROR, "server_timeout"),
    (529, Outcome.PROVIDER_ERROR, "overloaded"),
]

BROKEN: list[tuple[dict[str, object], Outcome, str | None, bool | None]] = [
    (fault("disconnect", 0), Outcome.CONNECTION, "cut", True),
    (fault("disconnect", 3), Outcome.CONNECTION, "cut", True),
    (fault("truncate", 3), Outcome.TRUNCATED, None, None),
    (fault("malformed", 3), Outcome.BAD_STREAM, "broken_json", True),
    (fault("stall", 0, stall_seconds=20), Outcome.TIMEOUT, "first_token", True),
    (fault("stall", 3, stall_seconds=20), Outcome.TIMEOUT, "idle", False),
    ({"type": "slow_first_token", "seconds": 20}, Outcome.TIMEOUT, "first_token", True),
    ({"type": "delay", "seconds": 20}, Outcome.TIMEOUT, "first_token", True),
]
BREAKS = ["gone-first", "gone-midway", "truncated", "malformed", "silent-first", "silent-midway", "slow", "late-head"]


@pytest.mark.parametrize("provider", PATHS)
async def test_a_complete_reply_is_ok_at_every_provider(server: SecondServer, provider: str) -> None:
    """Text, finish_reason and model are decoded from the stream that llmock imitates for each provider."""
    server.script({"type": "reply", "text": TEXT})
    fold = (await ask_once(server.base_url(provider))).fold
    assert (fold.outcome(), fold.text(Channel.ANSWER), fold.response_model) == (Outcome.OK, TEXT, "m-1")
    assert (fold.finish_reason, fold.saw_done, fold.notes) == ("stop", True, ())


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize(("status", "outcome", "error_type"), STATUSES)
async def test_every_http_status_has_an_outcome_and_a_cause(
    server: SecondServer, provider: str, status: int, outcome: Outcome, error_type: str
) -> None:
    """An error body of any provider becomes an outcome, an error_type and a message."""
    server.script({"type": "fail", "status": status})
    attempt = await ask_once(server.base_url(provider))
    assert failure(attempt) == (outcome, error_type)
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.http_status == status
    assert attempt.fold.failed.message.endswith(".")


async def test_retry_after_and_error_codes_are_parsed(server: SecondServer) -> None:
    """A wait below a second is sent in milliseconds; an error code is more specific than its status."""
    server.script({"type": "fail", "status": 429, "retry_after": 0.25})
    limited = (await ask_once(server.base_url())).fold.failed
    assert limited is not None
    assert (limited.retry_after_s, limited.worth_repeating) == (0.25, True)
    server.script({"type": "fail", "status": 400, "code": "context_length_exceeded", "message": "Too long."})
    too_long = (await ask_once(server.base_url())).fold.failed
    assert too_long is not None
    assert (too_long.error_type, too_long.message, too_long.worth_repeating) == ("context", "Too long.", False)


@pytest.mark.parametrize(("broken", "outcome", "error_type", "repeatable"), BROKEN, ids=BREAKS)
async def test_every_broken_stream_has_an_outcome_and_keeps_its_text(
    server: SecondServer, broken: dict[str, object], outcome: Outcome, error_type: str | None, repeatable: bool | None
) -> None:
    """A broken stream gets its outcome and error_type, and the text before the break is kept."""
    server.script({"type": "reply", "text": TEXT}, broken)
    attempt = await ask_once(server.base_url(), Timeouts(first_token=0.5, idle=0.5))
    assert failure(attempt) == (outcome, error_type)
    received = attempt.fold.text(Channel.ANSWER) or ""
    assert TEXT.startswith(received)
    assert bool(received) == (broken.get("after_chunks") == 3)
    assert (attempt.fold.failed and attempt.fold.failed.worth_repeating) == repeatable


async def test_a_tool_call_is_decoded(server: SecondServer) -> None:
    """A call and its arguments arrive on the channel of tool calls."""
    server.script({"type": "reply", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]})
    fold = (await ask_once(server.base_url())).fold
    assert (fold.outcome(), fold.finish_reason) == (Outcome.OK, "tool_calls")
    assert (fold.text(Channel.TOOL) or "").startswith("get_weather{")


async def test_models_are_listed(server: SecondServer) -> None:
    """`list_models` returns the ids of GET /models."""
    client = Client(endpoint_at(server.base_url()))
    assert "gpt-4o" in await client.list_models()
    await client.aclose()


async def test_usage_is_reported_when_requested(server: SecondServer) -> None:
    """Token counts come in a chunk after the text, and only with `include_usage`."""
    server.script({"type": "reply", "text": TEXT, "times": 2})
    silent, counted = Attempt(), Attempt()
    client = Client(endpoint_at(server.base_url()))
    await client.ask(AttemptRequest("m-1", QUESTION, {"stream": True}), silent)
    options = {"include_usage": True}
    await client.ask(AttemptRequest("m-1", QUESTION, {"stream": True, "stream_options": options}), counted)
    await client.aclose()
    assert silent.fold.usage is None
    assert counted.fold.usage is not None
    assert counted.fold.usage.output_tokens


# The Messages API


async def ask_messages(server: SecondServer, timeouts: Timeouts | None = None, *, stream: bool = True) -> Attempt:
    """Send one request in the Messages dialect to llmock's Anthropic; return the attempt."""
    attempt, client = Attempt(), Client(endpoint_at(f"{server.url}/anthropic/v1", api="messages"))
    parameters = {"stream": stream, "max_tokens": 100}
    request = AttemptRequest("m-1", QUESTION, parameters, timeouts or Timeouts(), api="messages")
    await client.ask(request, attempt)
    await client.aclose()
    return attempt


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_complete_message_is_ok(server: SecondServer, stream: bool) -> None:
    """Text, stop_reason, model and counts are those that llmock sends, streamed or not."""
    server.script({"type": "reply", "text": TEXT})
    fold = (await ask_messages(server, stream=stream)).fold
    assert (fold.outcome(), fold.text(Channel.ANSWER), fold.response_model) == (Outcome.OK, TEXT, "m-1")
    assert (fold.finish_reason, fold.notes) == ("end_turn", () if stream else ("not_streamed",))
    assert fold.usage is not None
    assert fold.usage.output_tokens


@pytest.mark.parametrize(("status", "outcome", "error_type"), STATUSES)
async def test_every_http_status_of_messages_has_an_outcome_and_a_cause(
    server: SecondServer, status: int, outcome: Outcome, error_type: str
) -> None:
    """Errors in Anthropic's shape become the same outcomes as the others'."""
    server.script({"type": "fail", "status": status})
    attempt = await ask_messages(server)
    assert failure(attempt) == (outcome, error_type)
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.http_status == status
    assert attempt.fold.failed.message.endswith(".")


@pytest.mark.parametrize(("broken", "outcome", "error_type", "repeatable"), BROKEN, ids=BREAKS)
async def test_every_broken_stream_of_messages_has_an_outcome_and_keeps_its_text(
    server: SecondServer, broken: dict[str, object], outcome: Outcome, error_type: str | None, repeatable: bool | None
) -> None:
    """The outcomes are those of broken streams of chunks."""
    midway = broken.get("after_chunks") == 3
    later = {"after_chunks": 6} if midway else {}  # the first events have no text
    server.script({"type": "reply", "text": TEXT}, {**broken, **later})
    attempt = await ask_messages(server, Timeouts(first_token=0.5, idle=0.5))
    failed, received = attempt.fold.failed, attempt.fold.text(Channel.ANSWER) or ""
    assert (failure(attempt), failed and failed.worth_repeating) == ((outcome, error_type), repeatable)
    assert (bool(received), TEXT.startswith(received)) == (midway, True)


async def test_a_tool_call_of_messages_is_decoded(server: SecondServer) -> None:
    """A call and its arguments arrive on the channel of tool calls."""
    server.script({"type": "reply", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]})
    fold = (await ask_messages(server)).fold
    assert (fold.outcome(), fold.finish_reason) == (Outcome.OK, "tool_use")
    assert (fold.text(Channel.TOOL) or "").startswith("get_weather{")


async def test_models_of_a_row_of_messages_are_listed(server: SecondServer) -> None:
    """GET /models is asked with the dialect's headers."""
    client = Client(endpoint_at(f"{server.url}/anthropic/v1", api="messages"))
    assert "claude-opus-4-6" in await client.list_models()
    await client.aclose()


SUITE = """
version: 1
name: second
cases:
  - id: hello
    prompt: Say hello.
"""

ROWS = """
version: 1
providers:
  second:
    base_url: {url}
    keyless: true
"""

ON_MODEL: list[dict[str, object]] = [
    {"type": "fail", "status": 429, "retry_after": 0.6, "times": 2, "match": {"model": "busy"}},
    {"type": "fail", "status": 500, "times": None, "match": {"model": "down"}},
    {"type": "fail", "status": 401, "times": None, "match": {"model": "locked"}},
    {"type": "stream_fault", "kind": "disconnect", "after_chunks": 0, "match": {"model": "gone"}},
]


def test_a_run_retries_as_llmock_expects_of_a_client(server: SecondServer, run_cli: RunCli, tmp_path: Path) -> None:
    """A run waits as requested, backs off, gives up and does not repeat a refused key; llmock has no finding."""
    server.script(*ON_MODEL)
    (tmp_path / "second.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "compare.yaml").write_text(ROWS.format(url=server.base_url()), encoding="utf-8")
    models = ("busy", "down", "locked", "gone", "good")
    chosen = [word for model in models for word in ("-m", f"second/{model}")]
    done = run_cli("run", "second.yaml", *chosen, "--concurrency", "1", "-o", "run", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert {
        row["model"]: (row["outcome"], row["error_type"], row["attempts"]) for row in read_rows(tmp_path / "run")
    } == {
        "busy": ("ok", "", "3"),
        "down": ("provider_error", "server", "3"),
        "locked": ("auth", "key", "1"),
        "gone": ("ok", "", "2"),
        "good": ("ok", "", "1"),
    }
    verdict = server.verdict()
    assert (verdict["calls"], verdict["findings"]) == (len(models), [])

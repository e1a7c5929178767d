"""A server that was not written here, llmock, breaks replies in its own ways; we name them right, and it judges us."""

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
from runner.wire.client import Client
from runner.wire.completion_request import CompletionRequest
from runner.wire.read_loop import Attempt
from tests.conftest import RunCli
from tests.support.command import read_rows
from tests.wire.test_client import QUESTION, ask_once, endpoint_at, failure

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


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that runs use."""
    return "asyncio", {"use_uvloop": True}


@dataclass(frozen=True)
class SecondServer:
    """A running llmock, as its own process."""

    url: str

    def base_url(self, provider: str = "openai") -> str:
        """Return where it speaks as a provider."""
        return self.url + PATHS[provider]

    def script(self, *behaviors: Mapping[str, object]) -> None:
        """Forget what was, then misbehave as told."""
        self._ask("reset", {})
        self._ask("scenario", {"behaviors": behaviors})

    def verdict(self) -> Any:
        """Return what it thinks of its client."""
        return self._ask("verdict")

    def _ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/_llmock/{path}", data), timeout=20) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def server() -> Iterator[SecondServer]:
    """Run llmock while this file's tests do."""
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield SecondServer(process.stdout.readline().strip())
        process.kill()  # left to itself, it would first finish the streams that it stalls


def fault(kind: str, after_chunks: int, **more: object) -> dict[str, object]:
    """Return a fault of the stream, in llmock's words."""
    return {"type": "stream_fault", "kind": kind, "after_chunks": after_chunks, **more}


SAID = "Hello from the second server, which says a little more than one word."


@pytest.mark.parametrize("provider", PATHS)
async def test_a_good_reply_is_good_at_every_provider(server: SecondServer, provider: str) -> None:
    """Text, usage, finish_reason and model are heard as llmock believes that each provider sends them."""
    server.script({"type": "reply", "text": SAID})
    fold = (await ask_once(server.base_url(provider))).fold
    assert (fold.outcome(), fold.text(Channel.ANSWER), fold.response_model) == (Outcome.OK, SAID, "m-1")
    assert (fold.finish_reason, fold.saw_done, fold.notes) == ("stop", True, ())


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize(
    ("status", "outcome", "error_type"),
    [
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
    ],
)
async def test_every_status_is_named(
    server: SecondServer, provider: str, status: int, outcome: Outcome, error_type: str
) -> None:
    """A refusal in any provider's envelope has its outcome, its cause and its words."""
    server.script({"type": "fail", "status": status})
    attempt = await ask_once(server.base_url(provider))
    assert failure(attempt) == (outcome, error_type)
    assert attempt.fold.failed is not None
    assert attempt.fold.failed.http_status == status
    assert attempt.fold.failed.message.endswith(".")


async def test_waits_and_codes_are_read(server: SecondServer) -> None:
    """A wait below a second comes in milliseconds; a code tells more than its status."""
    server.script({"type": "fail", "status": 429, "retry_after": 0.25})
    limited = (await ask_once(server.base_url())).fold.failed
    assert limited is not None
    assert (limited.retry_after_s, limited.worth_repeating) == (0.25, True)
    server.script({"type": "fail", "status": 400, "code": "context_length_exceeded", "message": "Too long."})
    too_long = (await ask_once(server.base_url())).fold.failed
    assert too_long is not None
    assert (too_long.error_type, too_long.message, too_long.worth_repeating) == ("context", "Too long.", False)


@pytest.mark.parametrize(
    ("broken", "outcome", "error_type", "repeatable"),
    [
        (fault("disconnect", 0), Outcome.CONNECTION, "cut", True),
        (fault("disconnect", 3), Outcome.CONNECTION, "cut", True),
        (fault("truncate", 3), Outcome.TRUNCATED, None, None),
        (fault("malformed", 3), Outcome.BAD_STREAM, "broken_json", True),
        (fault("stall", 0, stall_seconds=20), Outcome.TIMEOUT, "first_token", True),
        (fault("stall", 3, stall_seconds=20), Outcome.TIMEOUT, "idle", False),
        ({"type": "slow_first_token", "seconds": 20}, Outcome.TIMEOUT, "first_token", True),
        ({"type": "delay", "seconds": 20}, Outcome.TIMEOUT, "first_token", True),
    ],
    ids=["gone-first", "gone-midway", "truncated", "malformed", "silent-first", "silent-midway", "slow", "late-head"],
)
async def test_every_broken_stream_is_named(
    server: SecondServer, broken: dict[str, object], outcome: Outcome, error_type: str | None, repeatable: bool | None
) -> None:
    """A stream that llmock breaks is a failure of the right kind, and the text before it is kept."""
    server.script({"type": "reply", "text": SAID}, broken)
    attempt = await ask_once(server.base_url(), Timeouts(first_token=0.5, idle=0.5))
    assert failure(attempt) == (outcome, error_type)
    heard = attempt.fold.text(Channel.ANSWER) or ""
    assert SAID.startswith(heard)
    assert bool(heard) == (broken.get("after_chunks") == 3)
    assert (attempt.fold.failed and attempt.fold.failed.worth_repeating) == repeatable


async def test_a_scripted_tool_call_is_heard(server: SecondServer) -> None:
    """A call and its arguments come on their own channel."""
    server.script({"type": "reply", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]})
    fold = (await ask_once(server.base_url())).fold
    assert (fold.outcome(), fold.finish_reason) == (Outcome.OK, "tool_calls")
    assert (fold.text(Channel.TOOL) or "").startswith("get_weather{")


async def test_models_are_listed(server: SecondServer) -> None:
    """GET /models gives ids."""
    client = Client(endpoint_at(server.base_url()))
    assert "gpt-4o" in await client.list_models()
    await client.aclose()


async def test_usage_is_counted_when_asked_for(server: SecondServer) -> None:
    """Token counts come in a chunk behind the text, and only if they were asked for."""
    server.script({"type": "reply", "text": SAID, "times": 2})
    silent, counted = Attempt(), Attempt()
    client = Client(endpoint_at(server.base_url()))
    await client.ask(CompletionRequest("m-1", QUESTION, {"stream": True}), silent)
    options = {"include_usage": True}
    await client.ask(CompletionRequest("m-1", QUESTION, {"stream": True, "stream_options": options}), counted)
    await client.aclose()
    assert silent.fold.usage is None
    assert counted.fold.usage is not None
    assert counted.fold.usage.output_tokens


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


def test_the_second_server_finds_nothing_wrong_with_us(server: SecondServer, run_cli: RunCli, tmp_path: Path) -> None:
    """A whole run waits as asked, backs off, gives up, repeats no bad key; llmock, who saw it all, agrees."""
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

"""Personas that cache prefixes of prompts: which prefixes, how long, and how each dialect reports it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.simulator.chat_request import ChatMessage
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.model_names import parse_model
from runner.simulator.prefix_cache import BLOCK_TOKENS, MIN_PREFIX_TOKENS, PrefixCache, PrefixCaching
from runner.simulator.request_handler import RequestHandler

WEEK = PrefixCaching(token_ns=1, lifetime_ns=10**15)
LONG = "alpha beta gamma " * 600
"""1,800 tokens."""


def prompt(text: str) -> list[ChatMessage]:
    """Return a conversation of one message."""
    return [ChatMessage("user", text)]


@given(st.integers(0, 3_000), st.integers(0, 3_000))
def test_a_common_prefix_is_cached_in_whole_blocks(shared: int, more: int) -> None:
    """Text after the common part is not cached, and neither is a prefix below the minimum."""
    cache = PrefixCache()
    same = "word " * shared
    assert cache.look_up("m", prompt(same + "x " * more), WEEK, 0) == 0
    found = cache.look_up("m", prompt(same + "y " * more), WEEK, 1)
    assert found % BLOCK_TOKENS == 0
    assert found == 0 or found >= MIN_PREFIX_TOKENS
    longest = 2 * shared + 1 if more else 2 * shared + 2
    assert found <= longest


def test_a_prefix_expires_unless_it_is_used_again() -> None:
    """Each request restarts the lifetime; another model has its own cache."""
    cache, minute = PrefixCache(), PrefixCaching(token_ns=1, lifetime_ns=60)
    assert cache.look_up("m", prompt(LONG), minute, 0) == 0
    cached = cache.look_up("m", prompt(LONG), minute, 59)
    assert cached > MIN_PREFIX_TOKENS
    assert cache.look_up("m", prompt(LONG), minute, 118) == cached
    assert cache.look_up("other", prompt(LONG), minute, 119) == 0
    assert cache.look_up("m", prompt(LONG), minute, 178) == 0


def test_a_nonce_in_front_of_a_prompt_prevents_caching() -> None:
    """The setting `cache: bust` depends on this."""
    cache = PrefixCache()
    cache.look_up("m", prompt(f"[0123456789ab] {LONG}"), WEEK, 0)
    assert cache.look_up("m", prompt(f"[ba9876543210] {LONG}"), WEEK, 1) == 0


BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": LONG}]},
    "/v1/responses": {"input": LONG},
    "/v1/messages": {"messages": [{"role": "user", "content": LONG}], "max_tokens": 10},
}


def ask(handler: RequestHandler, path: str, model: str) -> tuple[dict[str, Any], int]:
    """Return the usage of a reply that is not streamed, and when it is sent, in nanoseconds."""
    body = json.dumps({**BODIES[path], "model": model}).encode()
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    response = handler.respond(HttpRequest("POST", path, headers, body, keep_alive=True, chunked_allowed=True), 0)
    (step,) = response.steps
    document = step.head if step.tail is None else step.head + b"0" + step.tail
    return json.loads(document)["usage"], step.due_ns


@pytest.mark.parametrize("path", BODIES)
def test_a_cached_prefix_is_reported_and_shortens_ttft(path: str) -> None:
    """The usage has the member of its dialect; the Messages API counts it apart from the input."""
    handler = RequestHandler()
    (first, late_ns), (again, soon_ns) = (ask(handler, path, "sim/caching") for _ in range(2))
    cached = [
        usage["prompt_tokens_details"]["cached_tokens"]
        if "prompt_tokens_details" in usage
        else usage["input_tokens_details"]["cached_tokens"]
        if "input_tokens_details" in usage
        else usage["cache_read_input_tokens"]
        for usage in (first, again)
    ]
    assert cached[0] == 0
    assert cached[1] >= MIN_PREFIX_TOKENS
    beside = cached[1] if path == "/v1/messages" else 0
    name = "prompt_tokens" if "prompt_tokens" in first else "input_tokens"
    assert again[name] + beside == first[name]
    assert late_ns - soon_ns == cached[1] * 50_000


def test_one_persona_caches_without_reporting_it() -> None:
    """The answer is as much faster, and the usage has no count of cached tokens."""
    handler = RequestHandler()
    (first, late_ns), (again, soon_ns) = (ask(handler, "/v1/chat/completions", "sim/caching-untold") for _ in range(2))
    assert late_ns - soon_ns >= MIN_PREFIX_TOKENS * 50_000
    assert first == again
    assert "prompt_tokens_details" not in again


def test_the_lifetime_stands_in_the_models_name() -> None:
    """Only personas with a cache accept the option."""
    caching = parse_model("sim/caching?cache_ms=500").persona.caching
    assert caching is not None
    assert caching.lifetime_ns == 500_000_000
    for name in ("sim/caching?cache_ms=long", "sim/quick?cache_ms=5"):
        with pytest.raises(RequestError):
            parse_model(name)

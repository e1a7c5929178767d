"""Requests with the client to scripted servers: the endpoint, what is sent, and how an attempt ended."""

from collections.abc import Mapping, Sequence

import anyio

from runner.core.events import Outcome
from runner.core.suite import Timeouts
from runner.providers.endpoint import Endpoint
from runner.providers.key import Key
from runner.providers.provider_row import ProviderRow
from runner.wire.attempt import Attempt, AttemptRequest
from runner.wire.client import Client

KEY = "sk-" + "0123456789abcdef" * 2


def endpoint_at(url: str, key: str | None = KEY, **row: object) -> Endpoint:
    """Return an endpoint, as the registry would."""
    return Endpoint("acme", url, Key(key, "ACME_API_KEY") if key else None, ProviderRow.model_validate(row))


QUESTION: Sequence[Mapping[str, object]] = [{"role": "user", "content": "你好"}]


async def ask(endpoint: Endpoint, timeouts: Timeouts | None = None, times: int = 1) -> list[Attempt]:
    """Send requests one after the other with one client; return the attempts."""
    attempts = [Attempt() for _ in range(times)]
    client = Client(endpoint)
    try:
        with anyio.fail_after(15):
            for attempt in attempts:
                await client.ask(AttemptRequest("m-1", QUESTION, {"stream": True}, timeouts or Timeouts()), attempt)
    finally:
        await client.aclose()
    return attempts


async def ask_once(url: str, timeouts: Timeouts | None = None) -> Attempt:
    """Send one request; return the attempt."""
    return (await ask(endpoint_at(url), timeouts))[0]


def failure(attempt: Attempt) -> tuple[Outcome, str | None]:
    """Return an attempt's outcome and error type."""
    failed = attempt.fold.failed
    return attempt.fold.outcome(), failed.error_type if failed else None

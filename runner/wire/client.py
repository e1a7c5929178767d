"""One provider's `AsyncOpenAI`, asked so that nothing is timed, retried, redirected or told by anyone but us.

The SDK builds the request: URL, authentication, body. From there on the stamped transport and our own reading
of the stream take over, because the SDK's reading costs ten times as much, and drops or misreads many real
streams (docs/wire.md).
"""

import json
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import anyio
import httpx2
from openai import APIStatusError, AsyncOpenAI, Omit

from runner.events import Event, Failed, Opened, Outcome
from runner.providers.endpoint import Endpoint
from runner.record import Fold
from runner.suite.case import Timeouts
from runner.wire.connection_failure import CONNECTION_ERRORS, describe
from runner.wire.failure import classify, request_id
from runner.wire.hearing import Hearing
from runner.wire.transport import Body, StampingTransport, listen

Watch = Callable[[Event], None]
"""Called with each event soon after it arrived, for a live view."""

WATCH_INTERVAL_NS = 50_000_000
"""A live view decodes at most 20 times a second, so that it cannot disturb what it shows."""

LINGER_NS = 100_000_000
"""How long to wait for the end of the body behind [DONE], which lets the connection be used again."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one attempt sends: the body's fields beside `model` and `messages`, and how long to wait."""

    model: str
    messages: Sequence[Mapping[str, object]]
    body: Mapping[str, object]
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(slots=True)
class Attempt:
    """One try as it is being heard. What was heard before a cancellation is here, too."""

    body: Body = field(default_factory=Body)
    fold: Fold = field(default_factory=Fold)


class Client:
    """Asks one endpoint. To be opened and closed inside one event loop."""

    def __init__(self, endpoint: Endpoint, connect_s: float = Timeouts.connect) -> None:
        self._endpoint = endpoint
        self._transport = StampingTransport(ssl.create_default_context(), connect_s)
        key = endpoint.key.reveal() if endpoint.key is not None else None
        self._openai = AsyncOpenAI(
            # The SDK insists on a key; where there is none, or another header carries it, this one is never sent.
            api_key=key or "none",
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(None),
            default_headers=_headers(endpoint, key),
            http_client=httpx2.AsyncClient(transport=self._transport, follow_redirects=False, trust_env=False),
        )
        bearer = key is not None and endpoint.row.auth == "bearer"
        self._unsent: dict[str, Any] = {} if bearer else {"Authorization": Omit()}
        # The SDK takes these from OPENAI_* variables and would tell them to every host.
        self._openai.organization = self._openai.project = None
        # Looked up here because the SDK imports its resources when they are first touched.
        self._create: Any = self._openai.chat.completions.with_streaming_response.create

    async def ask(self, question: Question, attempt: Attempt, watch: Watch | None = None) -> None:
        """Send a question and hear the reply out, into `attempt`. A provider's failure is an event there."""
        attempt.body = listen()
        timeouts = question.timeouts
        try:
            async with AsyncExitStack() as stack:
                with anyio.move_on_after(min(timeouts.connect + timeouts.first_token, timeouts.total)) as head:
                    response = await stack.enter_async_context(
                        self._create(
                            model=question.model,
                            messages=question.messages,
                            extra_body=dict(question.body),
                            extra_headers=self._unsent,
                        )
                    )
                if head.cancelled_caught:
                    attempt.fold.add(_head_timeout(attempt.body))
                else:
                    await _hear(response.http_response, timeouts, attempt, watch)
        except APIStatusError as error:
            attempt.fold.add(_opened(error.response, attempt.body))
            attempt.fold.add(
                classify(
                    error.response.status_code,
                    dict(error.response.headers),
                    error.response.content,
                    at_ns=perf_counter_ns(),
                )
            )
        except CONNECTION_ERRORS as error:
            attempt.fold.add(describe(error, perf_counter_ns()))

    async def list_models(self) -> list[str]:
        """Return the ids that GET /models names, in the endpoint's order.

        Raises:
            ProviderRefusal: the endpoint does not answer, or not with a list of models.

        """
        listen()
        try:
            raw = await self._openai.models.with_raw_response.list(extra_headers=self._unsent)
            listed = json.loads(raw.http_response.content)
            rows = listed["data"] if isinstance(listed, dict) else listed
            return [str(row["id"]).removeprefix("models/") for row in rows]
        except APIStatusError as error:
            failed = classify(
                error.response.status_code,
                dict(error.response.headers),
                error.response.content,
                at_ns=perf_counter_ns(),
            )
        except CONNECTION_ERRORS as error:
            failed = describe(error, perf_counter_ns())
        except (ValueError, KeyError, TypeError) as error:
            failed = Failed(
                perf_counter_ns(), Outcome.BAD_STREAM, f"GET /models did not give a list of models ({error})"
            )
        raise ProviderRefusal(failed)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._openai.close()


class ProviderRefusal(Exception):
    """A question other than a prompt was refused."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


def _headers(endpoint: Endpoint, key: str | None) -> dict[str, Any]:
    """Return our headers, and an omission for each that OPENAI_CUSTOM_HEADERS would send to every host."""
    ambient = os.environ.get("OPENAI_CUSTOM_HEADERS", "")
    headers: dict[str, Any] = {line.split(":", 1)[0].strip(): Omit() for line in ambient.split("\n") if ":" in line}
    headers |= endpoint.row.headers
    if key is not None and endpoint.row.auth == "api-key":
        headers["api-key"] = key
    return headers


def _opened(response: httpx2.Response, body: Body) -> Opened:
    at_ns = body.headers_ns or perf_counter_ns()
    return Opened(at_ns, response.status_code, request_id(dict(response.headers)))


def _head_timeout(body: Body) -> Failed:
    stage = "connect" if body.sent_ns is None else "first_token"
    message = "no connection in time" if body.sent_ns is None else "no answer in time"
    return Failed(perf_counter_ns(), Outcome.TIMEOUT, message, error_type=stage, worth_repeating=True)


async def _hear(response: httpx2.Response, timeouts: Timeouts, attempt: Attempt, watch: Watch | None) -> None:
    """Decode what arrives, seldom and in one place, until the reply ends or a timer says it will not."""
    body, fold = attempt.body, attempt.fold
    fold.add(_opened(response, body))
    hearing = Hearing(response.status_code, dict(response.headers))
    expired: Failed | None = None

    def take_in(events: Sequence[Event]) -> None:
        for event in events:
            fold.add(event)
            if watch is not None:
                watch(event)

    while expired is None and not body.complete and not fold.saw_done:
        due_ns = _due_ns(body, fold, timeouts)
        await body.wait(due_ns if watch is None else min(due_ns, perf_counter_ns() + WATCH_INTERVAL_NS))
        for at_ns, data in body.take():
            take_in(hearing.feed(at_ns, data))
        expired = _expired(body, fold, timeouts)
    if fold.saw_done:
        await body.wait(perf_counter_ns() + LINGER_NS)
    for at_ns, data in body.take():
        take_in(hearing.feed(at_ns, data))
    cut = expired or (describe(body.error, perf_counter_ns()) if body.error is not None else None)
    take_in(hearing.close(perf_counter_ns(), cut))


def _due_ns(body: Body, fold: Fold, timeouts: Timeouts) -> int:
    """Return when the next timer runs out."""
    sent_ns = body.sent_ns or 0
    total_ns = sent_ns + int(timeouts.total * 1e9)
    if not fold.has_text:
        return min(total_ns, sent_ns + int(timeouts.first_token * 1e9))
    return min(total_ns, (fold.last_event or sent_ns) + int(timeouts.idle * 1e9))


def _expired(body: Body, fold: Fold, timeouts: Timeouts) -> Failed | None:
    """Return which timer has run out, judged by the stamps of what was heard, or None."""
    now_ns = perf_counter_ns()
    if body.complete or now_ns < _due_ns(body, fold, timeouts):
        return None
    if now_ns >= (body.sent_ns or 0) + int(timeouts.total * 1e9):
        stage, message = "total", f"not finished after {timeouts.total:g} s"
    elif not fold.has_text:
        stage, message = "first_token", f"no text after {timeouts.first_token:g} s"
    else:
        stage, message = "idle", f"no data for {timeouts.idle:g} s"
    return Failed(now_ns, Outcome.TIMEOUT, message, error_type=stage, worth_repeating=stage == "first_token")

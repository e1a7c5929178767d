"""One provider's `AsyncOpenAI`, asked so that nothing is timed, retried, redirected or told by anyone but us.

The SDK says what a request looks like: its URL, its headers, its authentication. It is asked once, since all that
differs between two questions to an endpoint is the body. From there on the stamped transport and our own reading
of the stream take over, because the SDK's reading costs ten times as much, and drops or misreads many real
streams (docs/wire.md).
"""

import json
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import anyio
import httpx2
from openai import AsyncOpenAI, Omit

from runner.core.events import Failed, Outcome
from runner.core.suite import Timeouts
from runner.providers.endpoint import Endpoint
from runner.providers.redaction import Redactor
from runner.wire.connection_failure import CONNECTION_ERRORS, describe
from runner.wire.failure import classify
from runner.wire.json_value import encode_json
from runner.wire.read_loop import Attempt, Watch, hear_out
from runner.wire.response_body import Head, Phases, ResponseBody, listen
from runner.wire.sdk_log import keys_hidden
from runner.wire.time_slices import TimeSlices
from runner.wire.timers import head_timeout
from runner.wire.transport import RequestHead, StampingTransport


@dataclass(frozen=True, slots=True)
class ChatRequestBody:
    """What one attempt sends: the body's fields beside `model` and `messages`, and how long to wait."""

    model: str
    messages: Sequence[Mapping[str, object]]
    body: Mapping[str, object]
    timeouts: Timeouts = field(default_factory=Timeouts)


class Client:
    """Asks one endpoint. To be opened and closed inside one event loop."""

    def __init__(self, endpoint: Endpoint, connect_s: float = 10.0, airtime: TimeSlices | None = None) -> None:
        self._airtime = airtime or TimeSlices()
        self._transport = StampingTransport(ssl.create_default_context(), connect_s)
        self._endpoint = endpoint
        self._open = ExitStack()
        self._open.enter_context(keys_hidden(Redactor([endpoint.key] if endpoint.key is not None else [])))
        self._openai = _open_sdk(endpoint, self._transport)
        bearer = endpoint.key is not None and endpoint.row.auth == "bearer"
        self._unsent: dict[str, Any] = {} if bearer else {"Authorization": Omit()}
        self._letterhead: RequestHead | None = None

    async def ask(self, question: ChatRequestBody, attempt: Attempt, watch: Watch | None = None) -> None:
        """Send a question and hear the reply out, into `attempt`. A provider's failure is an event there."""
        attempt.body = body = listen(self._airtime)
        try:
            with _wait_for_head(body, question.timeouts) as waiting:
                head = await self._send(question, body)
            if waiting.cancelled_caught:
                attempt.fold.add(head_timeout(body.sent_ns, question.timeouts, perf_counter_ns()))
            else:
                await hear_out(head, question.timeouts, attempt, self._airtime, watch)
        except CONNECTION_ERRORS as error:
            attempt.fold.add(describe(error, perf_counter_ns()))
            # Its frames know the body, which knows the error: a circle that only the garbage collector could open.
            error.with_traceback(None)
        finally:
            await body.aclose()

    async def _send(self, question: ChatRequestBody, body: ResponseBody) -> Head:
        """Write the request in one turn of airtime, which the transport gives back as it dials."""
        await self._airtime.depart()
        try:
            self._letterhead = self._letterhead or await self._draft()
            asked = {"model": question.model, **question.body, "messages": question.messages}
            return await self._transport.send(self._letterhead, encode_json(asked), body)
        finally:
            self._airtime.release()

    async def _draft(self) -> RequestHead:
        """Have the SDK build a request, and keep all of it but the body."""
        drafts = _Drafts()
        async with _open_sdk(self._endpoint, drafts) as sdk:
            create = sdk.chat.completions.with_raw_response.create
            await create(model="", messages=(), extra_headers=self._unsent)
        return drafts.letterheads[0]

    async def warm_up(self, connections: int) -> list[Phases]:
        """Make ready for the requests to come and open connections for them; return what each took."""
        self._letterhead = self._letterhead or await self._draft()
        return await self._transport.open_connections(str(self._openai.base_url), connections)

    async def list_models(self, timeouts: Timeouts | None = None) -> list[str]:
        """Return the ids that GET /models names, in the endpoint's order.

        Raises:
            ProviderRefusal: the endpoint does not answer, or not with a list of models.

        """
        body, timeouts = listen(), timeouts or Timeouts()
        try:
            with _wait_for_head(body, timeouts) as head:
                raw = await self._openai.models.with_raw_response.list(extra_headers=self._unsent)
        except CONNECTION_ERRORS as error:
            raise ProviderRefusal(describe(error, perf_counter_ns())) from None
        if head.cancelled_caught:
            raise ProviderRefusal(head_timeout(body.sent_ns, timeouts, perf_counter_ns()))
        return _read_models(raw.http_response)

    async def aclose(self) -> None:
        """Close every connection."""
        self._open.close()
        await self._openai.close()


@dataclass(frozen=True, slots=True)
class _Drafts(httpx2.AsyncBaseTransport):
    """Where the SDK's requests end that only show how it builds them: nothing is sent."""

    letterheads: list[RequestHead] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Keep what a request looks like."""
        self.letterheads.append(RequestHead.of(request))
        return httpx2.Response(200, request=request)


class ProviderRefusal(Exception):
    """A question other than a prompt was refused."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@contextmanager
def _wait_for_head(body: ResponseBody, timeouts: Timeouts) -> Iterator[anyio.CancelScope]:
    """Give connecting its time, then, from the moment the request is sent, the answer's head its own."""
    with anyio.move_on_after(timeouts.connect) as head:

        def restart() -> None:
            head.deadline = anyio.current_time() + min(timeouts.first_token, timeouts.total)

        body.when_sent = restart
        yield head


def _read_models(response: httpx2.Response) -> list[str]:
    at_ns = perf_counter_ns()
    if not response.is_success:
        raise ProviderRefusal(classify(response.status_code, dict(response.headers), response.content, at_ns=at_ns))
    try:
        listed = json.loads(response.content)
        rows = listed["data"] if isinstance(listed, dict) else listed
        return [str(row["id"]).removeprefix("models/") for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        message = f"GET /models did not give a list of models ({error})"
        raise ProviderRefusal(Failed(at_ns, Outcome.BAD_STREAM, message)) from None


def _open_sdk(endpoint: Endpoint, transport: httpx2.AsyncBaseTransport) -> AsyncOpenAI:
    """Return the SDK's client for an endpoint: no headers, retries, redirects or proxies but ours."""
    key = endpoint.key.reveal() if endpoint.key is not None else None
    sdk = AsyncOpenAI(
        # The SDK insists on a key; where there is none, or another header carries it, this one is never sent.
        api_key=key or "none",
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=httpx2.Timeout(None),
        default_headers=_headers(endpoint, key),
        http_client=httpx2.AsyncClient(transport=transport, follow_redirects=False, trust_env=False),
    )
    # The SDK takes these from OPENAI_* variables and would tell them to every host.
    sdk.organization = sdk.project = None
    return sdk


def _headers(endpoint: Endpoint, key: str | None) -> dict[str, Any]:
    """Return our headers, and an omission for each that OPENAI_CUSTOM_HEADERS would send to every host."""
    ambient = os.environ.get("OPENAI_CUSTOM_HEADERS", "")
    headers: dict[str, Any] = {line.split(":", 1)[0].strip(): Omit() for line in ambient.split("\n") if ":" in line}
    headers |= endpoint.row.headers
    if key is not None and endpoint.row.auth == "api-key":
        headers["api-key"] = key
    elif key is not None:
        headers["Authorization"] = f"Bearer {key}"  # the SDK would put an ambient one in its place
    return headers

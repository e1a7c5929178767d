"""One provider's `AsyncOpenAI`, asked so that nothing is timed, retried, redirected or told by anyone but us.

The SDK builds the request: URL, authentication, body. From there on the stamped transport and our own reading
of the stream take over, because the SDK's reading costs ten times as much, and drops or misreads many real
streams (docs/wire.md).
"""

import json
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import anyio
import httpx2
from openai import AsyncOpenAI, Omit

from runner.events import Failed, Outcome
from runner.providers.endpoint import Endpoint
from runner.providers.redaction import Redactor
from runner.suite.case import Timeouts
from runner.wire.airtime import Airtime
from runner.wire.connection_failure import CONNECTION_ERRORS, describe
from runner.wire.failure import classify
from runner.wire.listening import Attempt, Watch, hear_out
from runner.wire.sdk_log import keys_hidden
from runner.wire.timers import head_timeout
from runner.wire.transport import Body, Phases, StampingTransport, listen


@dataclass(frozen=True, slots=True)
class Question:
    """What one attempt sends: the body's fields beside `model` and `messages`, and how long to wait."""

    model: str
    messages: Sequence[Mapping[str, object]]
    body: Mapping[str, object]
    timeouts: Timeouts = field(default_factory=Timeouts)


class Client:
    """Asks one endpoint. To be opened and closed inside one event loop."""

    def __init__(self, endpoint: Endpoint, connect_s: float = 10.0, airtime: Airtime | None = None) -> None:
        self._airtime = airtime or Airtime()
        self._transport = StampingTransport(ssl.create_default_context(), connect_s)
        key = endpoint.key.reveal() if endpoint.key is not None else None
        self._open = ExitStack()
        self._open.enter_context(keys_hidden(Redactor([endpoint.key] if endpoint.key is not None else [])))
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
        attempt.body = listen(self._airtime)
        try:
            async with AsyncExitStack() as stack:
                with _wait_for_head(attempt.body, question.timeouts) as head:
                    response = await stack.enter_async_context(self._send(question))
                if head.cancelled_caught:
                    attempt.fold.add(head_timeout(attempt.body.sent_ns, question.timeouts, perf_counter_ns()))
                else:
                    await hear_out(response, question.timeouts, attempt, self._airtime, watch)
        except CONNECTION_ERRORS as error:
            attempt.fold.add(describe(error, perf_counter_ns()))

    @asynccontextmanager
    async def _send(self, question: Question) -> AsyncIterator[httpx2.Response]:
        """Have the SDK build the request in one turn of airtime, which the transport gives back as it dials."""
        await self._airtime.acquire()
        try:
            manager = self._create(
                model=question.model,
                # In the body with everything else: as an argument, the SDK would walk through every message.
                messages=(),
                extra_body={**question.body, "messages": question.messages},
                extra_headers=self._unsent,
            )
            async with manager as response:
                yield response.http_response
        finally:
            self._airtime.release()

    async def warm_up(self, connections: int) -> list[Phases]:
        """Open connections for the requests to come; return what each took."""
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


class ProviderRefusal(Exception):
    """A question other than a prompt was refused."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@contextmanager
def _wait_for_head(body: Body, timeouts: Timeouts) -> Iterator[anyio.CancelScope]:
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

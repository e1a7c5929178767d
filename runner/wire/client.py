"""A client for one provider's endpoint: sends completion requests, lists models, opens connections.

The SDK (`AsyncOpenAI`) only builds requests: their URL, headers and authentication. It builds one per dialect, since
the requests to one endpoint in one dialect differ only in the body. The timestamping transport sends them, and this
package reads the responses, because the SDK's reading takes ten times the CPU and drops or misreads many real streams
(docs/wire.md). Timeouts, retries and redirects are not handled by the SDK either.
"""

import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import anyio
import httpx2
from openai import AsyncOpenAI, Omit

from runner.core.events import Failed, Outcome
from runner.core.suite import Api, Timeouts
from runner.providers.endpoint import Endpoint
from runner.providers.redaction import Redactor, secrets_of
from runner.wire.attempt import Attempt, AttemptRequest, Watch
from runner.wire.connection_failures import connection_failure
from runner.wire.decoders.provider_failures import classify_response
from runner.wire.decoders.response_head import ResponseHead
from runner.wire.decoders.retry_after import rate_limits
from runner.wire.dialects import DIALECTS, Dialect
from runner.wire.event_loop_time_slices import TimeSlices
from runner.wire.proxy import ProxyLogins
from runner.wire.read_loop import read_response
from runner.wire.response_body import Phases, ResponseBody
from runner.wire.timeouts import head_timeout
from runner.wire.transport import RequestHead, TimestampingTransport, tls_context

SDK_LOGGER = logging.getLogger("openai._base_client")
"""The SDK's logger of requests, which OPENAI_LOG enables."""


class ProviderRefusal(Exception):
    """A request for the list of models failed."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class Client:
    """A client for one endpoint. It must be opened and closed inside one event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        connect_s: float = 10.0,
        time_slices: TimeSlices | None = None,
        logins: ProxyLogins | None = None,
    ) -> None:
        self._time_slices = time_slices or TimeSlices()
        self._transport = TimestampingTransport(tls_context(), connect_s, logins)
        self._endpoint = endpoint
        self._open = ExitStack()
        self._open.enter_context(_keys_hidden_in_log(Redactor(secrets_of([endpoint], os.environ))))
        self._heads: dict[Api, RequestHead] = {}
        self.rate_limits: dict[str, str] | None = None
        """Rate-limit headers of the last list of models; None if it had none."""

    async def ask(self, request: AttemptRequest, attempt: Attempt, watch: Watch | None = None) -> None:
        """Send a request and read the response into `attempt`.

        A failure becomes an event in the attempt's fold. That includes every exception of name resolution, the
        connection and TLS, so that one provider cannot end the run of the others.
        """
        dialect = DIALECTS[request.api]
        attempt.body = body = ResponseBody(self._time_slices, request.reply_limit, dialect.end_marks)
        try:
            await self._time_slices.acquire_to_send()  # outside the timeout: only this machine causes the wait
            with _head_timeouts(body, request.timeouts) as waiting:
                head = await self._send(request, body)
            if waiting.cancelled_caught:
                attempt.fold.add(head_timeout(body.write_start_ns, body.sent_ns, request.timeouts, perf_counter_ns()))
            else:
                await read_response(head, request.timeouts, attempt, self._time_slices, watch, dialect=dialect)
        except Exception as error:  # noqa: BLE001 -- resolvers, TLS and URLs raise too many types to list
            attempt.fold.add(connection_failure(error, perf_counter_ns()))
            # The traceback refers to the body, which refers to the error: only the garbage collector frees the cycle.
            error.with_traceback(None)
        finally:
            await body.aclose()

    async def _send(self, request: AttemptRequest, body: ResponseBody) -> ResponseHead:
        """Build and send the request in this task's time slice, which the transport ends before it waits."""
        try:
            head = await self._completion_head(request.api)
            return await self._transport.send(head, request.encode(), body)
        finally:
            self._time_slices.release()

    async def warm_up(self, connections: int) -> list[Phases]:
        """Build the head of the requests, open connections, and return the phases of each connection.

        A failure is ignored here: the request that needs the connection reports it.
        """
        try:
            head = await self._completion_head(self._endpoint.row.api)
        except Exception:  # noqa: BLE001 -- as in `ask`
            return []
        return await self._transport.open_connections(str(head.url), connections)

    async def list_models(self, timeouts: Timeouts | None = None) -> list[str]:
        """Return the ids that GET /models lists, in the endpoint's order.

        Raises:
            ProviderRefusal: the endpoint sends no response, or one that is not a list of models.

        """
        body, timeouts = ResponseBody(), timeouts or Timeouts()
        self.rate_limits = None
        try:
            with _head_timeouts(body, timeouts) as waiting:
                request = await self._head_by_sdk(
                    lambda sdk, headers: sdk.models.with_raw_response.list(extra_headers=headers),
                    self._endpoint.row.api,
                )
                head = await self._transport.send(request, b"", body)
                content = await body.read()
        except Exception as error:  # noqa: BLE001 -- as in `ask`
            raise ProviderRefusal(connection_failure(error, perf_counter_ns())) from None
        finally:
            await body.aclose()
        if waiting.cancelled_caught:
            raise ProviderRefusal(head_timeout(body.write_start_ns, body.sent_ns, timeouts, perf_counter_ns()))
        self.rate_limits = rate_limits(head.headers)
        return _parse_models(head, content)

    async def aclose(self) -> None:
        """Close every connection."""
        self._open.close()
        await self._transport.aclose()

    async def _completion_head(self, api: Api) -> RequestHead:
        """Return the head that all completion requests in one dialect share."""
        if api not in self._heads:
            self._heads[api] = await self._head_by_sdk(DIALECTS[api].send, api)
        return self._heads[api]

    async def _head_by_sdk(
        self, send: Callable[[AsyncOpenAI, Mapping[str, Any]], Awaitable[object]], api: Api
    ) -> RequestHead:
        """Return the head of the request that a call of the SDK builds; nothing is sent."""
        transport = _CapturingTransport()
        headers = _headers(self._endpoint, DIALECTS[api])
        omitted = {} if isinstance(headers.get("Authorization"), str) else {"Authorization": Omit()}
        async with _open_sdk(self._endpoint, api, headers, transport) as sdk:
            await send(sdk, omitted)
        return transport.heads[0]


@dataclass(frozen=True, slots=True)
class _CapturingTransport(httpx2.AsyncBaseTransport):
    """A transport for the SDK that keeps the heads of its requests and sends nothing."""

    heads: list[RequestHead] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Keep the head of a request."""
        self.heads.append(RequestHead.of(request))
        return httpx2.Response(200, request=request)


@contextmanager
def _head_timeouts(body: ResponseBody, timeouts: Timeouts) -> Iterator[anyio.CancelScope]:
    """Limit the times to connect, to write the request, and from then until the response starts."""
    with anyio.move_on_after(timeouts.connect) as scope:

        def allow_upload() -> None:
            scope.deadline = anyio.current_time() + timeouts.total

        def restart() -> None:
            scope.deadline = anyio.current_time() + min(timeouts.first_token, timeouts.total)

        body.when_connected, body.when_sent = allow_upload, restart
        yield scope


def _parse_models(head: ResponseHead, content: bytes) -> list[str]:
    at_ns = perf_counter_ns()
    if not 200 <= head.status < 300:
        raise ProviderRefusal(classify_response(head.status, head.headers, content, at_ns=at_ns))
    try:
        listed = json.loads(content)
        rows = listed["data"] if isinstance(listed, dict) else listed
        return [str(row["id"]).removeprefix("models/") for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        message = f"GET /models did not give a list of models ({error})"
        raise ProviderRefusal(Failed(at_ns, Outcome.BAD_STREAM, message)) from None


def _open_sdk(
    endpoint: Endpoint, api: Api, headers: Mapping[str, str | Omit], transport: httpx2.AsyncBaseTransport
) -> AsyncOpenAI:
    """Return the SDK's client for an endpoint, without headers, retries, redirects and proxies of its own."""
    sdk = AsyncOpenAI(
        # The SDK requires a key. It is not sent if the endpoint has none, or sends it in another header.
        api_key=endpoint.key.reveal() if endpoint.key is not None else "none",
        base_url=endpoint.url_of(api),
        max_retries=0,
        timeout=httpx2.Timeout(None),
        default_headers=headers,  # type: ignore[arg-type]  # the SDK also accepts `Omit`
        http_client=httpx2.AsyncClient(transport=transport, follow_redirects=False, trust_env=False),
    )
    # The SDK takes these from OPENAI_* variables and would send them to every host.
    sdk.organization = sdk.project = None
    return sdk


def _headers(endpoint: Endpoint, dialect: Dialect) -> dict[str, str | Omit]:
    """Return the endpoint's headers, and an omission for each that OPENAI_CUSTOM_HEADERS would send to every host."""
    ambient = os.environ.get("OPENAI_CUSTOM_HEADERS", "")
    headers: dict[str, str | Omit] = {
        line.split(":", 1)[0].strip(): Omit() for line in ambient.split("\n") if ":" in line
    }
    own = {name.lower() for name in endpoint.row.headers}
    headers |= {name: value for name, value in dialect.headers.items() if name not in own}
    headers |= endpoint.row.headers
    auth = endpoint.row.auth or dialect.auth
    if endpoint.key is not None and auth == "bearer":
        headers["Authorization"] = f"Bearer {endpoint.key.reveal()}"  # else the SDK would use one from the environment
    elif endpoint.key is not None:
        headers[auth] = endpoint.key.reveal()
    return headers


@contextmanager
def _keys_hidden_in_log(redactor: Redactor) -> Iterator[None]:
    """Hide keys in the SDK's log for the length of a `with` block."""

    def hide(record: logging.LogRecord) -> bool:
        record.msg, record.args = redactor.in_errors(record.getMessage()), ()
        return True

    SDK_LOGGER.addFilter(hide)
    try:
        yield
    finally:
        SDK_LOGGER.removeFilter(hide)

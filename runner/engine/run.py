"""The run itself: workers take conversations from their lane and hold them, turn by turn.

Each provider has its own lane and workers, so that a slow or failing one never holds up another. Whoever works
takes the next request from a lazy plan: memory does not grow with the number of requests.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from time import perf_counter_ns

import anyio

from runner.engine.descriptors import allow_connections
from runner.engine.exchange import Exchange
from runner.engine.interrupt import stop_on_signals
from runner.engine.lane import Lane
from runner.engine.lateness import measure_lateness
from runner.engine.observer import Observer
from runner.engine.quiet import keep_collector_away
from runner.errors import CompareError
from runner.events import TIMED, Outcome
from runner.journal import Writer
from runner.plan import Plan, Request
from runner.providers.endpoint import Endpoint
from runner.providers.redaction import Redactor
from runner.record import Marks, Record
from runner.wire.airtime import Airtime
from runner.wire.client import Client


@asynccontextmanager
async def open_exchanges(
    endpoints: Mapping[str, Endpoint],
    *,
    limits: Mapping[str, int],
    connect_s: float,
    journal: Writer,
    observer: Observer,
    redactor: Redactor,
    salt: str,
) -> AsyncIterator[dict[str, Exchange]]:
    """Open a client and a lane for each provider; the run's clock starts when all are ready.

    Args:
        endpoints: where each provider is.
        limits: how many requests each provider may have under way.
        connect_s: seconds that opening a connection may take.
        journal: where records go.
        observer: who wants to know.
        redactor: hides keys in what providers say of their failures.
        salt: differs between runs; keeps nonces of `cache: bust` from repeating.

    """
    allow_connections(sum(limits[name] for name in endpoints))
    airtime = Airtime()
    clients = {name: Client(endpoint, connect_s, airtime) for name, endpoint in endpoints.items()}
    epoch_ns = perf_counter_ns()
    try:
        with measure_lateness() as late:
            yield {
                name: Exchange(
                    client=client,
                    row=endpoints[name].row,
                    lane=Lane(name, limits[name]),
                    journal=journal,
                    observer=observer,
                    redactor=redactor,
                    airtime=airtime,
                    late=late,
                    epoch_ns=epoch_ns,
                    salt=salt,
                )
                for name, client in clients.items()
            }
    finally:
        with anyio.CancelScope(shield=True):
            for client in clients.values():
                await client.aclose()


async def execute(plan: Plan, exchanges: Mapping[str, Exchange], journal: Writer) -> bool:
    """Ask all that a plan holds; return whether it was finished, not interrupted by a signal."""
    async with stop_on_signals() as stop:
        with stop.scope:
            await _work_all(plan, exchanges)
    finished = not stop.scope.cancel_called
    if finished:
        journal.append({"kind": "end"})
    return finished


async def _work_all(plan: Plan, exchanges: Mapping[str, Exchange]) -> None:
    try:
        async with anyio.create_task_group() as warming:
            for provider in plan.conversations():
                warming.start_soon(_warm_up, plan, exchanges[provider])
        with keep_collector_away():
            async with anyio.create_task_group() as workers:
                ready_ns = perf_counter_ns()
                for provider in plan.conversations():
                    exchange, requests = exchanges[provider], plan.opening_requests(provider)
                    for _ in range(exchange.lane.limit):
                        workers.start_soon(_work, exchange, requests, ready_ns)
    except ExceptionGroup as group:
        # Several workers meet the same full disk; one sentence says it.
        told, bugs = group.split(CompareError)
        if told is None or bugs is not None:
            raise
        raise _first_leaf(told) from None


def _first_leaf(group: BaseExceptionGroup[CompareError]) -> CompareError:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


async def _warm_up(plan: Plan, exchange: Exchange) -> None:
    """Open a lane's connections, then send the warm-up requests that were asked for, if any."""
    provider, limit = exchange.lane.provider, exchange.lane.limit
    await exchange.warm_up(min(limit, plan.conversations()[provider]))
    requests = plan.warmup_requests(provider)

    async def work() -> None:
        for request in requests:
            await exchange.hold(request, perf_counter_ns())

    async with anyio.create_task_group() as workers:
        for _ in range(limit):
            workers.start_soon(work)


async def _work(exchange: Exchange, requests: Iterator[Request], ready_ns: int) -> None:
    """Hold one conversation after the other until the lane's plan is used up."""
    for opening in requests:
        await _converse(exchange, opening, ready_ns)


async def _converse(exchange: Exchange, opening: Request, ready_ns: int) -> None:
    request: Request | None = opening
    while request is not None:
        record = await exchange.hold(request, ready_ns)
        if record.outcome not in TIMED:
            _skip_unasked(exchange, request)
            return
        request = request.follow(record.reply or "")
        ready_ns = perf_counter_ns()


def _skip_unasked(exchange: Exchange, failed: Request) -> None:
    """Record the turns that cannot be asked: every planned request has its row."""
    for request in failed.unasked():
        reason = f"turn {failed.turn} of this conversation failed"
        exchange.write(Record(request.identity(), Marks(), Outcome.SKIPPED, error=reason, attempts=0))

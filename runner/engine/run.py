"""The run itself: opens the senders and lanes, warms up, and holds all conversations of each level of load.

Each provider has its own lanes, so that a slow or failing one delays another only as far as the order requires.
Conversations are taken from a lazy plan: memory does not grow with their number.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from math import ceil

import anyio

from runner.core.load_profile import LoadProfile
from runner.engine.attempt_runners import OpenAttemptRunners, open_local_runners
from runner.engine.conversations import OpenLane, WarmUp, hold_conversations
from runner.engine.group_order import FirstMissing
from runner.engine.lane_limits import ConcurrencyLimit
from runner.engine.lane_schedule import Levels, RunRules, StopCheck, first_request, never_stop
from runner.engine.permit_queue import LaneQueues
from runner.engine.process_limits_and_signals import allow_connections, cancel_on_signals, rare_gc
from runner.engine.request_template_and_refused_fields import RequestTemplates
from runner.engine.send_requests import RequestSender, SendContext
from runner.engine.spread_rounds import Spread
from runner.errors import CompareError
from runner.planning.plan import Plan
from runner.planning.request import Target
from runner.providers.endpoint import Endpoint
from runner.storage.journal.writer import RecordLog


@asynccontextmanager
async def open_senders(
    endpoints: Mapping[str, Endpoint],
    limits: Mapping[str, int],
    context: SendContext,
    *,
    connect_s: float,
    open_runners: OpenAttemptRunners = open_local_runners,
) -> AsyncIterator[dict[str, RequestSender]]:
    """Open a sender for each provider.

    Args:
        endpoints: the endpoint of each provider.
        limits: the maximum number of requests in flight of each provider, apart from models with limits of their own.
        context: what the senders share.
        connect_s: seconds that opening a connection may take.
        open_runners: opens the attempt runners; by default in this process.

    Raises:
        CompareError: this process cannot have that many connections.

    """
    allow_connections(sum(limits[name] for name in endpoints))
    async with open_runners(endpoints, connect_s, context.time_slices) as runners:
        yield {
            name: RequestSender(
                runner,
                RequestTemplates(endpoints[name].row),
                LaneQueues(name, endpoints[name].row, limits[name]),
                context,
            )
            for name, runner in runners.items()
        }


async def send_plan(
    plan: Plan,
    senders: Mapping[str, RequestSender],
    journal: RecordLog,
    *,
    load: LoadProfile | None = None,
    first_missing: FirstMissing | None = None,
    stop: StopCheck | None = None,
    refuse_warmup: StopCheck | None = None,
    spread: Spread | None = None,
) -> bool:
    """Send all requests of a plan; return whether the run ended by itself, and not by a signal.

    Args:
        plan: the requests, their targets and their order.
        senders: the sender of each provider.
        journal: the journal to which the end is written, with the reason if it came early.
        load: the load profile.
        first_missing: returns, given a conversation's first request, the first one to send; None if none is left.
        stop: called before each conversation; once it returns a reason, no other conversation begins.
        refuse_warmup: called before each warm-up request and probe; once it returns a reason, nothing more is sent.
        spread: the times at which rounds may begin.

    Raises:
        CompareError: the journal cannot be written, or another failure that ends the run.

    """
    reason = None
    async with cancel_on_signals() as scope:
        with scope:
            rules = RunRules(load or LoadProfile(), first_missing or first_request, stop or never_stop, spread)
            reason = await _run_levels(plan, senders, rules, WarmUp(refuse_warmup or never_stop))
    finished = not scope.cancel_called
    if finished:
        journal.append({"kind": "end"} if reason is None else {"kind": "end", "reason": reason})
    return finished


async def _run_levels(
    plan: Plan,
    senders: Mapping[str, RequestSender],
    rules: RunRules,
    warming: WarmUp,
) -> str | None:
    """Warm up and run every level; return why the run ended early, None if it did not."""
    load = rules.load
    lanes = _open_lanes(plan, senders, load)
    levels = Levels(plan, rules, [lane.scheduled for lane in lanes])
    allow_connections(sum(max(load.levels, default=lane.queue.lane.limit.highest) for lane in lanes))
    try:
        async with anyio.create_task_group() as tasks:
            for provider in plan.providers():
                connections = _connections(plan, load, provider, lanes)
                tasks.start_soon(_prepare, plan, senders[provider], connections, warming)
        with rare_gc():
            if warming.refusal is None:
                await hold_conversations(lanes, levels, warming)
    except ExceptionGroup as group:
        # Several conversations may fail for the same reason, such as a full disk, which is reported once.
        expected, bugs = group.split(CompareError)
        if expected is None or bugs is not None:
            raise
        raise _first_leaf(expected) from None
    return warming.refusal or levels.describe_early_end()


def _first_leaf(group: BaseExceptionGroup[CompareError]) -> CompareError:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


def _open_lanes(plan: Plan, senders: Mapping[str, RequestSender], load: LoadProfile) -> list[OpenLane]:
    """Return the lanes with the targets of each, and notify the observers of them."""
    targets_of: dict[str, list[Target]] = {}
    for target in plan.targets:
        queue = senders[target.provider].queues.for_model(target.model)
        targets_of.setdefault(queue.lane.name, []).append(target)
    opened = []
    for name, targets in targets_of.items():
        sender = senders[targets[0].provider]
        queue = sender.queues.for_model(targets[0].model)
        open_lane, lane = OpenLane(sender, queue, tuple(targets), plan.seed, load, plan.repeat), queue.lane
        lane.limit = ConcurrencyLimit.of(lane.limit.ceiling, adaptive=load.adaptive)
        sender.context.observer.lane_opened(name, open_lane.targets, lane.limit.width)
        opened.append(open_lane)
    return opened


def _connections(plan: Plan, load: LoadProfile, provider: str, lanes: Sequence[OpenLane]) -> int:
    """Return the number of connections to open to a provider in advance: those in use at once, as far as is known."""
    widths = [
        max(load.levels, default=lane.queue.lane.limit.width) for lane in lanes if lane.queue.lane.provider == provider
    ]
    connections = sum(widths)
    if load.rate is not None:
        connections = min(connections, ceil(load.rate * sum(target.provider == provider for target in plan.targets)))
    conversations = plan.conversations_with(provider)
    return connections if conversations is None else min(connections, conversations)


async def _prepare(plan: Plan, sender: RequestSender, connections: int, warming: WarmUp) -> None:
    """Open a provider's connections, then send the probes for a plan's sized inputs."""
    await sender.warm_up(connections)
    await sender.context.probes.send(plan, sender, sender.context.journal, warming.may_send)

"""The run itself: lanes are opened and warmed up, then each level of load is gone through.

Each provider has its own lanes, so that a slow or failing one holds up another by no more than the order demands.
Conversations are taken from a lazy plan: memory does not grow with their number.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from math import ceil
from time import perf_counter_ns

import anyio

from runner.core.load import LoadProfile
from runner.engine.attempts import OpenAskers, open_own_askers
from runner.engine.descriptors import allow_connections
from runner.engine.dispatch import Track, dispatch
from runner.engine.exchange import RequestExchange
from runner.engine.gc_pause import keep_collector_away
from runner.engine.interrupt import stop_on_signals
from runner.engine.lane_queues import LaneQueues
from runner.engine.limit import fix, reset
from runner.engine.observer import Observer
from runner.engine.recorder import Recorder
from runner.engine.request_template import RequestTemplates
from runner.engine.schedule import Resume, Schedule, Stop, from_the_start, never
from runner.errors import CompareError
from runner.planning.plan import Plan, Target
from runner.providers.endpoint import Endpoint
from runner.providers.redaction import Redactor
from runner.storage.journal import JournalWriter
from runner.wire.time_slices import TimeSlices


@asynccontextmanager
async def open_exchanges(
    endpoints: Mapping[str, Endpoint],
    *,
    limits: Mapping[str, int],
    connect_s: float,
    journal: JournalWriter,
    observer: Observer,
    redactor: Redactor,
    salt: str,
    elapsed_ns: int = 0,
    recorder: Recorder | None = None,
    open_askers: OpenAskers = open_own_askers,
) -> AsyncIterator[dict[str, RequestExchange]]:
    """Open an asker and the lanes for each provider; the run's clock starts when all are ready.

    Args:
        endpoints: where each provider is.
        limits: how many requests each provider may have under way, models with limits of their own apart.
        connect_s: seconds that opening a connection may take.
        journal: where records go.
        observer: who wants to know.
        redactor: hides keys in what providers say of their failures.
        salt: differs between runs; keeps nonces of `cache: bust` from repeating.
        elapsed_ns: how long ago the run was begun, if it goes on where it was left: stamps go on as well.
        recorder: keeps what is heard, byte for byte, if that is wanted.
        open_askers: opens those who send and hear; they do it in this process, unless somebody says otherwise.

    """
    allow_connections(sum(limits[name] for name in endpoints))
    airtime = TimeSlices()
    epoch_ns = perf_counter_ns() - elapsed_ns
    async with open_askers(endpoints, connect_s, airtime) as askers:
        yield {
            name: RequestExchange(
                asker=asker,
                forms=RequestTemplates(endpoints[name].row),
                doors=LaneQueues(name, endpoints[name].row, limits[name]),
                journal=journal,
                observer=observer,
                redactor=redactor,
                airtime=airtime,
                epoch_ns=epoch_ns,
                salt=salt,
                recorder=recorder,
            )
            for name, asker in askers.items()
        }


async def execute(
    plan: Plan,
    exchanges: Mapping[str, RequestExchange],
    journal: JournalWriter,
    *,
    load: LoadProfile | None = None,
    resume: Resume | None = None,
    stop: Stop | None = None,
) -> bool:
    """Ask all that a plan holds; return whether the run came to its end and was not interrupted by a signal.

    Args:
        plan: what to ask, of whom, in which order.
        exchanges: provider -> what asks it.
        journal: where the end is noted, with the reason if it came early.
        load: how hard to press.
        resume: told a conversation's first request, says where to begin; None if nothing of it is left.
        stop: asked before each conversation; a sentence means that none is begun any more. Those under way end.

    """
    reason = None
    async with stop_on_signals() as interrupt:
        with interrupt.scope:
            reason = await _ask_all(plan, exchanges, load or LoadProfile(), resume, stop)
    finished = not interrupt.scope.cancel_called
    if finished:
        journal.append({"kind": "end"} if reason is None else {"kind": "end", "reason": reason})
    return finished


async def _ask_all(
    plan: Plan, exchanges: Mapping[str, RequestExchange], load: LoadProfile, resume: Resume | None, stop: Stop | None
) -> str | None:
    """Warm up and go through every level; return why the run was ended early, None if it was not."""
    tracks = _lay_tracks(plan, exchanges, load)
    lanes = {track.door.lane.name: track.targets for track in tracks}
    allow_connections(sum(max(load.levels, default=track.door.lane.limit.highest) for track in tracks))
    reason = None
    try:
        async with anyio.create_task_group() as warming:
            for provider in plan.providers():
                warming.start_soon(_warm_up, plan, exchanges[provider], _connections(plan, load, provider, tracks))
        with keep_collector_away():
            for level, width in enumerate(load.levels or (None,)):
                now_ns = perf_counter_ns()
                if width is not None:
                    _hold_level(tracks, width, now_ns)
                schedule = Schedule(plan, load, lanes, now_ns, level, resume or from_the_start, stop or never)
                await dispatch(schedule, tracks)
                reason = schedule.account()
                if schedule.is_stopped:
                    break
    except ExceptionGroup as group:
        # Several conversations meet the same full disk; one sentence says it.
        told, bugs = group.split(CompareError)
        if told is None or bugs is not None:
            raise
        raise _first_leaf(told) from None
    return reason


def _first_leaf(group: BaseExceptionGroup[CompareError]) -> CompareError:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


def _lay_tracks(plan: Plan, exchanges: Mapping[str, RequestExchange], load: LoadProfile) -> list[Track]:
    """Sort the targets into their lanes, and let everybody who watches know of them."""
    targets_of: dict[str, list[Target]] = {}
    for target in plan.targets:
        lane = exchanges[target.provider].doors.of(target.model).lane
        targets_of.setdefault(lane.name, []).append(target)
    tracks = []
    for name, targets in targets_of.items():
        exchange = exchanges[targets[0].provider]
        track = Track(exchange, exchange.doors.of(targets[0].model), tuple(targets))
        lane = track.door.lane
        lane.limit = fix(lane.limit.ceiling, adaptive=load.adaptive)
        exchange.observer.opened(name, track.targets, lane.limit.width)
        tracks.append(track)
    return tracks


def _hold_level(tracks: Sequence[Track], width: int, now_ns: int) -> None:
    """Set every lane to a level of the sweep."""
    for track in tracks:
        lane = track.door.lane
        track.exchange.note_limit(lane, lane.set_limit(reset(lane.limit, width), now_ns, f"the sweep is at {width}"))


def _connections(plan: Plan, load: LoadProfile, provider: str, tracks: Sequence[Track]) -> int:
    """Return how many connections to open beforehand: as many as are used at once, as far as that is known."""
    lanes = [track.door.lane for track in tracks if track.door.lane.provider == provider]
    at_once = sum(max(load.levels, default=lane.limit.width) for lane in lanes)
    if load.rate is not None:
        at_once = min(at_once, ceil(load.rate * sum(target.provider == provider for target in plan.targets)))
    conversations = plan.conversations_with(provider)
    return at_once if conversations is None else min(at_once, conversations)


async def _warm_up(plan: Plan, exchange: RequestExchange, connections: int) -> None:
    """Open a provider's connections, then send the warm-up requests that were asked for, if any."""
    await exchange.warm_up(connections)
    requests = plan.warmup_requests(exchange.doors.provider)

    async def work() -> None:
        for request in requests:
            await exchange.hold(request, perf_counter_ns())

    async with anyio.create_task_group() as workers:
        for _ in range(connections):
            workers.start_soon(work)

"""What the schedule begins at which time, in runs under a virtual clock."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.load import LoadProfile
from runner.core.nodes import Node
from runner.core.suite import Case, Parameters
from runner.engine.concurrency_limit import ConcurrencyLimit
from runner.engine.lane import Lane
from runner.engine.rate_limit import MINUTE_NS, SPAN_NS, RateWindow
from runner.planning.plan import Order, Plan, Request, Target
from tests.support.plans import first_requests
from tests.support.virtual_run import SECOND_NS, TimedConversation, VirtualRun, shortest_ns

PROVIDERS = "abc"
WIDTHS = st.fixed_dictionaries({name: st.integers(1, 4) for name in PROVIDERS})
LIMITS = st.none() | st.integers(1, 5)
ORDERS = st.sampled_from(["blocks", "free", "as-written"])
SLOWNESS = st.fixed_dictionaries({name: st.integers(1, 40) for name in PROVIDERS})


def plan_of(cases: int, repeat: int | None, order: Order = "blocks", seed: int = 0, models: int = 1) -> Plan:
    """Return a plan for three providers."""
    targets = tuple(Target(provider, f"m-{number}", Parameters()) for provider in PROVIDERS for number in range(models))
    return Plan(tuple(Case(f"case-{n}", ("Hello?",)) for n in range(cases)), targets, repeat, seed, order)


def lanes_of(widths: dict[str, int], rpm: int | None = None, tpm: int | None = None) -> dict[str, Lane]:
    """Return a lane for each provider."""
    return {
        name: Lane(
            name,
            ConcurrencyLimit.of(width),
            requests=None if rpm is None else RateWindow(rpm),
            tokens=None if tpm is None else RateWindow(tpm),
        )
        for name, width in widths.items()
    }


def draw(request: Request) -> float:
    """Return a number from 0 to 1 that depends on the request alone."""
    return int(sha256(request.key.encode()).hexdigest()[:8], 16) / 2**32


def uneven_durations(slowness: dict[str, int]) -> Callable[[Request], int]:
    """Return durations that vary around each provider's slowness, a few of them ten times as long."""

    def lasts_ns(request: Request) -> int:
        stretched = 10 if draw(request) > 0.95 else 1
        return 1 + round(slowness[request.target.provider] * stretched * draw(request) * SECOND_NS)

    return lasts_ns


def of_lane(held: list[TimedConversation], name: str) -> list[TimedConversation]:
    """Return one lane's conversations."""
    return [each for each in held if each.lane == name]


SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6), ORDERS, st.integers(0, 99), st.integers(1, 2))


@given(SHAPES, WIDTHS, SLOWNESS, st.integers(0, 3), st.integers(0, 3))
def test_every_conversation_is_held_once_in_order_within_the_limit(
    shape: tuple[int, int, Order, int, int], widths: dict[str, int], slowness: dict[str, int], lead: int, nodes: int
) -> None:
    """Each lane holds its part of the plan in the plan's order, within its limit, over all nodes together."""
    plan = replace(plan_of(*shape), vantages=tuple(Node(f"n{at}", None) for at in range(nodes)))
    held = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), LoadProfile(lead=lead)).run()
    assert Counter(each.request.key for each in held) == Counter(r.key for r in first_requests(plan))
    for name, width in widths.items():
        mine = of_lane(held, name)
        assert [each.request for each in mine] == [r for r in first_requests(plan) if r.target.provider == name]
        assert most_in_flight(mine) <= width


def most_in_flight(held: list[TimedConversation]) -> int:
    """Return the highest number of conversations in flight at one time."""
    steps = sorted([(each.end_ns, -1) for each in held] + [(each.start_ns, 1) for each in held])
    in_flight = most = 0
    for _, step in steps:
        in_flight += step
        most = max(most, in_flight)
    return most


@given(SHAPES, WIDTHS, SLOWNESS, st.integers(0, 3))
def test_no_lane_leads_by_more_than_the_lead(
    shape: tuple[int, int, Order, int, int], widths: dict[str, int], slowness: dict[str, int], lead: int
) -> None:
    """In the order `blocks`, a lane begins a block only if every other lane has begun all blocks further behind."""
    plan = replace(plan_of(*shape), order="blocks")
    held = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), LoadProfile(lead=lead)).run()
    left = {name: [each.request.block for each in of_lane(held, name)] for name in widths}
    for each in held:
        slowest = min((blocks[0] for blocks in left.values() if blocks), default=inf)
        assert each.request.block <= slowest + lead
        left[each.lane].pop(0)


@pytest.mark.parametrize("order", ["free", "as-written"])
def test_lanes_do_not_wait_for_each_other_in_free_order(order: Order) -> None:
    """A lane that is a thousand times faster is done before the slow one has finished its first block."""
    lasts = {"a": 1, "b": 1000, "c": 1000}
    held = VirtualRun(plan_of(2, 10, order), lanes_of(dict.fromkeys("abc", 1)), by_provider(lasts)).run()
    assert max(each.end_ns for each in of_lane(held, "a")) < min(each.end_ns for each in of_lane(held, "b"))


def by_provider(lasts_s: dict[str, int]) -> Callable[[Request], int]:
    """Return durations that are equal for all requests to a provider."""
    return lambda request: lasts_s[request.target.provider] * SECOND_NS


# Makespan


@given(SHAPES, WIDTHS, SLOWNESS, st.integers(0, 3))
def test_makespan_is_the_lower_bound_of_the_order(
    shape: tuple[int, int, Order, int, int], widths: dict[str, int], slowness: dict[str, int], lead: int
) -> None:
    """No run takes longer than its order requires, however lanes and requests differ."""
    plan, lasts_ns = plan_of(*shape), uneven_durations(slowness)
    held = VirtualRun(plan, lanes_of(widths), lasts_ns, LoadProfile(lead=lead)).run()
    bound_ns = shortest_ns(plan, widths, lasts_ns, lead if plan.order == "blocks" else None)
    assert max(each.end_ns for each in held) == bound_ns


def test_long_run_keeps_its_slowest_lane_busy() -> None:
    """Over 6,000 requests the slowest lane's work, divided by its width, takes 98 % of the time."""
    widths, slowness = {"a": 4, "b": 4, "c": 2}, {"a": 3, "b": 2, "c": 1}
    held = VirtualRun(plan_of(10, 200, "free"), lanes_of(widths), uneven_durations(slowness)).run()
    work_ns = {name: sum(each.end_ns - each.start_ns for each in of_lane(held, name)) for name in widths}
    needed_ns = max(work_ns[name] / width for name, width in widths.items())
    assert max(each.end_ns for each in held) <= 1.02 * needed_ns


def test_makespan_of_a_long_run_in_blocks_is_the_lower_bound() -> None:
    """The same 6,000 requests in blocks take exactly as long as the order requires."""
    widths, slowness = {"a": 4, "b": 4, "c": 2}, {"a": 3, "b": 2, "c": 1}
    plan, lasts_ns = plan_of(10, 200), uneven_durations(slowness)
    held = VirtualRun(plan, lanes_of(widths), lasts_ns).run()
    assert max(each.end_ns for each in held) == shortest_ns(plan, widths, lasts_ns, lead=2)


# Rates


@given(SHAPES, WIDTHS, SLOWNESS, LIMITS, st.none() | st.integers(20, 200))
def test_no_minute_exceeds_its_limits(
    shape: tuple[int, int, Order, int, int],
    widths: dict[str, int],
    slowness: dict[str, int],
    rpm: int | None,
    tpm: int | None,
) -> None:
    """Neither requests nor tokens exceed their limit in any 60 s, except a single request that is too large."""
    plan = plan_of(*shape)
    plan = replace(plan, targets=tuple(replace(t, parameters=Parameters(max_tokens=60)) for t in plan.targets))
    held = VirtualRun(plan, lanes_of(widths, rpm, tpm), uneven_durations(slowness), uses=tokens_of).run()
    assert len(held) == len(plan)
    for name in widths:
        mine = of_lane(held, name)
        for place, first in enumerate(mine):
            minute = [each for each in mine[place:] if each.start_ns < first.start_ns + MINUTE_NS]
            assert rpm is None or len(minute) <= rpm
            assert tpm is None or len(minute) == 1 or sum(sum(tokens_of(each.request)) for each in minute) <= tpm


def tokens_of(request: Request) -> tuple[int, int]:
    """Return the tokens that a request uses, at most those expected of a reply of at most 60 tokens."""
    return 5, round(60 * draw(request))


@given(SHAPES, WIDTHS, SLOWNESS, LIMITS, st.integers(0, 2))
def test_no_lane_is_idle_while_it_could_send(
    shape: tuple[int, int, Order, int, int],
    widths: dict[str, int],
    slowness: dict[str, int],
    rpm: int | None,
    lead: int,
) -> None:
    """After each moment, every lane with work left is full, or too far ahead, or has used up its minute."""
    plan = plan_of(*shape)
    queues = {name: [r for r in first_requests(plan) if r.target.provider == name] for name in widths}

    def look(run: VirtualRun, now_ns: int) -> None:
        done = Counter(each.lane for each in run.held)
        heads = {name: queue[done[name]].block for name, queue in queues.items() if done[name] < len(queue)}
        for name, block in heads.items():
            mine = of_lane(run.held, name)
            full = sum(each.end_ns > now_ns for each in mine) == widths[name]
            ahead = plan.order == "blocks" and block > min(heads.values()) + lead
            used_up = rpm is not None and sum(each.start_ns > now_ns - SPAN_NS for each in mine) >= rpm
            assert full or ahead or used_up, f"lane {name} is idle at {now_ns}"

    VirtualRun(plan, lanes_of(widths, rpm), uneven_durations(slowness), LoadProfile(lead=lead), after_moment=look).run()


# An open loop


@given(st.floats(0.1, 50), st.sampled_from(["constant", "poisson"]), st.integers(0, 99), st.integers(1, 3), SLOWNESS)
def test_open_loop_sends_at_the_planned_times(
    rate: float, arrivals: str, seed: int, models: int, slowness: dict[str, int]
) -> None:
    """If lanes are wide enough, nothing waits for replies: each request begins when it is due."""
    plan = plan_of(3, 4, seed=seed, models=models)
    load = LoadProfile(rate=rate, arrivals=arrivals)  # type: ignore[arg-type]
    held = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, 10_000)), uneven_durations(slowness), load).run()
    assert [each.planned_ns for each in held] == [each.start_ns for each in held]
    assert len(held) == len(plan)
    times = {target.name: [each.start_ns for each in held if each.request.target == target] for target in plan.targets}
    gaps = {name: [b - a for a, b in pairwise(at)] for name, at in times.items()}
    first = gaps[plan.targets[0].name]
    # Rounding to whole nanoseconds may differ by one at either end.
    assert all(abs(a - b) <= 2 for each in gaps.values() for a, b in zip(each, first, strict=True))


def test_delayed_open_loop_requests_keep_their_planned_time() -> None:
    """If a lane is too narrow for the rate, every request still has the time at which it was due."""
    plan = Plan((Case("case", ("Hello?",)),), (Target("a", "m", Parameters()),), repeat=5)
    lanes = {"a": Lane("a", ConcurrencyLimit.of(1))}
    held = VirtualRun(plan, lanes, lambda _: 2 * SECOND_NS, LoadProfile(rate=1)).run()
    assert [(each.planned_ns or 0) / SECOND_NS for each in held] == [0, 1, 2, 3, 4]
    assert [each.start_ns / SECOND_NS for each in held] == [0, 2, 4, 6, 8]


@given(st.floats(1, 30), st.sampled_from(["constant", "poisson"]), st.integers(1, 3), st.booleans())
def test_overdue_open_loop_conversations_are_counted(rate: float, arrivals: str, width: int, is_open: bool) -> None:
    """Those begun and those not begun are together all that were due, whether or not the lane was wide enough."""
    plan = plan_of(2, None if is_open else 30)
    load = LoadProfile(rate=rate, arrivals=arrivals, duration_s=5)  # type: ignore[arg-type]
    wide = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, 10_000)), lambda _: SECOND_NS, load)
    narrow = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, width)), lambda _: SECOND_NS, load)
    overdue = len(wide.run()) - len(narrow.run())
    reason = narrow.schedule.describe_early_end() or ""
    assert (f"; {overdue} conversations due by then were not begun" in reason) is (overdue > 0)
    assert "not begun" not in (wide.schedule.describe_early_end() or "")


# Ends


@given(st.integers(1, 40), WIDTHS, SLOWNESS, st.integers(1, 3))
def test_endless_run_stops_after_max_requests(
    most: int, widths: dict[str, int], slowness: dict[str, int], turns: int
) -> None:
    """Exactly that many are sent, or, if a conversation no longer fits, the most that do."""
    plan = plan_of(2, None)
    plan = replace(plan, cases=tuple(replace(case, turns=("Hello?",) * turns) for case in plan.cases))
    run = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), LoadProfile(max_requests=most))
    held = run.run()
    assert len(held) == most // turns
    assert run.schedule.reason is not None
    assert not run.schedule.is_stopped


def test_endless_run_stops_after_its_duration() -> None:
    """Nothing begins after the duration, and every lane has worked until then."""
    run = VirtualRun(
        plan_of(2, None, "free"),
        lanes_of({"a": 1, "b": 2, "c": 3}),
        by_provider({"a": 3, "b": 3, "c": 3}),
        LoadProfile(duration_s=60),
    )
    held = run.run()
    assert Counter(each.lane for each in held) == {"a": 20, "b": 40, "c": 60}
    assert max(each.start_ns for each in held) < 60 * SECOND_NS
    assert run.schedule.reason == "stopped after 60 s (--duration)"


def test_stop_check_is_called_before_each_conversation() -> None:
    """A reason ends the run in all lanes; conversations begun before are not affected."""
    asked: list[int] = []

    def stop() -> str | None:
        asked.append(1)
        return "the budget is spent" if len(asked) > 7 else None

    run = VirtualRun(plan_of(5, None), lanes_of({"a": 2, "b": 2, "c": 2}), lambda _: SECOND_NS, stop=stop)
    assert len(run.run()) == 7
    assert len(asked) == 8
    assert (run.schedule.reason, run.schedule.is_stopped) == ("the budget is spent", True)


# Resuming a run


@given(SHAPES, WIDTHS, SLOWNESS, st.sets(st.integers(0, 60)), st.none() | st.integers(1, 30), st.booleans())
def test_resumed_run_sends_only_what_is_missing(  # noqa: PLR0917 -- hypothesis names them all
    shape: tuple[int, int, Order, int, int],
    widths: dict[str, int],
    slowness: dict[str, int],
    done: set[int],
    most: int | None,
    at_a_rate: bool,
) -> None:
    """Completed conversations are not held again; they count towards `max_requests`."""
    plan = plan_of(*shape)
    keys = {request.key for number, request in enumerate(first_requests(plan)) if number in done}

    def first_missing(opening: Request) -> Request | None:
        return None if opening.key in keys else opening

    load = LoadProfile(max_requests=most, rate=1.0 if at_a_rate else None)
    held = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), load, first_missing=first_missing).run()
    assert keys.isdisjoint(each.request.key for each in held)
    rest = len(plan) - len(keys)
    if most is None:
        assert len(held) == rest
    else:
        assert max(min(most - len(keys), rest), 0) <= len(held) <= min(most, rest)


def test_completed_conversations_are_skipped_in_steps() -> None:
    """A hundred thousand completed conversations do not hold up a single decision."""
    plan = plan_of(10, 10_000)
    calls = Counter[int]()

    def first_missing(opening: Request) -> Request | None:
        calls[0] += 1
        return opening if opening.block == 10_000 else None

    run = VirtualRun(plan, lanes_of({"a": 1, "b": 1, "c": 1}), lambda _: 1, first_missing=first_missing)
    before = calls[0]
    run.schedule.decide(run.lanes["a"], 0)
    assert calls[0] - before <= 32
    assert len(run.run()) == 30


def test_level_of_a_sweep_has_its_own_blocks() -> None:
    """Each level holds the blocks that belong to it."""
    plan = replace(plan_of(2, 3), levels=2)
    blocks = [
        {each.request.block for each in VirtualRun(plan, lanes_of({"a": 1, "b": 1, "c": 1}), lambda _: 1,
                                                   level=level).run()}
        for level in (0, 1)
    ]  # fmt: skip
    assert blocks == [{1, 2, 3}, {4, 5, 6}]


def test_schedule_is_deterministic() -> None:
    """Two runs of the same plan under the same clock are equal."""
    plan, lasts_ns = plan_of(5, 20, seed=3), uneven_durations({"a": 5, "b": 7, "c": 2})
    load = LoadProfile(rate=3, arrivals="poisson")
    runs = [VirtualRun(plan, lanes_of({"a": 2, "b": 3, "c": 4}), lasts_ns, load).run() for _ in range(2)]
    assert runs[0] == runs[1]

"""What a schedule begins when: shown by runs under a virtual clock, in which every wait is a number."""

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
from runner.engine.lane import Lane
from runner.engine.limit import fix
from runner.engine.window import MINUTE_NS, SPAN_NS, Window
from runner.planning.plan import Order, Plan, Request, Target
from tests.support.virtual_run import SECOND_NS, Held, VirtualRun, shortest_ns

PROVIDERS = "abc"
WIDTHS = st.fixed_dictionaries({name: st.integers(1, 4) for name in PROVIDERS})
LIMITS = st.none() | st.integers(1, 5)
ORDERS = st.sampled_from(["blocks", "free", "as-written"])
SLOWNESS = st.fixed_dictionaries({name: st.integers(1, 40) for name in PROVIDERS})


def plan_of(cases: int, repeat: int | None, order: Order = "blocks", seed: int = 0, models: int = 1) -> Plan:
    """Ask three providers so many cases."""
    targets = tuple(Target(provider, f"m-{number}", Parameters()) for provider in PROVIDERS for number in range(models))
    return Plan(tuple(Case(f"case-{n}", ("Hello?",)) for n in range(cases)), targets, repeat, seed, order)


def lanes_of(widths: dict[str, int], rpm: int | None = None, tpm: int | None = None) -> dict[str, Lane]:
    """Open a lane for each provider."""
    return {
        name: Lane(
            name,
            fix(width),
            requests=None if rpm is None else Window(rpm),
            tokens=None if tpm is None else Window(tpm),
        )
        for name, width in widths.items()
    }


def draw(request: Request) -> float:
    """Return a number from 0 to 1 that belongs to a request."""
    return int(sha256(request.key.encode()).hexdigest()[:8], 16) / 2**32


def uneven(slowness: dict[str, int]) -> Callable[[Request], int]:
    """Let every request last as long as it is slow, give or take; a few ten times as long."""

    def lasts_ns(request: Request) -> int:
        stretched = 10 if draw(request) > 0.95 else 1
        return 1 + round(slowness[request.target.provider] * stretched * draw(request) * SECOND_NS)

    return lasts_ns


def of_lane(held: list[Held], name: str) -> list[Held]:
    """Return what one lane has held."""
    return [each for each in held if each.lane == name]


SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6), ORDERS, st.integers(0, 99), st.integers(1, 2))


@given(SHAPES, WIDTHS, SLOWNESS, st.integers(0, 3), st.integers(0, 3))
def test_everything_is_held_once_in_order_and_within_every_limit(
    shape: tuple[int, int, Order, int, int], widths: dict[str, int], slowness: dict[str, int], lead: int, nodes: int
) -> None:
    """Each lane holds its part of the plan, in the plan's order, and never more at once than it may, over all nodes."""
    plan = replace(plan_of(*shape), vantages=tuple(Node(f"n{at}", None) for at in range(nodes)))
    held = VirtualRun(plan, lanes_of(widths), uneven(slowness), LoadProfile(lead=lead)).run()
    assert Counter(each.request.key for each in held) == Counter(r.key for r in plan.opening_requests())
    for name, width in widths.items():
        mine = of_lane(held, name)
        assert [each.request for each in mine] == [r for r in plan.opening_requests() if r.target.provider == name]
        assert most_at_once(mine) <= width


def most_at_once(held: list[Held]) -> int:
    """Count how many were under way at the fullest moment."""
    steps = sorted([(each.end_ns, -1) for each in held] + [(each.start_ns, 1) for each in held])
    at_once = most = 0
    for _, step in steps:
        at_once += step
        most = max(most, at_once)
    return most


@given(SHAPES, WIDTHS, SLOWNESS, st.integers(0, 3))
def test_no_lane_leads_by_more_than_it_may(
    shape: tuple[int, int, Order, int, int], widths: dict[str, int], slowness: dict[str, int], lead: int
) -> None:
    """With `blocks`, when a block is begun, every other lane has begun all blocks that lie further behind."""
    plan = replace(plan_of(*shape), order="blocks")
    held = VirtualRun(plan, lanes_of(widths), uneven(slowness), LoadProfile(lead=lead)).run()
    left = {name: [each.request.block for each in of_lane(held, name)] for name in widths}
    for each in held:
        slowest = min((blocks[0] for blocks in left.values() if blocks), default=inf)
        assert each.request.block <= slowest + lead
        left[each.lane].pop(0)


@pytest.mark.parametrize("order", ["free", "as-written"])
def test_nobody_waits_for_anybody_where_order_is_free(order: Order) -> None:
    """A lane that is a thousand times faster is through before the slow one has finished its first block."""
    lasts = {"a": 1, "b": 1000, "c": 1000}
    held = VirtualRun(plan_of(2, 10, order), lanes_of(dict.fromkeys("abc", 1)), by_provider(lasts)).run()
    assert max(each.end_ns for each in of_lane(held, "a")) < min(each.end_ns for each in of_lane(held, "b"))


def by_provider(lasts_s: dict[str, int]) -> Callable[[Request], int]:
    """Let all requests to a provider last equally long."""
    return lambda request: lasts_s[request.target.provider] * SECOND_NS


# Makespan


@given(SHAPES, WIDTHS, SLOWNESS, st.integers(0, 3))
def test_no_run_takes_longer_than_its_order_needs(
    shape: tuple[int, int, Order, int, int], widths: dict[str, int], slowness: dict[str, int], lead: int
) -> None:
    """The makespan is the lower bound of the order, however lanes and requests differ."""
    plan, lasts_ns = plan_of(*shape), uneven(slowness)
    held = VirtualRun(plan, lanes_of(widths), lasts_ns, LoadProfile(lead=lead)).run()
    bound_ns = shortest_ns(plan, widths, lasts_ns, lead if plan.order == "blocks" else None)
    assert max(each.end_ns for each in held) == bound_ns


def test_a_long_run_takes_what_its_work_takes() -> None:
    """Over 6,000 requests the slowest lane's work, shared evenly among its places, takes 98 % of the time."""
    widths, slowness = {"a": 4, "b": 4, "c": 2}, {"a": 3, "b": 2, "c": 1}
    held = VirtualRun(plan_of(10, 200, "free"), lanes_of(widths), uneven(slowness)).run()
    work_ns = {name: sum(each.end_ns - each.start_ns for each in of_lane(held, name)) for name in widths}
    needed_ns = max(work_ns[name] / width for name, width in widths.items())
    assert max(each.end_ns for each in held) <= 1.02 * needed_ns


def test_a_long_run_in_blocks_is_as_short_as_its_order_can_be() -> None:
    """The same 6,000 requests kept close in time: to the nanosecond what the order demands."""
    widths, slowness = {"a": 4, "b": 4, "c": 2}, {"a": 3, "b": 2, "c": 1}
    plan, lasts_ns = plan_of(10, 200), uneven(slowness)
    held = VirtualRun(plan, lanes_of(widths), lasts_ns).run()
    assert max(each.end_ns for each in held) == shortest_ns(plan, widths, lasts_ns, lead=2)


# Rates


@given(SHAPES, WIDTHS, SLOWNESS, LIMITS, st.none() | st.integers(20, 200))
def test_no_minute_holds_more_than_it_may(
    shape: tuple[int, int, Order, int, int],
    widths: dict[str, int],
    slowness: dict[str, int],
    rpm: int | None,
    tpm: int | None,
) -> None:
    """Neither requests nor tokens exceed their limit in any 60 s; only what is too large by itself goes alone."""
    plan = plan_of(*shape)
    plan = replace(plan, targets=tuple(replace(t, parameters=Parameters(max_tokens=60)) for t in plan.targets))
    held = VirtualRun(plan, lanes_of(widths, rpm, tpm), uneven(slowness), uses=tokens_of).run()
    assert len(held) == len(plan)
    for name in widths:
        mine = of_lane(held, name)
        for place, first in enumerate(mine):
            minute = [each for each in mine[place:] if each.start_ns < first.start_ns + MINUTE_NS]
            assert rpm is None or len(minute) <= rpm
            assert tpm is None or len(minute) == 1 or sum(sum(tokens_of(each.request)) for each in minute) <= tpm


def tokens_of(request: Request) -> tuple[int, int]:
    """Use at most what is expected of a short question and a reply of 60 tokens at most."""
    return 5, round(60 * draw(request))


@given(SHAPES, WIDTHS, SLOWNESS, LIMITS, st.integers(0, 2))
def test_no_lane_is_idle_while_it_could_work(
    shape: tuple[int, int, Order, int, int],
    widths: dict[str, int],
    slowness: dict[str, int],
    rpm: int | None,
    lead: int,
) -> None:
    """Whenever all is quiet, each lane that has work left is full, or ahead, or has used its minute up."""
    plan = plan_of(*shape)
    queues = {name: [r for r in plan.opening_requests() if r.target.provider == name] for name in widths}

    def look(run: VirtualRun, now_ns: int) -> None:
        done = Counter(each.lane for each in run.held)
        heads = {name: queue[done[name]].block for name, queue in queues.items() if done[name] < len(queue)}
        for name, block in heads.items():
            mine = of_lane(run.held, name)
            full = sum(each.end_ns > now_ns for each in mine) == widths[name]
            ahead = plan.order == "blocks" and block > min(heads.values()) + lead
            used_up = rpm is not None and sum(each.start_ns > now_ns - SPAN_NS for each in mine) >= rpm
            assert full or ahead or used_up, f"lane {name} is idle at {now_ns}"

    VirtualRun(plan, lanes_of(widths, rpm), uneven(slowness), LoadProfile(lead=lead), after_moment=look).run()


# An open loop


@given(st.floats(0.1, 50), st.sampled_from(["constant", "poisson"]), st.integers(0, 99), st.integers(1, 3), SLOWNESS)
def test_an_open_loop_sends_when_it_was_planned(
    rate: float, arrivals: str, seed: int, models: int, slowness: dict[str, int]
) -> None:
    """As long as lanes are wide enough, nothing waits for replies: each request is begun at its own time."""
    plan = plan_of(3, 4, seed=seed, models=models)
    load = LoadProfile(rate=rate, arrivals=arrivals)  # type: ignore[arg-type]
    held = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, 10_000)), uneven(slowness), load).run()
    assert [each.planned_ns for each in held] == [each.start_ns for each in held]
    assert len(held) == len(plan)
    times = {target.name: [each.start_ns for each in held if each.request.target == target] for target in plan.targets}
    gaps = {name: [b - a for a, b in pairwise(at)] for name, at in times.items()}
    first = gaps[plan.targets[0].name]
    # Rounding to whole nanoseconds may differ by one at either end.
    assert all(abs(a - b) <= 2 for each in gaps.values() for a, b in zip(each, first, strict=True))


def test_what_was_planned_and_could_not_be_sent_shows_its_delay() -> None:
    """Where a lane is too narrow for the rate, every request still has the time at which it was wanted."""
    plan = Plan((Case("case", ("Hello?",)),), (Target("a", "m", Parameters()),), repeat=5)
    lanes = {"a": Lane("a", fix(1))}
    held = VirtualRun(plan, lanes, lambda _: 2 * SECOND_NS, LoadProfile(rate=1)).run()
    assert [(each.planned_ns or 0) / SECOND_NS for each in held] == [0, 1, 2, 3, 4]
    assert [each.start_ns / SECOND_NS for each in held] == [0, 2, 4, 6, 8]


@given(st.floats(1, 30), st.sampled_from(["constant", "poisson"]), st.integers(1, 3), st.booleans())
def test_what_an_open_loop_could_not_begin_in_time_is_counted(
    rate: float, arrivals: str, width: int, is_open: bool
) -> None:
    """Begun and left out are together what was due, whether or not the lane was wide enough."""
    plan = plan_of(2, None if is_open else 30)
    load = LoadProfile(rate=rate, arrivals=arrivals, duration_s=5)  # type: ignore[arg-type]
    wide = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, 10_000)), lambda _: SECOND_NS, load)
    narrow = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, width)), lambda _: SECOND_NS, load)
    left_out = len(wide.run()) - len(narrow.run())
    said = narrow.schedule.account() or ""
    assert (f"; {left_out} conversations due by then were not begun" in said) is (left_out > 0)
    assert "not begun" not in (wide.schedule.account() or "")


# Ends


@given(st.integers(1, 40), WIDTHS, SLOWNESS, st.integers(1, 3))
def test_a_run_without_end_stops_after_so_many_requests(
    most: int, widths: dict[str, int], slowness: dict[str, int], turns: int
) -> None:
    """Exactly so many are asked, or, where a conversation no longer fits, the most that do."""
    plan = plan_of(2, None)
    plan = replace(plan, cases=tuple(replace(case, turns=("Hello?",) * turns) for case in plan.cases))
    run = VirtualRun(plan, lanes_of(widths), uneven(slowness), LoadProfile(max_requests=most))
    held = run.run()
    assert len(held) == most // turns
    assert run.schedule.reason is not None
    assert not run.schedule.is_stopped


def test_a_run_without_end_stops_in_time() -> None:
    """Nothing is begun when the time is over, and every lane has worked until then."""
    run = VirtualRun(
        plan_of(2, None, "free"),
        lanes_of({"a": 1, "b": 2, "c": 3}),
        by_provider({"a": 3, "b": 3, "c": 3}),
        LoadProfile(duration_s=60),
    )
    held = run.run()
    assert Counter(each.lane for each in held) == {"a": 20, "b": 40, "c": 60}
    assert max(each.start_ns for each in held) < 60 * SECOND_NS
    assert run.schedule.reason == "60 s are over, as asked"


def test_whoever_says_stop_is_asked_before_each_conversation() -> None:
    """A sentence ends the run in all lanes; what is under way is not touched."""
    asked: list[int] = []

    def stop() -> str | None:
        asked.append(1)
        return "the budget is spent" if len(asked) > 7 else None

    run = VirtualRun(plan_of(5, None), lanes_of({"a": 2, "b": 2, "c": 2}), lambda _: SECOND_NS, stop=stop)
    assert len(run.run()) == 7
    assert len(asked) == 8
    assert (run.schedule.reason, run.schedule.is_stopped) == ("the budget is spent", True)


# Going on with a run


@given(SHAPES, WIDTHS, SLOWNESS, st.sets(st.integers(0, 60)), st.none() | st.integers(1, 30), st.booleans())
def test_what_is_done_is_not_done_again(  # noqa: PLR0917 -- hypothesis names them all
    shape: tuple[int, int, Order, int, int],
    widths: dict[str, int],
    slowness: dict[str, int],
    done: set[int],
    most: int | None,
    at_a_rate: bool,
) -> None:
    """A resumed run holds the rest; what had been asked counts towards a number of requests."""
    plan = plan_of(*shape)
    keys = {request.key for number, request in enumerate(plan.opening_requests()) if number in done}

    def resume(opening: Request) -> Request | None:
        return None if opening.key in keys else opening

    load = LoadProfile(max_requests=most, rate=1.0 if at_a_rate else None)
    held = VirtualRun(plan, lanes_of(widths), uneven(slowness), load, resume=resume).run()
    assert keys.isdisjoint(each.request.key for each in held)
    rest = len(plan) - len(keys)
    if most is None:
        assert len(held) == rest
    else:
        assert max(min(most - len(keys), rest), 0) <= len(held) <= min(most, rest)


def test_a_long_way_already_gone_is_passed_over_in_steps() -> None:
    """A hundred thousand conversations that are over do not hold up whoever decides."""
    plan = plan_of(10, 10_000)
    passed = Counter[int]()

    def resume(opening: Request) -> Request | None:
        passed[0] += 1
        return opening if opening.block == 10_000 else None

    run = VirtualRun(plan, lanes_of({"a": 1, "b": 1, "c": 1}), lambda _: 1, resume=resume)
    before = passed[0]
    run.schedule.decide(run.lanes["a"], 0)
    assert passed[0] - before <= 32
    assert len(run.run()) == 30


def test_a_level_of_a_sweep_is_a_pass_of_its_own() -> None:
    """Each level holds the blocks that belong to it."""
    plan = replace(plan_of(2, 3), levels=2)
    blocks = [
        {each.request.block for each in VirtualRun(plan, lanes_of({"a": 1, "b": 1, "c": 1}), lambda _: 1,
                                                   level=level).run()}
        for level in (0, 1)
    ]  # fmt: skip
    assert blocks == [{1, 2, 3}, {4, 5, 6}]


def test_chance_decides_nothing() -> None:
    """The same run under the same clock is the same run."""
    plan, lasts_ns = plan_of(5, 20, seed=3), uneven({"a": 5, "b": 7, "c": 2})
    load = LoadProfile(rate=3, arrivals="poisson")
    runs = [VirtualRun(plan, lanes_of({"a": 2, "b": 3, "c": 4}), lasts_ns, load).run() for _ in range(2)]
    assert runs[0] == runs[1]

"""Which conversations the schedule starts at which time, in runs under a virtual clock."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import combinations, pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.cluster_node import Node
from runner.core.load_profile import LoadProfile
from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import MINUTE_NS, SPAN_NS, ConcurrencyLimit, RateWindow
from runner.engine.provider_lane import Lane
from runner.planning.plan import Order, Plan
from runner.planning.request import Request, Target
from tests.support.plans import first_requests, requests_of
from tests.support.virtual_run import (
    SECOND_NS,
    TimedConversation,
    VirtualRun,
    shortest_ns,
    shortest_together_ns,
)

PROVIDERS = "abc"
WIDTHS = st.fixed_dictionaries({name: st.integers(1, 4) for name in PROVIDERS})
LIMITS = st.none() | st.integers(1, 5)
ORDERS = st.sampled_from(["blocks", "free", "as-written"])
LEADS = st.none() | st.integers(0, 3)
"""None where the targets of a case begin together."""

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


@given(SHAPES, WIDTHS, SLOWNESS, LEADS, st.integers(0, 3))
def test_every_conversation_is_held_once_in_order_within_the_limit(
    shape: tuple[int, int, Order, int, int],
    widths: dict[str, int],
    slowness: dict[str, int],
    lead: int | None,
    nodes: int,
) -> None:
    """Each lane holds its part of the plan in the plan's order, within its limit, over all nodes together."""
    plan = replace(plan_of(*shape), vantages=tuple(Node(f"n{at}", None) for at in range(nodes)))
    load = LoadProfile(lead=lead)
    held = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), load).run()
    assert Counter(each.request.key for each in held) == Counter(r.key for r in first_requests(plan))
    for name, width in widths.items():
        mine = of_lane(held, name)
        assert [each.request for each in mine] == [r for r in requests_of(plan, load) if r.target.provider == name]
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
    """In the order `blocks`, a lane begins a round only if every other lane has begun all rounds further behind."""
    plan = replace(plan_of(*shape), order="blocks")
    held = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), LoadProfile(lead=lead)).run()
    left = {name: [each.request.block for each in of_lane(held, name)] for name in widths}
    for each in held:
        slowest = min((rounds[0] for rounds in left.values() if rounds), default=inf)
        assert each.request.block <= slowest + lead
        left[each.lane].pop(0)


@pytest.mark.parametrize("order", ["free", "as-written"])
def test_lanes_do_not_wait_for_each_other_in_free_order(order: Order) -> None:
    """A lane that is a thousand times faster ends before the slow one has finished its first block."""
    lasts = {"a": 1, "b": 1000, "c": 1000}
    held = VirtualRun(plan_of(2, 10, order), lanes_of(dict.fromkeys("abc", 1)), by_provider(lasts)).run()
    assert max(each.end_ns for each in of_lane(held, "a")) < min(each.end_ns for each in of_lane(held, "b"))


def by_provider(lasts_s: dict[str, int]) -> Callable[[Request], int]:
    """Return durations that are equal for all requests to a provider."""
    return lambda request: lasts_s[request.target.provider] * SECOND_NS


# Pairs


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 99), st.integers(1, 2), WIDTHS, SLOWNESS, LIMITS)
def test_no_group_begins_before_all_of_the_one_before(  # noqa: PLR0917 -- hypothesis names them all
    cases: int, repeat: int, seed: int, models: int, widths: dict[str, int], slowness: dict[str, int], rpm: int | None
) -> None:
    """All conversations start in the plan's order across lanes: no target of a case waits for another case."""
    plan = plan_of(cases, repeat, "blocks", seed, models)
    held = VirtualRun(plan, lanes_of(widths, rpm), uneven_durations(slowness)).run()
    assert [each.request for each in held] == [request for group in plan.groups_at(0) for request in group]


@pytest.mark.parametrize("slow", [1, 2, 5])
@pytest.mark.parametrize("widths", [{"a": 1, "b": 1, "c": 1}, {"a": 4, "b": 4, "c": 4}, {"a": 8, "b": 2, "c": 1}])
def test_targets_are_first_equally_often_whatever_their_speed(slow: int, widths: dict[str, int]) -> None:
    """Of 260 pairs each side is first in 40 to 60 %, and both start at the same time."""
    lasts_ns = uneven_durations({"a": 10, "b": 10 * slow, "c": 10})
    held = VirtualRun(plan_of(13, 20), lanes_of(widths), lasts_ns).run()
    for base, new in (("a", "b"), ("a", "c"), ("b", "c")):
        first, lags_ns = first_and_lags(held, base, new)
        assert len(lags_ns) == 260
        assert 0.4 <= first <= 0.6
        assert max(lags_ns) == 0


def first_and_lags(held: list[TimedConversation], base: str, new: str) -> tuple[float, list[int]]:
    """Return the share of pairs in which one lane was first, and the seconds between the starts of each pair."""
    places: dict[str, dict[tuple[str, int], tuple[int, int]]] = {base: {}, new: {}}
    for place, each in enumerate(held):
        if each.lane in places:
            places[each.lane][each.request.case.id, each.request.block] = (place, each.start_ns)
    pairs = [(at, places[new][key]) for key, at in places[base].items()]
    return sum(one[0] < two[0] for one, two in pairs) / len(pairs), [abs(one[1] - two[1]) for one, two in pairs]


def test_a_fast_lane_with_a_lead_is_first_in_nearly_all_pairs() -> None:
    """With a lead the fast lane is first in over 85 % of the pairs, which is why targets start together."""
    lasts_ns = uneven_durations({"a": 10, "b": 50, "c": 50})
    held = VirtualRun(plan_of(13, 20), lanes_of(dict.fromkeys("abc", 4)), lasts_ns, LoadProfile(lead=2)).run()
    first, _ = first_and_lags(held, "a", "b")
    assert first > 0.85


def test_two_models_of_one_lane_are_first_equally_often() -> None:
    """Models that share a single slot follow each other in an order that favours none of them, nor another lane."""
    held = VirtualRun(plan_of(13, 20, models=2), lanes_of({"a": 1, "b": 4, "c": 2}), uneven_durations(
        {"a": 10, "b": 30, "c": 50})).run()  # fmt: skip
    places = {(each.request.target.name, each.request.case.id, each.request.block): at for at, each in enumerate(held)}
    names = [target.name for target in plan_of(13, 20, models=2).targets]
    for base, new in combinations(names, 2):
        first = [places[base, case, block] < places[new, case, block] for name, case, block in places if name == base]
        assert 0.4 <= sum(first) / len(first) <= 0.6


def test_a_paused_lane_holds_the_others_and_its_pairs_begin_together() -> None:
    """While a provider asks for a pause no group starts; afterwards all of them do, and none is lost."""
    lanes = lanes_of(dict.fromkeys(PROVIDERS, 2))
    lanes["b"].limit = replace(lanes["b"].limit, closed_until_ns=30 * SECOND_NS)
    held = VirtualRun(plan_of(4, 3), lanes, by_provider({"a": 1, "b": 2, "c": 3})).run()
    assert min(each.start_ns for each in held) == 30 * SECOND_NS
    assert len(held) == 36
    assert max(first_and_lags(held, "a", "b")[1]) == 0


@given(st.integers(2, 12), st.integers(1, 3), WIDTHS, SLOWNESS)
def test_a_limit_per_minute_does_not_separate_a_pair(
    rpm: int, models: int, widths: dict[str, int], slowness: dict[str, int]
) -> None:
    """A group waits until the minute of its lane has room for all of its targets."""
    plan = plan_of(3, 4, models=models)
    held = VirtualRun(plan, lanes_of(widths, rpm), lambda request: slowness[request.target.provider]).run()
    groups: dict[tuple[str, int], list[int]] = {}
    for each in held:
        groups.setdefault((each.request.case.id, each.request.block), []).append(each.start_ns)
    assert len(held) == len(plan)
    assert models > rpm or all(max(times) - min(times) < SECOND_NS for times in groups.values())


@given(WIDTHS, SLOWNESS, st.integers(1, 60))
def test_a_stop_rule_ends_a_run_of_pairs(widths: dict[str, int], slowness: dict[str, int], most: int) -> None:
    """A budget that is spent within a group ends the run in all lanes, without waiting for the rest of the group."""
    asked: list[int] = []

    def stop() -> str | None:
        asked.append(1)
        return "the budget is spent" if len(asked) > most else None

    run = VirtualRun(plan_of(5, None), lanes_of(widths), uneven_durations(slowness), stop=stop)
    assert len(run.run()) == most
    assert all(run.schedule.decide(lane, 10**15) is None for lane in run.lanes.values())


@given(WIDTHS, SLOWNESS, st.sets(st.integers(0, 35)))
def test_a_lane_with_fewer_cases_left_delays_no_other(
    widths: dict[str, int], slowness: dict[str, int], done: set[int]
) -> None:
    """A resumed run in which one target is nearly complete continues with the others, still in the plan's order."""
    plan = plan_of(4, 9)
    order = requests_of(plan, LoadProfile())
    keys = {request.key for request in order if request.target.provider == "a" and request.block != 9}
    keys |= {request.key for number, request in enumerate(order) if number in done}

    def first_missing(opening: Request) -> Request | None:
        return None if opening.key in keys else opening

    held = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), first_missing=first_missing).run()
    assert [each.request for each in held] == [request for request in order if request.key not in keys]


# Makespan


@given(SHAPES, WIDTHS, SLOWNESS, LEADS)
def test_makespan_is_the_lower_bound_of_the_order(
    shape: tuple[int, int, Order, int, int], widths: dict[str, int], slowness: dict[str, int], lead: int | None
) -> None:
    """No run takes longer than its order requires, however lanes and requests differ."""
    plan, lasts_ns, load = plan_of(*shape), uneven_durations(slowness), LoadProfile(lead=lead)
    held = VirtualRun(plan, lanes_of(widths), lasts_ns, load).run()
    if load.release(plan.order) == "together":
        bound_ns = shortest_together_ns(plan, widths, lasts_ns)
    else:
        bound_ns = shortest_ns(plan, widths, lasts_ns, lead if plan.order == "blocks" else None)
    assert max(each.end_ns for each in held) == bound_ns


def test_long_run_keeps_its_slowest_lane_busy() -> None:
    """Over 6,000 requests the slowest lane's work, divided by its width, takes 98 % of the time."""
    widths, slowness = {"a": 4, "b": 4, "c": 2}, {"a": 3, "b": 2, "c": 1}
    held = VirtualRun(plan_of(10, 200, "free"), lanes_of(widths), uneven_durations(slowness)).run()
    work_ns = {name: sum(each.end_ns - each.start_ns for each in of_lane(held, name)) for name in widths}
    needed_ns = max(work_ns[name] / width for name, width in widths.items())
    assert max(each.end_ns for each in held) <= 1.02 * needed_ns


def test_makespan_of_a_long_run_in_rounds_is_the_lower_bound() -> None:
    """The same 6,000 requests in rounds take exactly as long as the order requires."""
    widths, slowness = {"a": 4, "b": 4, "c": 2}, {"a": 3, "b": 2, "c": 1}
    plan, lasts_ns = plan_of(10, 200), uneven_durations(slowness)
    held = VirtualRun(plan, lanes_of(widths), lasts_ns, LoadProfile(lead=2)).run()
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
    """If lanes are wide enough, each request starts when it is due, without waiting for replies."""
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


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_open_loop_asks_no_target_first_more_often(arrivals: str) -> None:
    """Targets keep their own pace, and the order of the cases differs, so each is first in half of them."""
    load = LoadProfile(rate=4, arrivals=arrivals)  # type: ignore[arg-type]
    held = VirtualRun(plan_of(13, 40), lanes_of(dict.fromkeys(PROVIDERS, 10_000)), lambda _: SECOND_NS, load).run()
    for base, new in combinations(PROVIDERS, 2):
        assert 0.4 <= first_and_lags(held, base, new)[0] <= 0.6


def test_delayed_open_loop_requests_keep_their_planned_time() -> None:
    """If a lane is too narrow for the rate, every request keeps the time at which it was due."""
    plan = Plan((Case("case", ("Hello?",)),), (Target("a", "m", Parameters()),), repeat=5)
    lanes = {"a": Lane("a", ConcurrencyLimit.of(1))}
    held = VirtualRun(plan, lanes, lambda _: 2 * SECOND_NS, LoadProfile(rate=1)).run()
    assert [(each.planned_ns or 0) / SECOND_NS for each in held] == [0, 1, 2, 3, 4]
    assert [each.start_ns / SECOND_NS for each in held] == [0, 2, 4, 6, 8]


@given(st.floats(1, 30), st.sampled_from(["constant", "poisson"]), st.integers(1, 3), st.booleans())
def test_overdue_open_loop_conversations_are_counted(rate: float, arrivals: str, width: int, is_open: bool) -> None:
    """Started and unstarted conversations add up to those that were due, in wide and in narrow lanes."""
    plan = plan_of(2, None if is_open else 30)
    load = LoadProfile(rate=rate, arrivals=arrivals, duration_s=5)  # type: ignore[arg-type]
    wide = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, 10_000)), lambda _: SECOND_NS, load)
    narrow = VirtualRun(plan, lanes_of(dict.fromkeys(PROVIDERS, width)), lambda _: SECOND_NS, load)
    overdue = len(wide.run()) - len(narrow.run())
    reason = narrow.schedule.describe_early_end() or ""
    due = "1 conversation due by then was" if overdue == 1 else f"{overdue} conversations due by then were"
    assert (f"; {due} not started" in reason) is (overdue > 0)
    assert "not started" not in (wide.schedule.describe_early_end() or "")


# Ends


@given(st.integers(1, 40), WIDTHS, SLOWNESS, st.integers(1, 3))
def test_endless_run_stops_after_max_requests(
    most: int, widths: dict[str, int], slowness: dict[str, int], turns: int
) -> None:
    """Exactly that many are sent, or fewer if a whole conversation does not fit."""
    plan = plan_of(2, None)
    plan = replace(plan, cases=tuple(replace(case, turns=("Hello?",) * turns) for case in plan.cases))
    run = VirtualRun(plan, lanes_of(widths), uneven_durations(slowness), LoadProfile(max_requests=most))
    held = run.run()
    assert len(held) == most // turns
    assert run.schedule.reason is not None
    assert not run.schedule.is_stopped


def test_endless_run_stops_after_its_duration() -> None:
    """Nothing starts after the duration, and every lane has worked until then."""
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
    """A reason ends the run in all lanes; conversations that started before are not affected."""
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
    """A hundred thousand completed conversations delay no single decision."""
    plan = plan_of(10, 10_000)
    calls = Counter[int]()

    def first_missing(opening: Request) -> Request | None:
        calls[0] += 1
        return opening if opening.block == 10_000 else None

    run = VirtualRun(plan, lanes_of({"a": 1, "b": 1, "c": 1}), lambda _: 1, first_missing=first_missing)
    before = calls[0]
    run.schedule.decide(run.lanes["a"], 0)
    assert calls[0] - before <= 34  # a group is skipped as a whole
    assert len(run.run()) == 30


def test_level_of_a_sweep_has_its_own_rounds() -> None:
    """Each level holds the rounds that belong to it."""
    plan = replace(plan_of(2, 3), levels=2)
    rounds = [
        {each.request.block for each in VirtualRun(plan, lanes_of({"a": 1, "b": 1, "c": 1}), lambda _: 1,
                                                   level=level).run()}
        for level in (0, 1)
    ]  # fmt: skip
    assert rounds == [{1, 2, 3}, {4, 5, 6}]


def test_schedule_is_deterministic() -> None:
    """Two runs of the same plan under the same clock are equal."""
    plan, lasts_ns = plan_of(5, 20, seed=3), uneven_durations({"a": 5, "b": 7, "c": 2})
    load = LoadProfile(rate=3, arrivals="poisson")
    runs = [VirtualRun(plan, lanes_of({"a": 2, "b": 3, "c": 4}), lasts_ns, load).run() for _ in range(2)]
    assert runs[0] == runs[1]

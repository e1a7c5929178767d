"""The plan: its rounds, its seeded order, and the keys of its requests."""

import itertools
import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runner.core.cluster_node import Node
from runner.core.conversation_state import EarlierReply
from runner.core.load_profile import level_of
from runner.core.suite import Case, Message, Parameters, Timeouts, ToolDefinition
from runner.core.tool_call import ToolCall
from runner.planning.plan import Plan, _shuffle
from runner.planning.request import Request, Target
from tests.support.plans import first_requests

CHECKOUT = Path(__file__).parents[2]

TARGET = Target("deepseek", "chat", Parameters())
CASE = Case("who", ("Who are you?", "And who am I?", "Sure?"))
REQUEST = Request(TARGET, CASE, repeat=1, block=1)

SEEDS = st.integers(0, 2**63)
CASES = st.lists(
    st.builds(Case, st.text(max_size=4), st.lists(st.text(max_size=4), min_size=1, max_size=3).map(tuple)),
    max_size=5,
    unique_by=lambda case: case.id,
).map(tuple)
TARGETS = st.lists(
    st.builds(Target, st.sampled_from("abc"), st.sampled_from("xyz"), st.just(Parameters())),
    max_size=5,
    unique_by=lambda target: target.name,
).map(tuple)
ORDERS = st.sampled_from(["blocks", "free", "as-written"])
PLANS = st.builds(Plan, CASES, TARGETS, st.integers(1, 4), SEEDS, ORDERS)
NODES = st.lists(st.builds(Node, st.text(max_size=4), st.none() | st.sampled_from("ns")), min_size=1, max_size=4)
VANTAGES = NODES.map(lambda nodes: tuple({node.name: node for node in nodes}.values()))


def conversation(opening: Request) -> list[Request]:
    """Return a request with all its later turns."""
    return [opening, *opening.later_turns()]


def order(plan: Plan) -> list[tuple[int, str, str]]:
    """Return block, target and case of every request, in order."""
    return list(order_of(plan))


def order_of(plan: Plan) -> Iterator[tuple[int, str, str]]:
    """Yield block, target and case of every request, in order."""
    return ((request.block, request.target.name, request.case.id) for request in first_requests(plan))


def with_parameters(request: Request, **parameters: object) -> Request:
    """Return a request with other parameters."""
    asked = replace(request.target.parameters, **parameters)  # type: ignore[arg-type]
    return replace(request, target=replace(request.target, parameters=asked))


def with_case(request: Request, **values: object) -> Request:
    """Return a request with another case."""
    return replace(request, case=replace(request.case, **values))  # type: ignore[arg-type]


def contents(request: Request, salt: str = "salt") -> list[tuple[str, str]]:
    """Return the messages as pairs."""
    return [(message.role, message.content) for message in request.messages(salt)]


# Order


@given(PLANS)
def test_a_block_holds_each_target_and_case_once(plan: Plan) -> None:
    """Every round is the whole product, rounds follow each other, and a repeat is a round."""
    rounds = [(request.block, request.repeat) for request in first_requests(plan)]
    assert rounds == sorted(rounds)
    assert all(block == repeat for block, repeat in rounds)
    expected = {
        (block, target.name, case.id): 1
        for block in range(1, (plan.repeat or 0) + 1)
        for target in plan.targets
        for case in plan.cases
    }
    assert Counter(order(plan)) == expected


@given(PLANS)
def test_the_length_of_a_plan_counts_later_turns(plan: Plan) -> None:
    """`len` counts the later turns too."""
    assert len(plan) == sum(len(conversation(opening)) for opening in first_requests(plan))


@given(PLANS, st.integers(1, 3))
def test_each_lane_gets_its_own_requests_in_the_plans_order(plan: Plan, levels: int) -> None:
    """The lanes' requests together are the plan, each lane in the order of the plan."""
    swept = replace(plan, levels=levels)
    for provider in "abc":
        names = {target.name for target in plan.targets if target.provider == provider}
        mine = [request for request in first_requests(swept) if request.target.name in names]
        assert [request for level in range(levels) for request in swept.openings_at(level, names)] == mine
    assert set(plan.providers()) == {target.provider for target in plan.targets}
    assert len(set(plan.providers())) == len(plan.providers())


@given(PLANS)
def test_the_seed_determines_the_order(plan: Plan) -> None:
    """The same plan has the same order each time."""
    assert order(plan) == order(replace(plan))


TWENTY = Plan(
    tuple(Case(f"case-{number}", ("Hello?",)) for number in range(5)),
    tuple(Target("a", f"model-{number}", Parameters()) for number in range(4)),
    repeat=3,
    seed=7,
)


def test_order_and_keys_are_the_same_in_another_process() -> None:
    """They do not depend on the hash seed of strings or other state of a process."""
    program = (
        "import json, runpy, sys; this = runpy.run_path(sys.argv[1]); plan = this['TWENTY']\n"
        "print(json.dumps([this['order'](plan), [request.key for request in this['first_requests'](plan)]]))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program, __file__],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    here = [[list(row) for row in order(TWENTY)], [request.key for request in first_requests(TWENTY)]]
    assert [json.loads(out) for out in told] == [here, here]


def test_rounds_and_seeds_are_shuffled_differently() -> None:
    """No two rounds share an order, and another seed gives another order."""
    shuffled = order(TWENTY)
    rounds = [tuple(row[1:] for row in shuffled if row[0] == block) for block in (1, 2, 3)]
    assert len(set(rounds)) == 3
    assert order(replace(TWENTY, seed=8)) != shuffled


def test_targets_are_interleaved_within_a_block() -> None:
    """No target gets all its cases in a row, so that drift affects all targets."""
    block = [target for number, target, _ in order(TWENTY) if number == 1]
    runs = 1 + sum(before != after for before, after in pairwise(block))
    assert runs > 2 * len(TWENTY.targets)


def test_as_written_goes_target_by_target_and_case_by_case() -> None:
    """The order `as-written` is that of the suite."""
    plan = replace(TWENTY, order="as-written", repeat=1)
    assert order(plan) == [(1, target.name, case.id) for target in plan.targets for case in plan.cases]


def test_a_plan_is_lazy() -> None:
    """A plan of a billion requests yields its first one at once."""
    plan = replace(TWENTY, repeat=50_000_000)
    assert len(plan) == plan.requests == 1_000_000_000
    assert next(first_requests(plan)).block == 1


def test_a_block_of_a_million_starts_at_once() -> None:
    """A large block is shuffled while it is read, not before."""
    plan = Plan(TWENTY.cases * 1000, TWENTY.targets * 50, seed=7)
    before = tracemalloc_peak(lambda: next(first_requests(plan)))
    assert before < 10_000_000, "the block was laid out whole"


def tracemalloc_peak(act: Callable[[], object]) -> int:
    """Return the peak memory of a call, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# From several nodes


@given(PLANS, VANTAGES, st.integers(0, 2))
def test_every_vantage_asks_everything_once(plan: Plan, vantages: tuple[Node, ...], warmups: int) -> None:
    """Each request exists for each node, under its own key, and so does each warm-up."""
    alone, wide = replace(plan, warmups=warmups), replace(plan, warmups=warmups, vantages=vantages)
    assert len(wide) == len(alone) * len(vantages) == wide.requests_a_round * (plan.repeat or 0)
    assert wide.conversations_with("a") == (alone.conversations_with("a") or 0) * len(vantages)
    asked = [request for opening in first_requests(wide) for request in conversation(opening)]
    if plan.cases:
        asked += [request for provider in plan.providers() for request in wide.warmup_requests(provider)]
        assert len({request.key for request in asked}) == len(asked)
    for vantage in vantages:
        of_node = [replace(request, vantage=None) for request in asked if request.vantage == vantage]
        whole = [request for opening in first_requests(alone) for request in conversation(opening)]
        if plan.cases:
            whole += [request for provider in plan.providers() for request in alone.warmup_requests(provider)]
        assert Counter(request.key for request in of_node) == Counter(request.key for request in whole)


@given(PLANS, VANTAGES)
def test_vantages_ask_a_pair_one_after_the_other(plan: Plan, vantages: tuple[Node, ...]) -> None:
    """The order is that of a run on one machine, with each request once for every node before the next."""
    asked = list(first_requests(replace(plan, vantages=vantages)))
    groups = [asked[at : at + len(vantages)] for at in range(0, len(asked), len(vantages))]
    assert [replace(group[0], vantage=None) for group in groups] == list(first_requests(plan))
    for group in groups:
        assert {request.vantage for request in group} == set(vantages)
        assert len({replace(request, vantage=None).key for request in group}) == 1


def test_no_vantage_is_always_first() -> None:
    """The first node of each pair is random, by the seed, so that a warm cache favours none."""
    nodes = tuple(Node(name, None) for name in "xyz")
    plan = replace(TWENTY, repeat=60, vantages=nodes)
    firsts = Counter(request.vantage for request in itertools.islice(first_requests(plan), 0, None, len(nodes)))
    assert min(firsts[node] for node in nodes) > 0.9 * sum(firsts.values()) / len(nodes)
    written = first_requests(replace(plan, order="as-written"))
    assert [request.vantage for request in itertools.islice(written, 6)] == [*nodes, *nodes]


def test_keys_without_vantages_are_unchanged() -> None:
    """Old journals can be resumed: no node is part of a key unless the run has vantages."""
    assert (REQUEST.key, replace(REQUEST, vantage=Node("x", None)).key) == ("4d432c57f926faa2", "6a95d3612c23f168")
    moved = [replace(REQUEST, vantage=Node("x", region)).key for region in ("north", "south")]
    assert len(set(moved)) == 1, "a label is not a place: it may be put on later"


def test_a_skipped_turn_has_its_vantage() -> None:
    """Each node has its row, even if nothing was sent."""
    (second, _) = replace(REQUEST, vantage=Node("x", "north")).later_turns()
    assert (second.skipped(1).node, second.skipped(1).region) == ("x", "north")
    assert (REQUEST.skipped(1).node, REQUEST.skipped(1).region) == (None, None)


# Unlimited rounds, and levels


@given(PLANS)
def test_an_unlimited_plan_has_the_order_of_a_limited_one(plan: Plan) -> None:
    """Blocks have the same order, and the number of requests is unknown."""
    endless = replace(plan, repeat=None)
    same = itertools.islice(order_of(endless), len(order(plan)))
    assert list(same) == order(plan)
    assert (endless.requests, endless.conversations_with("a")) == (None, None)
    with pytest.raises(TypeError, match="without end"):
        len(endless)


def test_an_unlimited_plan_without_cases_is_empty() -> None:
    """It does not loop forever."""
    assert list(first_requests(Plan((), (TARGET,), repeat=None))) == []
    assert list(first_requests(Plan((CASE,), (), repeat=None))) == []


@given(PLANS, st.integers(1, 3), st.booleans())
def test_each_level_has_its_own_rounds(plan: Plan, levels: int, endless: bool) -> None:
    """The level follows from the number of a round, every level has all requests, and keys are unique."""
    swept = replace(plan, levels=levels, repeat=None if endless else plan.repeat)
    keys = []
    for level in range(levels):
        here = itertools.islice(swept.openings_at(level, {t.name for t in plan.targets}), len(order(plan)))
        for request in here:
            keys.append(request.key)
            assert level_of(request.block, range(levels), swept.repeat) == level
    assert len(keys) == len(set(keys)) == levels * len(order(plan))
    assert swept.requests == (None if endless else levels * len(plan))


@given(st.integers(0, 60), SEEDS)
def test_a_shuffle_is_a_permutation(count: int, seed: int) -> None:
    """It has each number once, for any seed."""
    assert sorted(_shuffle(count, str(seed))) == list(range(count))


def test_a_shuffle_is_uniform() -> None:
    """Of 24,000 shuffles of four, each of the 24 orders occurs about a thousand times: within five sigma."""
    met = Counter(tuple(_shuffle(4, str(seed))) for seed in range(24_000))
    assert len(met) == 24
    assert all(abs(times - 1000) < 5 * 31 for times in met.values())


# Warming up


@given(PLANS, st.integers(0, 3))
def test_warmups_are_extra_requests(plan: Plan, warmups: int) -> None:
    """Each target has them before all rounds, under their own keys, and the plan's length is unchanged."""
    assume(plan.cases)
    warm = replace(plan, warmups=warmups)
    extra = [request for provider in warm.providers() for request in warm.warmup_requests(provider)]
    assert Counter(request.target.name for request in extra) == {t.name: warmups for t in plan.targets if warmups}
    assert all(request.warmup and request.block == 0 for request in extra)
    keys = [request.key for request in (*extra, *first_requests(warm))]
    assert len(set(keys)) == len(keys)
    assert (len(warm), order(warm)) == (len(plan), order(plan))


@given(PLANS)
def test_conversations_are_counted_by_provider(plan: Plan) -> None:
    """The count is the number of conversations of each lane."""
    opened = Counter(request.target.provider for request in first_requests(plan))
    assert {provider: plan.conversations_with(provider) for provider in plan.providers()} == {
        provider: opened[provider] for provider in plan.providers()
    }


# Turns


def test_a_reply_leads_to_the_next_turn() -> None:
    """Each turn sends its own text after everything before it; the last one has no next turn."""
    second = REQUEST.next_request(EarlierReply("I am a model."))
    assert second is not None
    assert (second.turn, second.prompt) == (2, "And who am I?")
    third = second.next_request(EarlierReply("A person."))
    assert third is not None
    assert contents(third) == [
        ("user", "Who are you?"),
        ("assistant", "I am a model."),
        ("user", "And who am I?"),
        ("assistant", "A person."),
        ("user", "Sure?"),
    ]
    assert third.next_request(EarlierReply("Yes.")) is None


@given(st.integers(0, 2), st.text(max_size=3))
def test_turns_after_a_failure_have_the_keys_of_unsent_requests(answered: int, reply: str) -> None:
    """They are those that a reply would have led to."""
    failed = replace(REQUEST, replies=(EarlierReply(reply),) * answered)
    later = list(failed.later_turns())
    assert [request.turn for request in later] == list(range(answered + 2, 4))
    assert [request.key for request in later] == [request.key for request in conversation(REQUEST)][answered + 1 :]


def test_the_identity_of_a_request_has_its_values_and_the_text_of_its_turn() -> None:
    """The identity has the request's values and the text of this turn."""
    request = replace(
        REQUEST, repeat=2, block=3, replies=(EarlierReply("I am."),), target=replace(TARGET, simulated=True)
    )
    identity = request.identity()
    told = (identity.case, identity.turn, identity.repeat, identity.block, identity.target, identity.prompt)
    assert told == ("who", 2, 2, 3, "deepseek/chat", "And who am I?")
    assert (identity.key, identity.simulated) == (request.key, True)


# Messages


def test_messages_are_system_history_turns() -> None:
    """The given history precedes the user's turns, and the case's system message replaces the default."""
    history = (Message("user", "Hi"), Message("assistant", "Hello"))
    request = with_parameters(with_case(REQUEST, history=history), system="Be brief.")
    assert contents(request) == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Who are you?"),
    ]
    assert contents(with_case(request, system="Be kind."))[0] == ("system", "Be kind.")


def test_prefix_and_suffix_are_sent_and_not_part_of_the_prompt() -> None:
    """Every turn of the user has them, the given history has not, and results show the bare prompt."""
    history = (Message("user", "Hi"), Message("assistant", "Hello"))
    wrapped = with_parameters(with_case(REQUEST, history=history), prefix="Q: ", suffix=" A:")
    request = replace(wrapped, replies=(EarlierReply("I am."),))
    assert contents(request) == [
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Q: Who are you? A:"),
        ("assistant", "I am."),
        ("user", "Q: And who am I? A:"),
    ]
    assert request.identity().prompt == "And who am I?"


def test_a_variant_is_part_of_the_target_s_name() -> None:
    """Requests have the provider's name of the model, except in a replay, which has to distinguish variants."""
    deep = replace(TARGET, variant="deep")
    identity = replace(REQUEST, target=deep).identity()
    assert (deep.name, deep.model_sent) == ("deepseek/chat#deep", "chat")
    assert (identity.model, identity.variant, identity.target) == ("chat", "deep", "deepseek/chat#deep")
    assert replace(deep, names_variant=True).model_sent == "chat#deep"
    assert replace(TARGET, names_variant=True).model_sent == "chat"


HISTORIES = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), st.text(max_size=5)), max_size=3).map(
    tuple
)


@given(HISTORIES, st.none() | st.text(max_size=5), st.integers(0, 2))
def test_a_nonce_is_first_and_only_with_cache_bust(history: tuple[Message, ...], system: str | None, turn: int) -> None:
    """`cache: bust` changes the start of the first message and nothing else; `allow` changes nothing."""
    plain = replace(with_case(REQUEST, history=history, system=system), replies=(EarlierReply("ok"),) * turn)
    busting = with_parameters(plain, cache="bust")
    (role, first), *rest = contents(plain)
    (busted_role, busted), *busted_rest = contents(busting)
    assert (busted_role, busted_rest) == (role, rest)
    nonce, _, behind = busted.partition("] ")
    assert nonce.startswith("[")
    assert behind == first
    assert contents(busting) == contents(busting)
    assert contents(busting, "another run")[0] != (role, busted)


def test_no_two_requests_of_a_run_share_a_nonce() -> None:
    """Neither a repeat nor a later turn can be answered from a cache."""
    plan = Plan((CASE,), (with_parameters(REQUEST, cache="bust").target,), repeat=3)
    requests = [request for opening in first_requests(plan) for request in conversation(opening)]
    assert len({contents(request)[0] for request in requests}) == len(requests) == 9


# Keys


def step_of(request: Request, result: str) -> Request:
    """Return the second step of a request's case, if a tool has this result."""
    called = EarlierReply("", calls=(ToolCall("f", "{}", "a"),))
    return replace(with_case(request, tool_results={"f": result}, max_steps=3), replies=(called,))


CHANGES: dict[str, Callable[[Request], Request]] = {
    "provider": lambda request: replace(request, target=replace(request.target, provider="zhipu")),
    "model": lambda request: replace(request, target=replace(request.target, model="reasoner")),
    "repeat": lambda request: replace(request, repeat=2),
    "turn": lambda request: replace(request, replies=(EarlierReply("I am."),)),
    "case id": lambda request: with_case(request, id="whom"),
    "case system": lambda request: with_case(request, system="Be kind."),
    "history": lambda request: with_case(request, history=(Message("user", "Hi"),)),
    "role in history": lambda request: with_case(request, history=(Message("assistant", "Hi"),)),
    "turn's text": lambda request: with_case(request, turns=("Who are you", *CASE.turns[1:])),
    "system": lambda request: with_parameters(request, system="Be kind."),
    "temperature": lambda request: with_parameters(request, temperature=0.0),
    "temperature of one": lambda request: with_parameters(request, temperature=1.0),
    "max_tokens": lambda request: with_parameters(request, max_tokens=16),
    "top_p": lambda request: with_parameters(request, top_p=0.5),
    "seed": lambda request: with_parameters(request, seed=7),
    "stop": lambda request: with_parameters(request, stop=("\n",)),
    "two stops": lambda request: with_parameters(request, stop=("\n", "\n")),
    "thinking": lambda request: with_parameters(request, thinking="off"),
    "stream": lambda request: with_parameters(request, stream=False),
    "cache": lambda request: with_parameters(request, cache="bust"),
    "timeouts": lambda request: with_parameters(request, timeouts=Timeouts(idle=1.0)),
    "extra_body": lambda request: with_parameters(request, extra_body={"top_k": 1}),
    "variant": lambda request: replace(request, target=replace(request.target, variant="deep")),
    "prefix": lambda request: with_parameters(request, prefix="Please: "),
    "suffix": lambda request: with_parameters(request, suffix="Please: "),
    "response_format": lambda request: with_parameters(request, response_format={"type": "text"}),
    "tools": lambda request: with_parameters(request, tools=(ToolDefinition("f"),)),
    "a tool's description": lambda request: with_parameters(request, tools=(ToolDefinition("f", "x"),)),
    "tool_choice": lambda request: with_parameters(request, tool_choice="none"),
    "a case's own tools": lambda request: with_case(request, overrides={"tools": (ToolDefinition("f"),)}),
    "a case's lack of tools": lambda request: with_case(request, overrides={"tools": ()}),
    "calls in history": lambda request: with_case(
        request, history=(Message("assistant", "Hi", calls=(ToolCall("f", "{}", "a"),)),)
    ),
    "results in history": lambda request: with_case(request, history=(Message("tool", "Hi", call_id="a"),)),
    "results as what is asked": lambda request: with_case(request, asks_with_results=True),
    "results of tools": lambda request: step_of(request, "18"),
    "other results of tools": lambda request: step_of(request, "19"),
    "extra_body's value": lambda request: with_parameters(request, extra_body={"top_k": "1"}),
}


def test_every_change_of_content_changes_the_key() -> None:
    """Target, parameters and messages each change the key."""
    keys = {name: change(REQUEST).key for name, change in CHANGES.items()} | {"nothing": REQUEST.key}
    shared = {name: key for name, key in keys.items() if list(keys.values()).count(key) > 1}
    assert shared == {}


UNCHANGED: dict[str, Callable[[Request], Request]] = {
    "block": lambda request: replace(request, block=9),
    "simulated": lambda request: replace(request, target=replace(request.target, simulated=True)),
    "tags": lambda request: with_case(request, tags=("short",)),
    "line": lambda request: with_case(request, line=12),
    "later turns": lambda request: with_case(request, turns=CASE.turns[:1]),
    "results of tools": lambda request: with_case(request, tool_results={"f": "18"}, max_steps=3),
    "a variant's settings": lambda request: replace(request, target=replace(request.target, settings={"seed": 1})),
    "in a replay": lambda request: replace(request, target=replace(request.target, names_variant=True)),
    "order of extra_body": lambda request: with_parameters(request, extra_body={"b": 1, "a": 2}),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_the_key_ignores_what_is_not_sent(name: str) -> None:
    """The line of a case, later turns and replies are not part of the key."""
    request = with_parameters(REQUEST, extra_body={"a": 2, "b": 1})
    assert UNCHANGED[name](request).key == request.key


def test_the_key_ignores_replies() -> None:
    """A turn keeps its key from run to run, although replies differ."""
    assert REQUEST.next_request(EarlierReply("yes")).key == REQUEST.next_request(EarlierReply("no")).key  # type: ignore[union-attr]


@given(CASES, CASES)
def test_keys_are_equal_if_the_content_is(one: tuple[Case, ...], other: tuple[Case, ...]) -> None:
    """Requests of two cases share a key if and only if id and turns so far are equal."""
    assume(one and other)
    first, second = (Request(TARGET, cases[0], 1, 1) for cases in (one, other))
    same = (first.case.id, first.case.turns[:1]) == (second.case.id, second.case.turns[:1])
    assert (first.key == second.key) is same


@given(st.text(min_size=1, max_size=5))
@example("\ud83d")
def test_any_text_has_a_key(said: str) -> None:
    """Half a surrogate pair, as a case file may hold it, is digested like any other text."""
    key = with_case(REQUEST, id=said, turns=(said,)).key
    assert len(key) == 16
    assert set(key) <= set("0123456789abcdef")

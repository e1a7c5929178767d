"""Rules that end a run early: a budget that is spent, and medians that are precise enough."""

import shutil
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.commands.run.options import spell_option
from runner.commands.run.stop_rules import stop_rule
from runner.commands.run.until_ci_stop_rules import relative_half_widths
from runner.core.cluster_node import Node
from runner.core.conversation_state import EarlierReply
from runner.core.events import Channel, Outcome
from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.core.record_fields import TextEvents, Timestamps
from runner.core.suite import Case, Parameters
from runner.core.until_ci import UntilCi
from runner.engine.run_observers import StopRule
from runner.errors import CompareError
from runner.planning.forecast import forecast_plan
from runner.planning.plan import Plan, cache_warming_request
from runner.planning.request import Request, Target
from runner.pricing.money import Money
from runner.pricing.rates import Price, Rates
from runner.providers.provider_row import ProviderRow
from tests.support.command import compare, read_rows, write_yaml
from tests.support.plans import first_requests
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, serve, streamed_reply

BRIEF = Parameters(max_tokens=100)
PRICE = Price("USD", (Rates(Decimal(0), Decimal(10_000)),), "test")
"""A reply of 100 tokens costs a dollar; prompts are free."""


class ImmediateExecutor(Executor):
    """Calls each function before `submit` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function here and now."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def plan_of(*models: str, turns: int = 1, parameters: Parameters = BRIEF, repeat: int | None = 50, **more: Any) -> Plan:
    """Return a plan of one case for models of the provider p."""
    targets = tuple(Target("p", model, parameters) for model in models)
    return Plan((Case("c", ("hi",) * turns),), targets, repeat, **more)


def answer(request: Request, tokens: int | None = 100, ttft_s: float = 0.1, **values: Any) -> Record:
    """Return a good record of a request."""
    text_events = TextEvents(at_us=(round(ttft_s * 1e6),), channels=Channel.ANSWER, lengths=(1,))
    counts: dict[str, Any] = {"input_tokens": None if tokens is None else 5, "output_tokens": tokens}
    return Record(request.identity(), Timestamps(sent=1), Outcome.OK, text_events=text_events, **(counts | values))


def budgeted(plan: Plan, *budgets: str, **prices: Price) -> StopRule:
    """Return the rule of budgets such as 5USD, with a price for some models."""
    forecast = forecast_plan(
        plan, {"p": ProviderRow(keyless=True)}, {f"p/{model}": price for model, price in prices.items()}
    )
    sums = [Money(Decimal(text[:-3]), text[-3:]) for text in budgets]
    rule = stop_rule(plan, forecast, budgets=sums, spell=spell_option)
    assert rule is not None
    return rule


# Budget


@given(
    st.integers(1, 60),
    *(st.integers(1, 8), st.integers(1, 3), st.lists(st.integers(0, 100), min_size=150, max_size=150)),
    st.randoms(use_true_random=False),
)
def test_a_budget_is_never_exceeded(
    dollars: int, at_once: int, turns: int, lengths: Sequence[int], chance: Random
) -> None:
    """This holds for any number of conversations in flight, any order of their ends and any length of replies."""
    plan = plan_of("a", turns=turns)
    rule = budgeted(plan, f"{dollars}USD", a=PRICE)
    openings, under_way, spent = first_requests(plan), list[Request](), Decimal(0)
    told, length = None, iter(lengths)
    while True:
        while told is None and len(under_way) < at_once and (opening := next(openings, None)) is not None:
            told = rule()
            if told is not None:
                assert spent + (len(under_way) + 1) * turns > dollars, "another conversation was sure to fit"
                assert told.startswith(f"the budget of {Money(Decimal(dollars), 'USD')} is reached: ")
            else:
                under_way.append(opening)
        if not under_way:
            break
        request = under_way.pop(chance.randrange(len(under_way)))
        tokens = next(length)
        spent += Decimal(tokens) / 100
        rule.finished(answer(request, tokens))
        if (following := request.next_request(EarlierReply("x"))) is not None:
            under_way.append(following)
    assert spent <= dollars


def test_a_budget_below_one_conversation_sends_nothing() -> None:
    """The reason states what one conversation may cost."""
    reason = budgeted(plan_of("a"), "0.50USD", a=PRICE)()
    assert reason == "the budget of 0.5 USD is reached: 0 USD spent, up to 1.00 USD for one more conversation"


def test_a_reply_without_usage_is_charged_at_its_highest_cost() -> None:
    """A cut reply without usage is, too; refused, unsent and skipped requests are free."""
    plan = plan_of("a")
    opening = next(first_requests(plan))
    charges = {
        "no usage": answer(opening, None),
        "cut": replace(answer(opening, None), outcome=Outcome.TRUNCATED),
        "refused": replace(answer(opening, None), outcome=Outcome.RATE_LIMITED, http_status=429),
        "unsent": replace(answer(opening, None), outcome=Outcome.CONNECTION, timestamps=Timestamps()),
        "skipped": replace(answer(opening, None), outcome=Outcome.SKIPPED, timestamps=Timestamps(), attempts=0),
    }
    left = {}
    for name, record in charges.items():
        rule = budgeted(plan, "1.50USD", a=PRICE)
        rule.finished(record)
        left[name] = rule() is None
    assert left == {"no usage": False, "cut": False, "refused": True, "unsent": True, "skipped": True}


def test_tokens_of_unknown_kind_are_charged_at_the_highest_rate() -> None:
    """Known counts are used, even if it is not known which tokens were cached."""
    cached = Price("USD", (Rates(Decimal(0), Decimal(10_000), cached=Decimal(1)),), "test")
    plan = plan_of("a")
    rule = budgeted(plan, "2USD", a=cached)
    rule.finished(answer(next(first_requests(plan)), 50))
    assert rule() is None


def test_a_skipped_turn_frees_the_reserve_of_its_conversation() -> None:
    """The money reserved for it is available again."""
    plan = plan_of("a", turns=2)
    rule = budgeted(plan, "3USD", a=PRICE)
    opening = next(first_requests(plan))
    assert rule() is None
    assert rule() is not None
    rule.finished(replace(answer(opening, None), outcome=Outcome.RATE_LIMITED, http_status=429))
    rule.finished(Record(next(iter(opening.later_turns())).identity(), Timestamps(), Outcome.SKIPPED, attempts=0))
    assert rule() is None


def test_records_of_a_resumed_run_count_towards_the_budget() -> None:
    """Their cost is spent, and they free nothing, since their conversations did not start in this run."""
    plan = plan_of("a")
    rule = budgeted(plan, "2.50USD", a=PRICE)
    rule.finished(answer(next(first_requests(plan))))
    assert rule() is None
    assert rule() is not None


def test_without_a_reply_limit_the_most_expensive_reply_so_far_is_reserved() -> None:
    """The budget may be exceeded only by requests in flight."""
    plan = plan_of("a", parameters=Parameters())
    rule, openings = budgeted(plan, "5USD", a=PRICE), first_requests(plan)
    assert [rule(), rule()] == [None, None]
    rule.finished(answer(next(openings), 200))
    assert rule() is not None
    rule.finished(answer(next(openings), 50))
    assert rule() is None


def test_warmups_count_towards_the_budget() -> None:
    """Their cost is spent, and they finish no conversation."""
    plan = plan_of("a", warmups=1)
    rule = budgeted(plan, "2USD", a=PRICE)
    for request in plan.warmup_requests("p"):
        rule.finished(answer(request, warmup=True))
    assert rule() is None
    assert rule() is not None


@given(st.integers(1, 30), st.integers(1, 8), st.lists(st.booleans(), max_size=60))
def test_a_budget_is_not_exceeded_by_warmups(dollars: int, at_once: int, ends: Sequence[bool]) -> None:
    """Each may cost as much as a conversation; money is reserved for those in flight."""
    plan = plan_of("a", warmups=100)
    rule, warmups = budgeted(plan, f"{dollars}USD", a=PRICE), plan.warmup_requests("p")
    under_way, spent = list[Request](), 0
    for end in ends:
        if under_way and (end or len(under_way) == at_once):
            spent += 1
            rule.finished(answer(under_way.pop(), warmup=True))
            continue
        told = rule.refuse_warmup()
        assert (told is None) == (spent + len(under_way) + 1 <= dollars)
        if told is not None:
            assert rule() is not None, "a conversation costs as much"
            return
        under_way.append(next(warmups))


def test_the_reason_names_warmups_and_conversations_under_way() -> None:
    """A request that warms a cache belongs to its conversation, and is not counted as a warm-up."""
    plan = plan_of("a", parameters=Parameters(max_tokens=100, cache="warm"), warmups=2)
    rule = budgeted(plan, "5USD", a=PRICE)
    assert (rule(), rule.refuse_warmup()) == (None, None)
    reason = rule.refuse_warmup()
    assert reason is not None
    assert reason.endswith("for 2 requests under way and one more")
    rule.finished(answer(cache_warming_request(next(first_requests(plan))), tokens=0, warmup=True))
    assert rule.refuse_warmup() is not None


def test_a_budget_ends_a_run_before_its_first_warmup(tmp_path: Path) -> None:
    """Neither the probe of a sized input nor a warm-up is sent if the budget has no room for it."""
    asked = []

    def reply(request: ReceivedRequest) -> ScriptedReply:
        asked.append(request.json)
        return streamed_reply("Yes")

    cases = [{"id": "long", "input": {"tokens": "1k"}, "prompt": "Who?"}, {"id": "short", "prompt": "Who?"}]
    with serve(reply) as server:
        price = {"currency": "USD", "input": 1000, "output": 1000}
        row = {"base_url": server.url, "keyless": True, "models": ["m"]}
        write_yaml(tmp_path / "compare.yaml", {"providers": {"acme": row}, "prices": {"acme/m": price}})
        write_yaml(tmp_path / "long.yaml", {"defaults": {"max_tokens": 10}, "cases": cases[:1]})
        write_yaml(tmp_path / "short.yaml", {"defaults": {"max_tokens": 10}, "cases": cases[1:]})
        for suite, budget, sent, warmed in (
            ("long.yaml", "0.5USD", 0, 0),
            ("long.yaml", "9USD", 4, 3),
            ("short.yaml", "0.001USD", 0, 0),
            ("short.yaml", "0.19USD", 2, 2),
        ):
            asked.clear()
            options = ("--warmup-requests", "2", "--budget", budget, "--concurrency", "1", "-o", "out")
            done = compare(tmp_path, "run", suite, "-m", "acme/m", *options)
            assert done.returncode == 0, done.stderr
            assert len(asked) == sent, done.stdout
            rows = read_rows(tmp_path / "out")
            assert sum("warmup" in row["flags"] for row in rows) == warmed
            shutil.rmtree(tmp_path / "out")


def test_each_currency_has_a_budget_of_its_own() -> None:
    """The first one to be spent stops the run."""
    yuan = replace(PRICE, currency="CNY")
    plan = plan_of("a", "b")
    rule = budgeted(plan, "50USD", "1.50CNY", a=PRICE, b=yuan)
    first, second = sorted(list(first_requests(plan))[:2], key=lambda request: request.target.model)
    assert rule() is None
    rule.finished(answer(first))
    assert rule() is None
    rule.finished(answer(second))
    assert str(rule()).startswith("the budget of 1.50 CNY is reached: 1.00 CNY spent")


@pytest.mark.parametrize(
    ("budgets", "prices", "said"),
    [
        (["5USD"], {"a": PRICE}, "--budget cannot be applied to p/b: no price is known"),
        (["5CNY"], {"a": PRICE, "b": PRICE}, "p/a costs USD: add --budget NUSD. Currencies are not converted"),
        (["5USD", "6USD"], {"a": PRICE, "b": PRICE}, "--budget names USD twice"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(budgets: list[str], prices: dict[str, Price], said: str) -> None:
    """The error comes before anything is sent."""
    with pytest.raises(CompareError, match=said):
        budgeted(plan_of("a", "b"), *budgets, **prices)


# Precision


def precision_rule(plan: Plan, share: float, executor: Executor | None = None) -> StopRule:
    """Return the rule of --until-ci."""
    forecast = forecast_plan(plan, {"p": ProviderRow(keyless=True)}, {})
    rule = stop_rule(
        plan, forecast, until_ci=UntilCi(ttft=share), executor=executor or ImmediateExecutor(), spell=spell_option
    )
    assert rule is not None
    return rule


def observe_blocks(rule: StopRule, plan: Plan, spread: float) -> int | None:
    """Give a rule one block after another; return after how many it stopped the run, None if it did not."""
    chance, a_block = Random(1), len(plan.targets)
    for at, request in enumerate(first_requests(plan)):
        if at % a_block == 0 and rule() is not None:
            return at // a_block
        rule.finished(answer(request, ttft_s=1 + spread * (chance.random() - 0.5)))
    return None


def test_precision_of_a_steady_target_is_reached_after_six_rounds() -> None:
    """Six rounds are the minimum for an interval."""
    assert observe_blocks(precision_rule(plan_of("a", "b"), 0.05), plan_of("a", "b"), spread=0.01) == 6


def test_precision_takes_more_rounds_the_more_values_vary() -> None:
    """A large variation needs more than six rounds, and a very large one is never precise enough."""
    plan = plan_of("a", repeat=200)
    after = observe_blocks(precision_rule(plan, 0.05), plan, spread=0.4)
    assert after is not None
    assert after > 8
    assert observe_blocks(precision_rule(plan, 0.001), plan, spread=1.5) is None


def test_the_reason_to_stop_names_the_least_precise_target_with_its_n() -> None:
    """The figure is half the width of the interval as a share of the median, in percent."""
    plan = plan_of("a", "b")
    rule = precision_rule(plan, 0.1)
    for request in list(first_requests(plan))[:16]:
        rule.finished(answer(request, ttft_s=1.0 if request.target.model == "a" else 1 + 0.01 * request.block))
    (found,) = relative_half_widths({"p/b": ([1 + 0.01 * block for block in range(1, 9)], range(8))})
    assert found.share is not None
    wanted = f"least well p/b's, to ±{100 * found.share:.2g} % (n 8, 8 rounds)"
    assert rule() == f"every target's median TTFT is known to ±10 %, {wanted}"


def test_only_whole_rounds_count_towards_precision() -> None:
    """Values of an unfinished round are left out."""
    plan = plan_of("a", "b", repeat=10)
    rule = precision_rule(plan, 0.9)
    for request in first_requests(plan):
        if request.target.model == "a" or request.block < 6:
            rule.finished(answer(request))
    assert rule() is None
    rule.finished(answer(next(r for r in first_requests(plan) if r.block == 6 and r.target.model == "b")))
    assert "6 rounds" in str(rule())


def test_precision_must_be_reached_from_every_vantage() -> None:
    """A round is complete when all nodes have sent it, and each node has its own median."""
    plan = plan_of("a", repeat=8, vantages=(Node("x", None), Node("y", None)))
    rule, of_x_alone = precision_rule(plan, 0.1), precision_rule(plan, 0.1)
    for request in first_requests(plan):
        assert request.vantage is not None
        name = request.vantage.name
        record = answer(request, ttft_s=1.0 if name == "x" else 1 + 0.01 * request.block, node=name)
        rule.finished(record)
        if name == "x":
            of_x_alone.finished(record)
    reason = str(rule())
    assert reason.startswith("every target's median TTFT is known to ±10 %, least well p/a from y's")
    assert reason.endswith("(n 8, 8 rounds)")
    assert of_x_alone() is None


def test_a_target_without_ttft_never_reaches_precision() -> None:
    """Failures and warm-ups have no TTFT, and other targets do not replace it."""
    plan = plan_of("a", "b", repeat=10)
    rule = precision_rule(plan, 0.9)
    for request in first_requests(plan):
        failed = request.target.model == "b"
        rule.finished(replace(answer(request), outcome=Outcome.TIMEOUT) if failed else answer(request))
        rule.finished(answer(request, warmup=True))
        assert rule() is None


def test_conversations_start_while_intervals_are_computed() -> None:
    """The rule lets conversations start until the executor has the result."""
    plan = plan_of("a", repeat=6)
    waiting: Future[Any] = Future()

    class DelayedExecutor(ImmediateExecutor):
        """Gives the result when the test sets it."""

        def submit(self, _fn: Any, /, *args: Any, **_kwargs: Any) -> Future[Any]:
            """Keep the arguments."""
            self.asked = args
            return waiting

    later = DelayedExecutor()
    rule = precision_rule(plan, 0.5, later)
    for request in first_requests(plan):
        rule.finished(answer(request))
    assert [rule(), rule()] == [None, None]
    waiting.set_result(relative_half_widths(*later.asked))
    assert rule() is not None


def test_intervals_may_be_computed_on_a_thread() -> None:
    """A run computes them in this way."""
    plan = plan_of("a", repeat=6)
    with ThreadPoolExecutor(1) as executor:
        rule = precision_rule(plan, 0.5, executor)
        for request in first_requests(plan):
            rule.finished(answer(request))
        at_once = rule()  # a quick thread may have ended already
    assert at_once or rule()


def test_precision_that_may_never_be_reached_is_refused() -> None:
    """A reply in one piece has no TTFT, and rounds without end need an end."""
    with pytest.raises(CompareError, match="waits for the TTFT of p/a, which is not measured without streaming"):
        precision_rule(plan_of("a", parameters=Parameters(stream=False)), 0.05)
    with pytest.raises(CompareError, match="may never be reached"):
        precision_rule(plan_of("a", repeat=None), 0.05)
    forecast = forecast_plan(
        plan_of("a", repeat=None), {"p": ProviderRow(keyless=True)}, {}, LoadProfile(max_requests=5)
    )
    assert (
        stop_rule(
            plan_of("a", repeat=None),
            forecast,
            until_ci=UntilCi(ttft=0.05),
            executor=ImmediateExecutor(),
            spell=spell_option,
        )
        is not None
    )


def test_without_budget_and_precision_there_is_no_stop_rule() -> None:
    """Without either, a run completes its plan."""
    assert (
        stop_rule(plan_of("a"), forecast_plan(plan_of("a"), {"p": ProviderRow(keyless=True)}, {}), spell=spell_option)
        is None
    )

"""The forecast of a plan, and the command `compare plan` that shows it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.cluster_node import Node
from runner.core.conversation_state import EarlierReply
from runner.core.load_profile import LoadProfile
from runner.core.suite import Api, Case, Message, Parameters
from runner.outputs.plan import describe_bounds, describe_plan, tabulate_plan
from runner.planning.forecast import Forecast, forecast_plan, reply_limit
from runner.planning.plan import Plan
from runner.planning.request import Target
from runner.pricing.money import Money
from runner.pricing.rates import Price, Rates
from runner.providers.provider_row import Limits, ProviderRow
from runner.providers.registry import builtin
from runner.providers.request_body import BUILDERS
from tests.support.command import compare, write_yaml
from tests.support.plans import first_requests

ROW = ProviderRow(keyless=True)
BRIEF = Parameters(max_tokens=100)
PRICE = Price("USD", (Rates(Decimal(1), Decimal(10)),), "the page", "2026-11-20")
TIERED = Price("CNY", (Rates(Decimal(1), Decimal(1)), Rates(Decimal(5), Decimal(5), above_input_tokens=1000)), "test")


def plan_of(*turns: int, targets: tuple[Target, ...] = (Target("p", "a", BRIEF),), **options: Any) -> Plan:
    """Return a plan with a case for each of these numbers of turns."""
    cases = tuple(Case(f"c{at}", ("hi",) * count) for at, count in enumerate(turns))
    return Plan(cases, targets, **options)


def forecast_of(plan: Plan, *, row: ProviderRow = ROW, load: LoadProfile | None = None, **prices: Price) -> Forecast:
    """Return the forecast of a plan whose only provider is p; `a=` is the price of p/a."""
    return forecast_plan(plan, {"p": row}, {f"p/{model}": price for model, price in prices.items()}, load)


# Counting


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    *(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.tuples(st.integers(1, 3), st.integers(0, 3))),
)
def test_forecast_counts_the_requests_of_the_plan(
    turns: list[int], repeat: int, models: int, warmups: int, times: tuple[int, int]
) -> None:
    """It counts every turn, repeat, target, level and node once, and the warm-ups of each target."""
    targets = tuple(Target("p", f"m{at}", BRIEF) for at in range(models))
    levels, nodes = times
    vantages = tuple(Node(f"n{at}", None) for at in range(nodes))
    plan = plan_of(*turns, targets=targets, repeat=repeat, warmups=warmups, levels=levels, vantages=vantages)
    warm = sum(1 for _ in plan.warmup_requests("p"))
    assert forecast_of(plan).requests == len(plan) + warm


@given(
    st.lists(st.text(max_size=60), min_size=1, max_size=4),
    *(st.none() | st.text(max_size=30), st.text(max_size=40), st.sampled_from(["allow", "bust"]), st.integers(1, 50)),
)
def test_forecast_bounds_the_tokens_of_every_prompt(
    turns: list[str], system: str | None, earlier: str, cache: str, limit: int
) -> None:
    """Every message that is sent, earlier replies of full length included, is within the bound."""
    parameters = Parameters(system=system, max_tokens=limit, prefix=earlier * 9, suffix=system)
    target = Target("p", "a", replace(parameters, cache=cache))  # type: ignore[arg-type]
    case = Case("c", tuple(turns), history=(Message("user", earlier), Message("assistant", earlier)))
    plan = Plan((case,), (target,))
    sent, request = 0, next(first_requests(plan))
    while request is not None:
        sent += sum(len(message.content.encode(errors="surrogatepass")) for message in request.messages("salt"))
        following = request.next_request(EarlierReply("x" * limit))
        if following is None:
            break
        request = following
    bound = forecast_of(plan).targets[0]
    assert bound.input_tokens is not None
    assert sent <= bound.input_tokens
    assert bound.output_tokens == limit * len(turns)


def test_forecast_includes_earlier_replies() -> None:
    """A second turn sends the first reply again, at its longest; without a limit nothing bounds it."""
    one, two = (forecast_of(plan_of(count)).targets[0].input_tokens for count in (1, 2))
    assert one is not None
    assert two is not None
    assert two - 2 * one >= 100
    unlimited = (Target("p", "a", Parameters()),)
    assert forecast_of(plan_of(1, targets=unlimited)).targets[0].input_tokens == one
    assert forecast_of(plan_of(2, targets=unlimited)).targets[0].input_tokens is None


def test_an_unlimited_reply_has_no_bound_and_no_cost() -> None:
    """An unlimited reply is distinguished from a target without a price."""
    unlimited = (Target("p", "a", Parameters()), Target("p", "b", BRIEF))
    forecast = forecast_of(plan_of(1, targets=unlimited), a=PRICE)
    assert [each.output_tokens for each in forecast.targets] == [None, 100]
    assert (forecast.unbounded, forecast.unpriced, forecast.costs) == (("p/a",), ("p/b",), ())


@pytest.mark.parametrize(
    ("provider", "parameters", "limit"),
    [
        ("deepseek", Parameters(max_tokens=7), 7),
        ("openai", Parameters(max_tokens=7), 7),
        ("openai", Parameters(extra_body={"max_completion_tokens": 9}), 9),
        ("openai", Parameters(max_tokens=7, extra_body={"max_completion_tokens": 9}), 9),
        ("deepseek", Parameters(), None),
    ],
)
def test_reply_limit_is_the_one_that_is_sent(provider: str, parameters: Parameters, limit: int | None) -> None:
    """The limit may have any name, and come from the suite or from `extra_body`."""
    assert reply_limit(Target(provider, "any", parameters), builtin().rows[provider]) == limit


@pytest.mark.parametrize("api", BUILDERS)
def test_reply_limit_is_that_of_every_dialect(api: Api) -> None:
    """Each dialect has its own name for the limit."""
    assert reply_limit(Target("p", "a", Parameters(max_tokens=7, api=api)), ProviderRow()) == 7


def test_a_limit_that_a_model_refuses_does_not_count() -> None:
    """It is not sent, so it is no bound."""
    assert reply_limit(Target("p", "a", BRIEF), ProviderRow(refuses={"max_tokens": ("a",)})) is None


# Money


def test_cost_is_that_of_every_request_at_its_longest() -> None:
    """Two turns of 100 tokens each at 10 dollars a million, and their prompts at one."""
    bound = forecast_of(plan_of(2, repeat=3), a=PRICE).targets[0]
    assert bound.input_tokens is not None
    assert bound.cost == Money((bound.input_tokens + Decimal(10) * 3 * 200) / 1_000_000, "USD")
    assert bound.dearest_conversation == Money(bound.cost.amount / 3, "USD")


def test_long_prompts_are_priced_per_request() -> None:
    """Only requests above the threshold have its rates, even if the sum of all requests is above it."""
    short = forecast_of(plan_of(1, repeat=100), a=TIERED).targets[0]
    assert short.input_tokens is not None
    assert short.input_tokens > 1000
    assert short.cost == Money(Decimal(short.input_tokens + 100 * 100) / 1_000_000, "CNY")


def test_a_price_of_zero_bounds_the_cost() -> None:
    """A price of zero is a price."""
    bound = forecast_of(plan_of(1), a=Price("EUR", (Rates(Decimal(0), Decimal(0)),), "test")).targets[0]
    assert (bound.cost, bound.dearest_conversation) == (Money(Decimal(0), "EUR"), Money(Decimal(0), "EUR"))


def test_forecast_has_one_sum_for_each_currency() -> None:
    """Two targets in two currencies give two sums."""
    targets = (Target("p", "a", BRIEF), Target("p", "b", BRIEF))
    forecast = forecast_of(plan_of(1, targets=targets), a=PRICE, b=TIERED)
    assert [money.currency for money in forecast.costs] == ["CNY", "USD"]


def test_a_simulated_target_costs_nothing() -> None:
    """It has no price, and is not listed as unpriced."""
    forecast = forecast_of(plan_of(1, targets=(Target("p", "a", BRIEF, simulated=True),)), a=PRICE)
    assert (forecast.costs, forecast.unpriced, forecast.targets[0].price) == ((), (), None)


# Bounds on load, and time


def test_max_requests_bounds_an_unlimited_number_of_rounds() -> None:
    """With two turns per round, five requests are three rounds at most, and five requests."""
    forecast = forecast_of(plan_of(2, repeat=None), load=LoadProfile(max_requests=5))
    assert (forecast.rounds, forecast.requests, forecast.has_end) == (3, 5, True)


def test_a_rate_and_a_duration_bound_a_run() -> None:
    """Two per second for ten seconds are twenty conversations with each target, the last after nine and a half."""
    forecast = forecast_of(plan_of(1, repeat=None), load=LoadProfile(rate=2, duration_s=10))
    assert (forecast.requests, forecast.lanes[0].by_requests_s) == (20, 9.5)


@pytest.mark.parametrize(
    ("repeat", "load", "start_s"),
    [
        (5, LoadProfile(rate=1), 4),
        (None, LoadProfile(rate=1, max_requests=6), 2),
        (100, LoadProfile(rate=2, duration_s=10), 9.5),
        (100, LoadProfile(rate=2), 49.5),
    ],
)
def test_a_rate_counts_conversations(repeat: int | None, load: LoadProfile, start_s: float) -> None:
    """Each of two turns starts once, so the last of five starts after four seconds; a limit ends it earlier."""
    assert forecast_of(plan_of(2, repeat=repeat), load=load).lanes[0].by_requests_s == start_s


def test_a_limit_below_the_sum_of_the_rows_is_noted() -> None:
    """Five requests at each of three levels are fifteen; each row has the share of its target."""
    targets = tuple(Target("p", model, BRIEF) for model in "abc")
    forecast = forecast_of(plan_of(4, targets=targets, repeat=None, levels=3), load=LoadProfile(max_requests=5))
    assert [each.requests for each in forecast.targets] == [12, 12, 12]
    said = describe_plan("s", forecast)
    assert said.endswith(": 15 requests in all (--requests); the rows are the most that each target gets.")


def test_a_duration_alone_bounds_only_the_time() -> None:
    """The number of requests depends on the replies."""
    forecast = forecast_of(plan_of(1, repeat=None), load=LoadProfile(duration_s=10), a=PRICE)
    assert (forecast.rounds, forecast.requests, forecast.has_end) == (None, None, True)
    assert forecast.unbounded == ("p/a",)
    assert not forecast_of(plan_of(1, repeat=None)).has_end


def test_limits_per_minute_determine_the_time() -> None:
    """Requests give a lower bound of the time, tokens an upper bound; unknown ones are None."""
    row = ProviderRow(
        requests_per_minute=30, tokens_per_minute=1000, limits={"b*": Limits(concurrency=1, requests_per_minute=6)}
    )
    targets = (Target("p", "a", BRIEF), Target("p", "b", BRIEF))
    shared, own = forecast_of(plan_of(1, targets=targets, repeat=60), row=row).lanes
    assert (shared.name, shared.concurrency, shared.by_requests_s) == ("p", 4, 120)
    assert (own.name, own.concurrency, own.by_requests_s) == ("p/b", 1, 600)
    assert own.by_tokens_s is not None
    assert own.by_tokens_s > 60 * 60 * 100 / 1000
    assert forecast_of(plan_of(1)).lanes[0].by_requests_s is None


def test_printed_forecast_names_what_has_no_limit() -> None:
    """An unlimited reply, a target without a price, and the time that a slow limit takes."""
    targets = (Target("p", "a", Parameters()), Target("p", "b", BRIEF), Target("p", "s", BRIEF, simulated=True))
    forecast = forecast_of(plan_of(1, targets=targets, repeat=200), row=ProviderRow(requests_per_minute=2), a=PRICE)
    cells = [(row[0], row[3], row[4]) for row in tabulate_plan(forecast).rows]
    assert cells == [
        ("p/a", "no limit", "no limit"),
        ("p/b", "20,000", "unknown"),
        ("p/s (simulated)", "20,000", "nothing"),
    ]
    said = describe_bounds(forecast)
    assert "Price of p/a: 1 in, 10 out (USD a million); the page, 2026-11-20." in said
    assert "p: 4 at a time; at least 5.0 h at 2 requests/min." in said
    assert "No max_tokens is sent to p/a: nothing but the model ends a reply." in said
    assert describe_plan("s", forecast) == "s: 1 case with 1 turn in all, asked 200 times, of 3 targets: 600 requests."


def test_forecast_counts_every_node_that_asks_everything() -> None:
    """Requests, tokens and cost are sums over nodes; a limit on all requests leaves fewer rounds for each."""
    vantages = (Node("x", None), Node("y", None))
    alone, wide = (forecast_of(plan_of(1, repeat=3, vantages=nodes), a=PRICE) for nodes in ((), vantages))
    assert describe_plan("s", wide).endswith("asked 3 times, of 1 target, from each of 2 nodes: 6 requests.")
    assert [each.amount for each in wide.costs] == [2 * each.amount for each in alone.costs]
    assert wide.targets[0].input_tokens == 2 * (alone.targets[0].input_tokens or 0)
    assert wide.targets[0].dearest_conversation == alone.targets[0].dearest_conversation
    assert forecast_of(plan_of(1, repeat=None, vantages=vantages), load=LoadProfile(max_requests=6)).rounds == 3


# The command


def run_plan(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Run `compare plan` on a small suite; return its output."""
    write_yaml(folder / "suite.yaml", {"defaults": {"max_tokens": 50}, "cases": [{"id": "c", "prompt": "hello"}]})
    ran = compare(folder, "plan", "suite.yaml", *arguments, variables=variables)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def files_in(folder: Path) -> set[str]:
    """Return the names of all files in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_compare_plan_needs_no_key_and_writes_no_file(tmp_path: Path) -> None:
    """A named target without its key is shown with a hint, where `run` would exit with 4."""
    write_yaml(tmp_path / "compare.yaml", {"prices": {"zhipu/*": {"currency": "CNY", "input": 8, "output": 28}}})
    said = run_plan(tmp_path, "-m", "zhipu/glm-5.3", "-m", "deepseek/deepseek-flash", "--repeat", "10")
    assert "asked 10 times, of 2 targets: 20 requests." in said
    assert "Key missing: ZHIPUAI_API_KEY is not set" in said
    assert "Key missing: DEEPSEEK_API_KEY is not set" in said
    assert "currencies are not converted" in said
    assert "(CNY a million); compare.yaml." in said
    assert files_in(tmp_path) == {"suite.yaml", "compare.yaml"}
    assert compare(tmp_path, "run", "suite.yaml", "-m", "zhipu/glm-5.3").returncode == 4


def test_a_pattern_of_a_plan_finds_the_models_of_a_provider_without_a_key(tmp_path: Path) -> None:
    """`deepseek/*` is planned as it would be with the key, which the plan calls missing."""
    said = run_plan(tmp_path, "-m", "deepseek/*")
    assert "deepseek/deepseek-flash" in said
    assert "Key missing: DEEPSEEK_API_KEY is not set" in said


def test_compare_plan_selects_the_targets_of_a_run(tmp_path: Path) -> None:
    """One key selects its provider, and no key the simulator; keys of other providers are not reported as missing."""
    alone = run_plan(tmp_path, variables={"DEEPSEEK_API_KEY": "sk-0123456789abcdef"})
    assert "deepseek/deepseek-flash" in alone
    assert "Key missing" not in alone
    assert "sim/quick (simulated)" in run_plan(tmp_path)


def test_the_json_of_a_plan_has_money_as_text_and_null_for_what_is_unknown(tmp_path: Path) -> None:
    """Money is text, unknown values are null with a reason."""
    said = json.loads(run_plan(tmp_path, "-m", "dashscope/qwen3.8-max", "-m", "sim/quick", "--json"))
    first, second = said["targets"]
    assert (said["suite"], said["requests"], said["cost"]) == ("suite", 2, {})
    assert (first["cost"], first["max_tokens"], first["output_tokens"]) == (None, 50, 50)
    assert "does not know" in first["price_unknown"]
    assert (second["simulated"], second["price_unknown"]) == (True, None)
    assert list(said["missing_keys"]) == ["dashscope"]


def test_compare_plan_refuses_an_invalid_price(tmp_path: Path) -> None:
    """The message has line and column, as for everything else in a compare.yaml."""
    write_yaml(tmp_path / "suite.yaml", {"cases": [{"id": "c", "prompt": "hello"}]})
    write_yaml(tmp_path / "compare.yaml", {"prices": {"zhipu/*": {"currency": "CNY", "input": -8, "output": 28}}})
    ran = compare(tmp_path, "plan", "suite.yaml")
    assert ran.returncode == 2
    assert "compare.yaml:4:12: `input` is -8. Write a number of at least 0." in ran.stderr

"""Costs: the two columns of a row, the sums of each target, and the sentences of the summary."""

from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.cost import cost_by, tokens_of
from runner.analysis.result_columns import row
from runner.analysis.run_results import Run
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.errors import JournalError
from runner.outputs.text.costs import describe_costs
from runner.outputs.text.run_remarks import remarks
from runner.pricing.rates import Hours, Price, Rates
from runner.storage.journal import Header
from tests.support import crafted_runs

DOLLARS = Price("USD", (Rates(Decimal(1), Decimal(2), cached=Decimal("0.5")),), "the page", "2026-11-20")
YUAN = Price("CNY", (Rates(Decimal(8), Decimal(28)),), "compare.yaml")


def header(**prices: Price) -> Header:
    """Return a header with the prices of targets; the keyword `p_a` stands for the target p/a."""
    plain = {name.replace("_", "/"): price.to_plain() for name, price in prices.items()}
    return crafted_runs.header("r", ("p/a", "p/b"), cases=("c",), planned_requests=2, prices=plain)


def record(model: str = "a", /, **values: object) -> Record:
    """Return a request to p/MODEL with a million input tokens and two million output tokens."""
    identity = Identity("k", "c", 1, 1, 1, "p", model, "hello")
    counts: dict[str, object] = {"input_tokens": 1_000_000, "output_tokens": 2_000_000, "cached_tokens": 0}
    return Record(identity, Timestamps(sent=1), Outcome.OK, **(counts | values))  # type: ignore[arg-type]


def test_a_row_has_cost_and_currency() -> None:
    """A million tokens at 1 USD and two million at 2 USD cost 5 USD."""
    cells = row(header(p_a=DOLLARS), record())
    assert (cells["cost"], cells["currency"]) == (5.0, "USD")


def test_cached_tokens_cost_their_own_rate() -> None:
    """Half of the input is cached, at half the price."""
    assert row(header(p_a=DOLLARS), record(cached_tokens=500_000))["cost"] == 4.75


@pytest.mark.parametrize(
    ("priced", "values"),
    [
        (header(), {}),
        (header(p_a=DOLLARS), {"input_tokens": None}),
        (header(p_a=DOLLARS), {"output_tokens": None}),
        (header(p_a=DOLLARS), {"cached_tokens": None}),
    ],
)
def test_an_unknown_cost_is_blank_and_never_zero(priced: Header, values: dict[str, object]) -> None:
    """Without a price, or without a count that the price needs, both cells are empty."""
    cells = row(priced, record(**values))
    assert (cells["cost"], cells["currency"]) == (None, None)


def test_a_free_model_costs_zero() -> None:
    """A price of zero is a known cost of zero, not an empty cell."""
    free = Price("USD", (Rates(Decimal(0), Decimal(0)),), "the page")
    cells = row(header(p_a=free), record())
    assert (cells["cost"], cells["currency"]) == (0.0, "USD")


def test_a_simulated_request_has_no_cost() -> None:
    """The cost is empty even if the header has a price for the target."""
    simulated = record()
    simulated = replace(simulated, identity=replace(simulated.identity, simulated=True))
    assert row(header(p_a=DOLLARS), simulated)["cost"] is None


def test_an_hourly_price_is_that_of_the_hour_of_the_request() -> None:
    """The request's own start in UTC decides; without it the cost is unknown."""
    dear = Rates(Decimal(10), Decimal(20), hours=Hours(time(1), time(4)))
    hourly = Price("USD", (Rates(Decimal(1), Decimal(2)), dear), "test")
    assert cost_by(hourly, record(started_at="2026-11-22T09:30:00.000+08:00")) == 50
    assert cost_by(hourly, record(started_at="2026-11-22T12:30:00.000+08:00")) == 5
    assert cost_by(hourly, record()) is None


@pytest.mark.parametrize(
    ("usage", "count"),
    [
        ({"prompt_tokens_details": {"cache_write_tokens": 7}}, 7),
        ({"prompt_tokens_details": None}, None),
        ({"prompt_tokens_details": {}}, None),
        ({}, None),
        (None, None),
        ({"input_tokens_details": {"cache_write_tokens": 7}}, 7),
        ({"cache_creation_input_tokens": 7}, 7),
        ({"prompt_tokens_details": {"cache_write_tokens": "7"}}, 7),
        ({"prompt_tokens_details": {"cache_write_tokens": 7.0}}, 7),
        ({"prompt_tokens_details": {"cache_write_tokens": "many"}}, None),
        ({"prompt_tokens_details": {"cache_write_tokens": -7}}, None),
    ],
)
def test_cache_write_tokens_are_read_from_usage(usage: dict[str, object] | None, count: int | None) -> None:
    """The count is read if a vendor sends it, and None otherwise."""
    assert tokens_of(record(usage=usage)).cache_write == count


def test_the_cost_of_a_responses_reply_includes_what_was_written_to_the_cache() -> None:
    """The Responses API counts it among `input_tokens_details`; the rest of the input has its own rate."""
    usage: dict[str, object] = {"input_tokens_details": {"cache_write_tokens": 500_000}}
    price = Price("USD", (Rates(Decimal(1), Decimal(2), cache_write=Decimal("1.5")),), "the page")
    assert cost_by(price, record(api="responses", usage=usage)) == Decimal("5.25")


def test_a_damaged_price_is_a_journal_error() -> None:
    """The error names the run and the target."""
    damaged = replace(header(), prices={"p/a": {"currency": "USD", "source": "x", "rates": [{"input": "?"}]}})
    with pytest.raises(JournalError, match="r: the price of p/a in its header is damaged"):
        row(damaged, record())


def test_costs_are_summed_by_target_and_currency() -> None:
    """Warm-ups are included, requests never sent are not, and requests of unknown cost are counted separately."""
    priced = header(p_a=DOLLARS, p_b=YUAN)
    run = Run.of(
        priced,
        [
            *(record(), record(warmup=True), record(output_tokens=None), record("b", cached_tokens=None)),
            record("b", attempts=0, input_tokens=None),
        ],
    )
    costs = run.costs
    assert [(str(each.target), str(each.spent), each.n, each.sent) for each in costs] == [
        ("p/a", "10.00 USD", 2, 3),
        ("p/b", "64.00 CNY", 1, 1),
    ]


def test_summary_remarks_name_costs() -> None:
    """Each target has its sum, n and source of the price; the total is per currency."""
    run = Run.of(header(p_a=DOLLARS, p_b=YUAN), [record(), record(output_tokens=None), record("b")])
    sentences = describe_costs(run)
    assert sentences == [
        "cost of p/a: 5.00 USD, n 1; the cost of 1 more request is not known; prices: the page, 2026-11-20",
        "cost of p/b: 64.00 CNY, n 1; prices: compare.yaml",
        "cost of all: 64.00 CNY + 5.00 USD, n 2; the cost of 1 more request is not known; currencies are not converted",
    ]
    assert [remark for remark in remarks(run) if remark.startswith("cost")] == sentences


def test_summary_without_prices_has_no_cost_remark() -> None:
    """Unknown costs, or no requests, give no sentence."""
    assert describe_costs(Run.of(header(), [record()])) == []
    assert describe_costs(Run.of(header(p_a=DOLLARS), [])) == []


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=20))
def test_sum_of_costs_is_exact_to_a_billionth(counts: list[tuple[int, int]]) -> None:
    """Cells are floats, and their sum is that of the decimals."""
    run = Run.of(
        header(p_b=YUAN), [record("b", input_tokens=sent, output_tokens=received) for sent, received in counts]
    )
    wanted = Decimal(sum(8 * sent + 28 * received for sent, received in counts)) / 1_000_000
    costs = run.costs
    assert sum(each.n for each in costs) == len(counts)
    assert abs(sum((each.spent.amount for each in costs), Decimal(0)) - wanted) < Decimal("1e-9")
    assert {each.spent.currency for each in costs} <= {"CNY"}


@pytest.mark.parametrize(
    ("usage", "charged"),
    [
        ({"cost": 0.5}, 0.5),
        ({"cost": "0.5"}, 0.5),
        ({"cost": {"total_cost": 0.5}}, 0.5),
        ({"estimated_cost": 0.5}, 0.5),
        ({"cost_in_usd_ticks": 5_000_000_000}, 0.5),
        ({"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.4}}, 0.5),
    ],
)
def test_what_the_provider_charged_is_the_cost(usage: dict[str, object], charged: float) -> None:
    """It needs no price, takes precedence over one in the same currency, and is flagged as the provider's."""
    for priced in (header(), header(p_a=DOLLARS), header(p_a=YUAN)):
        cells = row(priced, record(usage=usage))
        assert (cells["cost"], cells["currency"]) == ((charged, "USD"))
        assert "provider_cost" in str(cells["flags"])


@pytest.mark.parametrize(
    "usage", [{"cost": None}, {"cost": True}, {"cost": -1}, {"cost": "free"}, {"cost": float("nan")}]
)
def test_a_charge_that_is_no_amount_is_ignored(usage: dict[str, object]) -> None:
    """The price then gives the cost."""
    assert row(header(p_a=DOLLARS), record(usage=usage))["cost"] == 5.0


def test_the_cost_overview_names_the_source_of_each_sum() -> None:
    """It also has the number of requests without a known cost."""
    run = Run.of(header(), [record(usage={"cost": 0.25}), record(output_tokens=None), record("b", usage={"cost": 1})])
    assert describe_costs(run) == [
        "cost of p/a: 0.25 USD, n 1; the cost of 1 more request is not known; as the provider charged",
        "cost of p/b: 1.00 USD, n 1; as the provider charged",
        "cost of all: 1.25 USD, n 2; the cost of 1 more request is not known",
    ]

"""What requests have cost: the two columns, the sums, and the sentences of the overview."""

from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.columns import row
from runner.analysis.cost import cost_by, tokens_of
from runner.analysis.run import Run
from runner.core.events import Outcome
from runner.core.record import Identity, Record, Timestamps
from runner.errors import JournalError
from runner.outputs.text.costs import describe_costs
from runner.outputs.text.overview import remarks
from runner.pricing.rates import Hours, Price, Rates
from runner.storage.journal import Header

DOLLARS = Price("USD", (Rates(Decimal(1), Decimal(2), cached=Decimal("0.5")),), "the page", "2026-11-20")
YUAN = Price("CNY", (Rates(Decimal(8), Decimal(28)),), "compare.yaml")


def header(**prices: Price) -> Header:
    """Return a header of a run with prices by target; `p_a` stands for p/a."""
    return Header(
        run_id="r",
        suite="s",
        digest="d",
        seed=1,
        started_at="2026-11-22T12:00:00.000+00:00",
        simulated=False,
        repeat=1,
        targets=("p/a", "p/b"),
        cases=("c",),
        planned_requests=2,
        prices={name.replace("_", "/"): price.to_plain() for name, price in prices.items()},
    )


def record(model: str = "a", /, **values: object) -> Record:
    """Return a request to p/MODEL that sent a million tokens and heard two."""
    identity = Identity("k", "c", 1, 1, 1, "p", model, "hello")
    counts: dict[str, object] = {"input_tokens": 1_000_000, "output_tokens": 2_000_000, "cached_tokens": 0}
    return Record(identity, Timestamps(sent=1), Outcome.OK, **(counts | values))  # type: ignore[arg-type]


def test_the_columns_hold_the_cost_and_its_currency() -> None:
    """A million at 1 and two at 2 are 5."""
    cells = row(header(p_a=DOLLARS), record())
    assert (cells["cost"], cells["currency"]) == (5.0, "USD")


def test_cached_tokens_cost_their_own_rate() -> None:
    """Half of the input from the cache at half the price."""
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


def test_a_free_model_costs_nothing_and_that_is_known() -> None:
    """Zero is a price like any other."""
    free = Price("USD", (Rates(Decimal(0), Decimal(0)),), "the page")
    cells = row(header(p_a=free), record())
    assert (cells["cost"], cells["currency"]) == (0.0, "USD")


def test_a_simulated_request_has_no_cost() -> None:
    """Even if somebody wrote a price into the header."""
    simulated = record()
    simulated = replace(simulated, identity=replace(simulated.identity, simulated=True))
    assert row(header(p_a=DOLLARS), simulated)["cost"] is None


def test_the_hour_is_that_of_the_request() -> None:
    """Its own start counts, in UTC; without one the cost is not known."""
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
        ({"prompt_tokens_details": {"cache_write_tokens": "7"}}, None),
    ],
)
def test_tokens_put_into_a_cache_are_read_from_the_usage(usage: dict[str, object] | None, count: int | None) -> None:
    """Where the vendors who charge for it count them."""
    assert tokens_of(record(usage=usage)).cache_write == count


def test_a_damaged_price_is_told_of_in_a_sentence() -> None:
    """Not with a traceback."""
    damaged = replace(header(), prices={"p/a": {"currency": "USD", "source": "x", "rates": [{"input": "?"}]}})
    with pytest.raises(JournalError, match="r: the price of p/a in its header is damaged"):
        row(damaged, record())


def test_sums_are_per_target_and_currency_with_their_n() -> None:
    """Warm-ups cost money too; what was never sent does not count; what is unknown is told apart."""
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


def test_the_overview_says_what_was_spent() -> None:
    """Each target with n and the price's origin, then all, each currency by itself."""
    run = Run.of(header(p_a=DOLLARS, p_b=YUAN), [record(), record(output_tokens=None), record("b")])
    said = describe_costs(run)
    assert said == [
        "cost of p/a: 5.00 USD, n 1; the cost of 1 more request is not known; prices: the page, 2026-11-20",
        "cost of p/b: 64.00 CNY, n 1; prices: compare.yaml",
        "cost of all: 64.00 CNY + 5.00 USD, n 2; currencies are not converted",
    ]
    assert [remark for remark in remarks(run) if remark.startswith("cost")] == said


def test_without_a_price_the_overview_is_silent() -> None:
    """Nothing is said of costs that nobody knows."""
    assert describe_costs(Run.of(header(), [record()])) == []
    assert describe_costs(Run.of(header(p_a=DOLLARS), [])) == []


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=20))
def test_a_sum_is_that_of_the_rows(counts: list[tuple[int, int]]) -> None:
    """To a billionth: cells are floats."""
    run = Run.of(header(p_b=YUAN), [record("b", input_tokens=sent, output_tokens=heard) for sent, heard in counts])
    wanted = Decimal(sum(8 * sent + 28 * heard for sent, heard in counts)) / 1_000_000
    costs = run.costs
    assert sum(each.n for each in costs) == len(counts)
    assert abs(sum((each.spent.amount for each in costs), Decimal(0)) - wanted) < Decimal("1e-9")
    assert {each.spent.currency for each in costs} <= {"CNY"}

"""Money and prices: rates, published prices, user prices, and the price of a target."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, data
from genai_prices.types import ModelPrice
from hypothesis import given
from hypothesis import strategies as st

from runner.core.suite import Parameters
from runner.errors import CompareError, InvalidFile
from runner.planning.request import Target
from runner.planning.target_prices import find_prices
from runner.pricing import published_prices
from runner.pricing.money import Money, add_up, format_amount, parse_money
from runner.pricing.published_prices import NoPublishedPrice, published_price
from runner.pricing.rates import PLAIN_ERRORS, Hours, Price, Rates, Tokens, cost, highest_cost
from runner.providers.config_files import load_config, load_prices
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import Registry, builtin

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 20, tzinfo=UTC)


def rated(input_rate: str = "1", output_rate: str = "2", **parts: str) -> Rates:
    """Return rates with these values."""
    own: dict[str, Any] = {part: Decimal(rate) for part, rate in parts.items()}
    return Rates(Decimal(input_rate), Decimal(output_rate), **own)


def price(input_rate: str = "1", output_rate: str = "2", **parts: str) -> Price:
    """Return a price in dollars with these rates."""
    return Price("USD", (rated(input_rate, output_rate, **parts),), "test")


# Money


@pytest.mark.parametrize(
    ("text", "money"),
    [
        ("5USD", Money(Decimal(5), "USD")),
        (" 0.50 cny ", Money(Decimal("0.50"), "CNY")),
        ("7 eur", Money(Decimal(7), "EUR")),
    ],
)
def test_money_is_a_number_and_three_letters(text: str, money: Money) -> None:
    """Letters may be in any case, with or without a space."""
    assert parse_money(text) == money


@pytest.mark.parametrize("text", ["5", "$5", "USD", "5 dollars", "-5USD", "1,000USD", "5USDX", "", "nanUSD", "1e3USD"])
def test_invalid_money_is_refused_with_an_example(text: str) -> None:
    """A currency sign is refused too: $ and ¥ each have several meanings."""
    with pytest.raises(CompareError, match="Write a number and its currency: 5USD or 20CNY"):
        parse_money(text)


def test_an_amount_of_zero_is_refused() -> None:
    """A budget of zero would send nothing."""
    with pytest.raises(CompareError, match="must be greater than zero"):
        parse_money("0.00USD")


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        *(("0", "0"), ("0.00123456", "0.00123"), ("0.5", "0.5"), ("0.9994", "0.999"), ("0.9996", "1.00")),
        *(("1234.5", "1,234.50"), ("0.00000012", "0.00000012"), ("12", "12.00"), ("0.000999999", "0.001")),
    ],
)
def test_amounts_are_written_without_false_precision(amount: str, written: str) -> None:
    """Amounts below one have three digits, larger ones two decimals."""
    assert format_amount(Decimal(amount)) == written


@given(st.lists(st.tuples(st.decimals(0, 10, places=4), st.sampled_from(["USD", "CNY"]))))
def test_currencies_are_never_added_to_one_another(sums: list[tuple[Decimal, str]]) -> None:
    """Each currency has its own sum."""
    totals = {money.currency: money.amount for money in add_up(Money(*each) for each in sums)}
    for currency in ("USD", "CNY"):
        assert totals.get(currency, Decimal(0)) == sum(amount for amount, of in sums if of == currency)


# Arithmetic


def test_parts_have_their_own_rates() -> None:
    """Cached and written tokens are subtracted from the input, reasoning from the output."""
    rates = price("10", "100", cached="1", cache_write="20", reasoning="50")
    tokens = Tokens(input=1000, output=300, cached=600, cache_write=100, reasoning=200)
    assert cost(rates, tokens) == Decimal(300 * 10 + 600 * 1 + 100 * 20 + 100 * 100 + 200 * 50) / 1_000_000


def test_a_part_without_its_own_rate_has_that_of_the_whole() -> None:
    """Its count need not be known."""
    assert cost(price(), Tokens(1_000_000, 1_000_000)) == Decimal(3)
    assert cost(price(), Tokens(1_000_000, 1_000_000, cached=5, cache_write=5, reasoning=5)) == Decimal(3)


@pytest.mark.parametrize("missing", ["input", "output", "cached", "cache_write", "reasoning"])
def test_cost_needs_every_count_that_has_a_rate(missing: str) -> None:
    """A missing count makes the cost unknown, not lower."""
    rates = price(cached="0.1", cache_write="2", reasoning="3")
    whole = Tokens(input=10, output=10, cached=1, cache_write=1, reasoning=1)
    assert cost(rates, whole) is not None
    assert cost(rates, replace(whole, **{missing: None})) is None


def test_impossible_counts_have_no_cost() -> None:
    """More cached tokens than input tokens would give too low a cost."""
    assert cost(price(cached="0.1"), Tokens(input=10, output=10, cached=11)) is None


def test_long_prompts_have_other_rates_as_a_whole() -> None:
    """Rates above a threshold apply to all tokens of a longer request, and to none at the threshold."""
    tiered = Price("USD", (rated(), replace(rated("5"), above_input_tokens=100)), "test")
    assert cost(tiered, Tokens(100, 0)) == Decimal(100) / 1_000_000
    assert cost(tiered, Tokens(101, 0)) == Decimal(505) / 1_000_000


def test_hours_are_in_utc() -> None:
    """The end of a span is exclusive, and the offset of the request's time is respected."""
    dear = replace(rated("5"), hours=Hours(time(1), time(4)))
    hourly = Price("USD", (rated(), dear), "test")
    beijing = timezone(timedelta(hours=8))
    million = Tokens(1_000_000, 0)
    assert cost(hourly, million, datetime(2026, 11, 20, 9, 0, tzinfo=beijing)) == 5
    assert cost(hourly, million, datetime(2026, 11, 20, 12, 0, tzinfo=beijing)) == 1
    assert cost(hourly, million) is None


def test_hours_may_cross_midnight() -> None:
    """A span from late to early is one span."""
    night = Hours(time(23), time(2))
    assert [hour for hour in (22, 23, 0, 1, 2) if time(hour) in night] == [23, 0, 1]


amounts = st.decimals(0, 1000, places=3, allow_nan=False)
optional_amounts = st.none() | amounts
all_hours = st.none() | st.builds(
    Hours, st.times().map(lambda at: at.replace(microsecond=0)), st.times().map(lambda at: at.replace(microsecond=0))
)
conditional_rates = st.builds(
    Rates,
    *(amounts, amounts, optional_amounts, optional_amounts, optional_amounts),
    above_input_tokens=st.integers(0, 3000),
    hours=all_hours,
)
ordinary_rates = conditional_rates.map(lambda rates: replace(rates, above_input_tokens=0, hours=None))
prices = st.builds(
    lambda first, others: Price("USD", (first, *others), "test", "2026-11-20"),
    ordinary_rates,
    st.lists(conditional_rates, max_size=3),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- a zone is given


@given(prices, st.integers(0, 5000), st.integers(0, 5000), st.data())
def test_highest_cost_is_an_upper_bound(any_price: Price, sent: int, received: int, data: st.DataObject) -> None:
    """It holds for any hour, any parts and any lengths up to the given ones."""
    count = data.draw(st.integers(0, sent))
    cached = data.draw(st.integers(0, count))
    output = data.draw(st.integers(0, received))
    tokens = Tokens(count, output, cached, data.draw(st.integers(0, count - cached)), data.draw(st.integers(0, output)))
    known = cost(any_price, tokens, data.draw(moments))
    assert known is not None
    assert known <= highest_cost(any_price, sent, received)


@given(prices)
def test_a_price_survives_plain_data(any_price: Price) -> None:
    """No digit is lost."""
    assert Price.from_plain(any_price.to_plain()) == any_price


@pytest.mark.parametrize("damage", [{"rates": []}, {"rates": [{"input": "x", "output": "1"}]}, {"rates": 1}, {}])
def test_a_damaged_price_raises_only_the_listed_errors(damage: dict[str, object]) -> None:
    """A reader of journals catches one set of errors."""
    with pytest.raises(PLAIN_ERRORS):
        Price.from_plain({"currency": "USD", "source": "test", **damage})


# Published prices

VENDORS = {
    "https://api.deepseek.com": "deepseek",
    "https://api.openai.com/v1": "openai",
    "https://api.z.ai/api/paas/v4": "zai",
    "https://api.moonshot.ai/v1": "moonshotai",
    "https://api.groq.com/openai/v1": "groq",
    "https://api.together.xyz/v1": "together",
    "https://api.mistral.ai/v1": "mistral",
    "https://api.x.ai/v1": "x-ai",
}


def sold() -> Iterator[tuple[str, str, str]]:
    """Yield base URL, vendor and model of everything that is priced by tokens only."""
    for url, vendor in VENDORS.items():
        provider = next(each for each in data.providers if each.id == vendor)
        for model in provider.models:
            if _is_by_the_token(url, model.id):
                yield url, vendor, model.id


def _is_by_the_token(url: str, model: str) -> bool:
    try:
        published_price(url, model, NOON)
    except NoPublishedPrice:
        return False
    return True


SOLD = tuple(sold())


def test_most_models_of_the_vendors_have_a_published_price() -> None:
    """The other tests cover real data, and vendors are found by their base URLs."""
    assert len(SOLD) > 200
    assert {vendor for _, vendor, _ in SOLD} == set(VENDORS.values())


@given(st.sampled_from(SOLD), moments, st.integers(0, 400_000), st.integers(0, 50_000), st.data())
def test_published_prices_match_the_packages_own_calculation(
    what: tuple[str, str, str], at: datetime, sent: int, received: int, drawn: st.DataObject
) -> None:
    """Rates include tiers, hours and start dates of the package's rules."""
    url, vendor, model = what
    cached = drawn.draw(st.integers(0, sent))
    written = drawn.draw(st.integers(0, sent - cached))
    tokens = Tokens(sent, received, cached, written, reasoning=0)
    usage = Usage(input_tokens=sent, output_tokens=received, cache_read_tokens=cached, cache_write_tokens=written)
    provider, info = published_prices._snapshot().find_provider_model(model, None, vendor, None)
    wanted = info.calc_price(usage, provider, genai_request_timestamp=at).total_price
    assert cost(published_price(url, model, at), tokens, at) == wanted


def test_a_price_announced_for_a_later_day_is_not_used() -> None:
    """The day of the run decides, and the price has the date since which it applies."""
    url, model = "https://api.mistral.ai/v1", "mistral-medium-latest"
    before, after = (published_price(url, model, datetime(2026, 6, day, tzinfo=UTC)) for day in (15, 16))
    assert (before.rates[0].input, before.date) == (Decimal("0.4"), None)
    assert (after.rates[0].input, after.date) == (Decimal("1.5"), "2026-06-16")


@pytest.mark.parametrize(
    ("url", "model", "why"),
    [
        ("https://open.bigmodel.cn/api/paas/v4", "glm-5.3", "sold in yuan"),
        ("https://api.moonshot.cn/v1", "kimi-k3", "sold in yuan"),
        ("https://api.minimaxi.com/v1", "MiniMax-M3", "sold in yuan"),
        ("https://api.minimax.io/v1", "MiniMax-M2.1", "converted to dollars"),
        ("https://mine.openai.azure.com/openai/v1", "gpt-4o", "does not tell its model"),
        ("https://openrouter.ai/api/v1", "deepseek/deepseek-v4-flash", "from request to request"),
        ("https://api.z.ai/api/coding/paas/v4", "glm-5.3", "subscription"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "qwen3.8-max", "does not know"),
        ("https://api.deepseek.com", "no-such-model", "does not know"),
        ("http://127.0.0.1:8000/v1", "gpt-4o", "does not know"),
    ],
)
def test_uncertain_prices_are_left_out_with_a_reason(url: str, model: str, why: str) -> None:
    """Converted yuan, deployments, auctions and subscriptions have no price, and a reason."""
    with pytest.raises(NoPublishedPrice, match=why):
        published_price(url, model, NOON)


def test_prices_by_the_hour_have_a_remark_on_weekends() -> None:
    """The package has hours and no weekends, so the source has a remark."""
    assert "every day" in published_price("https://api.deepseek.com", "deepseek-flash", NOON).origin


def test_a_price_per_request_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only tokens are priced here."""
    _, info = published_prices._snapshot().find_provider_model("gpt-4o-mini", None, "openai", None)
    per_request = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1), requests_kcount=Decimal(5))
    monkeypatch.setattr(info, "prices", per_request)
    with pytest.raises(NoPublishedPrice, match="each request costs something"):
        published_price("https://api.openai.com/v1", "gpt-4o-mini", NOON)


WITHOUT_NETWORK = """
import socket, sys
def refuse(*_): raise AssertionError("the network was touched")
socket.socket.connect = socket.getaddrinfo = refuse
from datetime import datetime, UTC
from runner.pricing.published_prices import published_price
import threading
price = published_price("https://api.openai.com/v1", "gpt-4o-mini", datetime.now(UTC))
print(price.rates[0].input, threading.active_count())
"""

WITHOUT_PACKAGE = """
import sys
sys.modules["genai_prices"] = sys.modules["genai_prices.data"] = None
from datetime import datetime, UTC
from runner.planning.request import Target
from runner.planning.target_prices import find_prices
from runner.core.suite import Parameters
target = Target("openai", "gpt-4o-mini", Parameters())
print(*find_prices([target], {"openai": "https://api.openai.com/v1"}, {}, datetime.now(UTC)).notes())
"""


def run_python(code: str) -> str:
    """Run code in another process; return its output."""
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    return ran.stdout.strip()


def test_published_prices_never_use_the_network() -> None:
    """There is no connection, no name look-up, and no background thread."""
    assert run_python(WITHOUT_NETWORK) == "0.15 1"


def test_without_genai_prices_a_message_says_how_to_install_it() -> None:
    """Nothing fails; the price is unknown."""
    said = run_python(WITHOUT_PACKAGE)
    assert said == (
        "No price is known for openai/gpt-4o-mini: list prices are not installed (`compare doctor` gives the "
        "command that adds the extra `prices`). Write it under `prices` in compare.yaml, or do without costs."
    )


# The user's own prices

OWN = """\
prices:
  dashscope/qwen3.8-max:
    currency: CNY
    input: 2.4
    output: 9.6
    cached: 0.48
    source: the vendor's page
    date: 2026-11-20
    instead:
      - {above_input_tokens: 128000, input: 4, output: 12, cached: 0.8}
      - {hours_utc: 16:00-24:00, input: 1, output: 2, cached: 0.1}
  qwen/*:
    currency: CNY
    input: 1
    output: 2.50
"""


def user_prices(folder: Path, text: str, registry: Registry | None = None) -> dict[str, Price]:
    """Return the prices of a compare.yaml with this text."""
    file = folder / "compare.yaml"
    file.write_text(text, encoding="utf-8")
    return dict(load_prices(file, registry or builtin()))


def test_user_prices_are_read_exactly(tmp_path: Path) -> None:
    """Rates keep their digits; an alias stands for its provider; without a source the file itself is the source."""
    found = user_prices(tmp_path, OWN.replace("16:00-24:00", "16:00-23:30"))
    assert list(found) == ["dashscope/qwen3.8-max", "dashscope/*"]
    exact = found["dashscope/qwen3.8-max"]
    assert (exact.currency, exact.origin) == ("CNY", "the vendor's page, 2026-11-20")
    assert exact.rates == (
        Rates(Decimal("2.4"), Decimal("9.6"), Decimal("0.48")),
        Rates(Decimal(4), Decimal(12), Decimal("0.8"), above_input_tokens=128000),
        Rates(Decimal(1), Decimal(2), Decimal("0.1"), hours=Hours(time(16), time(23, 30))),
    )
    assert found["dashscope/*"].origin == "compare.yaml"


def test_prices_in_a_config_are_optional(tmp_path: Path) -> None:
    """A compare.yaml without prices has the same meaning as before."""
    file = tmp_path / "compare.yaml"
    file.write_text("providers:\n  mine: {base_url: http://127.0.0.1:1/v1, keyless: true}\n", encoding="utf-8")
    registry = builtin().with_rows(load_config(file))
    assert load_prices(file, registry) == {}
    rows = file.read_text(encoding="utf-8")
    assert list(
        user_prices(tmp_path, rows + "prices:\n  mine/x: {currency: EUR, input: 1, output: 1}\n", registry)
    ) == ["mine/x"]


@pytest.mark.parametrize(
    ("price", "problem"),
    [
        ("{currency: usd, input: 1, output: 1}", ":2:21: `currency`: a currency is three capital letters. Write USD"),
        ("{currency: $, input: 1, output: 1}", "three capital letters"),
        ("{input: 1, output: 1}", "`currency` is missing"),
        ("{currency: USD, input: -1, output: 1}", ":2:33: `input` is -1. Write a number of at least 0."),
        ("{currency: USD, input: .inf, output: 1}", "`input` is the text `.inf`. Write a number."),
        ("{currency: USD, input: many, output: 1}", "`input` is the text `many`. Write a number."),
        ("{currency: USD, inptu: 1, output: 1}", "unknown key `inptu` in `gpt/x`. Did you mean `input`?"),
        ("{currency: USD, input: 1, output: 1, date: today}", "`date`"),
        (
            "{currency: USD, input: 1, output: 1, instead: [{input: 1, output: 1}]}",
            "nothing says when these rates apply",
        ),
        (
            "{currency: USD, input: 1, output: 1, cached: 0, instead: [{above_input_tokens: 5, input: 1, output: 1}]}",
            "rates in `instead` replace all others. Write input, output, cached in each",
        ),
        (
            "{currency: USD, input: 1, output: 1, instead: [{hours_utc: 25:00-26:00, input: 1, output: 1}]}",
            "`hours_utc`: these are not hours of a day. Write 01:00-04:00, in UTC",
        ),
        (
            "{currency: USD, input: 1, output: 1, instead: [{hours_utc: 01:00-01:00, input: 1, output: 1}]}",
            "these hours begin when they end",
        ),
    ],
)
def test_a_problem_of_a_price_is_reported_with_its_place(tmp_path: Path, price: str, problem: str) -> None:
    """The message has line, column, what is wrong and what to write."""
    registry = builtin().with_rows({"gpt": ProviderRow(keyless=True)})
    with pytest.raises(InvalidFile) as caught:
        user_prices(tmp_path, f"prices:\n  gpt/x: {price}\n", registry)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'compare.yaml'}:2:")


def test_every_unknown_target_of_a_price_is_reported_at_once(tmp_path: Path) -> None:
    """An unknown provider and the simulator, which costs nothing, are both reported."""
    rates = "{currency: USD, input: 1, output: 1}"
    with pytest.raises(InvalidFile) as caught:
        user_prices(tmp_path, f"prices:\n  depseek/x: {rates}\n  sim/quick: {rates}\n  nobody/x: {rates}\n")
    said = str(caught.value)
    assert ":2:3: unknown provider `depseek`. Did you mean `deepseek`?" in said
    assert ":3:3: `sim` is simulated and costs nothing. Remove its price." in said
    assert ":4:3: unknown provider `nobody`. `compare providers` lists the known ones." in said


# Whose price a target has


def test_a_user_price_overrides_the_published_one(tmp_path: Path) -> None:
    """An exact name wins over a pattern above it; a simulated target has no price and is not listed as unknown."""
    own = user_prices(
        tmp_path,
        "prices:\n  openai/*: {currency: EUR, input: 1, output: 1}\n"
        "  openai/gpt-6-luna: {currency: EUR, input: 2, output: 2}\n",
    )
    targets = [
        *(Target("openai", "gpt-6-luna", Parameters()), Target("openai", "gpt-4o-mini", Parameters())),
        *(Target("deepseek", "deepseek-flash", Parameters()), Target("sim", "quick", Parameters(), simulated=True)),
        Target("dashscope", "qwen3.8-max", Parameters()),
    ]
    urls = {id_: row.base_url for id_, row in builtin().rows.items() if row.base_url}
    found = find_prices(targets, urls, own, DAY)
    assert {name: (each.currency, each.rates[0].input) for name, each in found.known.items()} == {
        "openai/gpt-6-luna": ("EUR", Decimal("2.0")),
        "openai/gpt-4o-mini": ("EUR", Decimal("1.0")),
        "deepseek/deepseek-flash": ("USD", Decimal("0.15")),
    }
    assert list(found.unknown) == ["dashscope/qwen3.8-max"]


def test_variants_of_a_model_cost_what_the_model_costs(tmp_path: Path) -> None:
    """A price is written for the model, by its name or a pattern, and published for it."""
    own = user_prices(tmp_path, "prices:\n  openai/gpt-6-luna: {currency: EUR, input: 2, output: 2}\n")
    targets = [
        Target(provider, model, Parameters(), variant=variant)
        for provider, model in (("openai", "gpt-6-luna"), ("deepseek", "deepseek-flash"))
        for variant in ("fast", "deep")
    ]
    urls = {id_: row.base_url for id_, row in builtin().rows.items() if row.base_url}
    known = find_prices(targets, urls, own, DAY).known
    assert {name: each.currency for name, each in known.items()} == {
        **{f"openai/gpt-6-luna#{variant}": "EUR" for variant in ("fast", "deep")},
        **{f"deepseek/deepseek-flash#{variant}": "USD" for variant in ("fast", "deep")},
    }


def test_a_service_tier_has_no_list_price() -> None:
    """Flex and priority have other prices; the default tier has the list price."""
    urls = {"openai": "https://api.openai.com/v1"}
    targets = [
        Target("openai", "gpt-4o-mini", Parameters(extra_body={"service_tier": tier})) for tier in ("flex", "default")
    ]
    assert list(find_prices(targets[:1], urls, {}, DAY).unknown.values()) == [
        "what the service tier flex costs is not known"
    ]
    assert list(find_prices(targets[1:], urls, {}, DAY).known) == ["openai/gpt-4o-mini"]


def test_unknown_prices_share_a_sentence_for_each_reason() -> None:
    """Targets with the same reason share a sentence, and the hint comes last."""
    targets = [Target("dashscope", model, Parameters()) for model in ("a", "b")]
    targets.append(Target("zhipu", "glm-5.3", Parameters()))
    urls = {id_: row.base_url for id_, row in builtin().rows.items() if row.base_url}
    first, second = find_prices(targets, urls, {}, DAY).notes()
    assert first.startswith("No price is known for dashscope/a, dashscope/b: genai-prices does not know")
    assert second.endswith("Write it under `prices` in compare.yaml, or do without costs.")
    assert find_prices([], {}, {}, DAY).notes() == ()

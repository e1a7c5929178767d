"""Published list prices, from the package genai-prices; the network is never used.

The package has dollars only. A price that it converted from another currency, or that does not follow from the model's
name, is not used: no price is better than a wrong one.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.pricing.rates import Hours, Price, Rates

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider

PACKAGE = "genai-prices"

UNSETTLED = {
    "azure": "the name of a deployment does not tell its model",
    "openrouter": "which vendor answers, and so the price, may change from request to request",
}
"""Providers at which a model's name does not determine the price -> the reason."""

SOLD_IN_YUAN = (".cn", "api.minimaxi.com")
"""Suffixes of hosts whose customers pay in yuan, even if the vendor has dollar prices elsewhere."""

SUBSCRIPTIONS = "/coding/"
"""A part of the path of base URLs that are billed by the month."""

EVERY_DAY = " (peak-hour prices on every day; on a weekend they may be lower)"
"""Remark on prices by the hour, since the package does not distinguish days of the week."""

KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
}
"""Name of a rate here -> its name in the package, per million tokens."""


class NoPublishedPrice(LookupError):
    """There is no published price; the message is a clause with the reason."""


def published_price(base_url: str, model: str, at: datetime) -> Price:
    """Return a model's list price at a base URL.

    Args:
        base_url: the provider's base URL, which identifies the vendor.
        model: the model's name as it is sent.
        at: the time of the run; prices announced for a later day are not used.

    Raises:
        NoPublishedPrice: the package is not installed, does not know the model, or its price is not reliable.

    """
    snapshot = _snapshot()
    try:
        vendor, info = snapshot.find_provider_model(model, None, None, base_url)
    except LookupError:
        raise NoPublishedPrice(f"{PACKAGE} does not know this model at this address") from None
    _refuse_unreliable(base_url, vendor, info)
    rates, since = _rates_of(info, at)
    source = f"{PACKAGE} {version(PACKAGE)}" + (EVERY_DAY if any(each.hours for each in rates) else "")
    return Price("USD", rates, source, since.isoformat() if since else None)


@cache
def _snapshot() -> "DataSnapshot":
    """Return the prices in the installed package, not those that other code of this process may have fetched."""
    try:
        from genai_prices.data import providers  # noqa: PLC0415 -- an optional extra, and large
        from genai_prices.data_snapshot import DataSnapshot  # noqa: PLC0415
    except ImportError:
        raise NoPublishedPrice(
            "list prices are not installed (`compare doctor` gives the command that adds the extra `prices`)"
        ) from None
    return DataSnapshot(providers=providers, from_auto_update=False)


def _refuse_unreliable(base_url: str, vendor: "Provider", info: "ModelInfo") -> None:
    parts = urlsplit(base_url)
    if (parts.hostname or "").endswith(SOLD_IN_YUAN):
        raise NoPublishedPrice(f"it is sold in yuan there, and {PACKAGE} holds dollars")
    if SUBSCRIPTIONS in f"{parts.path}/":
        raise NoPublishedPrice("a subscription has no price for a token")
    if vendor.id in UNSETTLED:
        raise NoPublishedPrice(UNSETTLED[vendor.id])
    if any("CNY" in remark for remark in (vendor.price_comments, info.price_comments) if remark):
        raise NoPublishedPrice(f"{PACKAGE} holds yuan there, converted to dollars")


def _rates_of(info: "ModelInfo", at: datetime) -> tuple[tuple[Rates, ...], date | None]:
    """Return the rates of a day, in the order in which they replace one another, and the day since which they apply."""
    from genai_prices.types import ModelPrice  # noqa: PLC0415

    if isinstance(info.prices, ModelPrice):
        return tuple(_tiered_rates(info.prices)), None
    rates, since = list(_tiered_rates(info.prices[0].prices)), None
    for conditional in info.prices:
        condition = _condition_of(conditional)
        if isinstance(condition, Hours):
            rates += _tiered_rates(conditional.prices, condition)
        elif condition is None or condition <= at.astimezone(UTC).date():
            rates, since = list(_tiered_rates(conditional.prices)), condition
    return tuple(rates), since


def _condition_of(conditional: "ConditionalPrice") -> Hours | date | None:
    """Return the hours in which a price applies, or the day from which it does; None if it always applies."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint  # noqa: PLC0415

    match conditional.constraint:
        case TimeOfDateConstraint(start_time=start, end_time=end):
            return Hours(_to_utc(start), _to_utc(end))
        case StartDateConstraint(start_date=day):
            return day
    return None


def _to_utc(clock: time) -> time:
    """Return a time of day in UTC; a time without an offset is in UTC already."""
    if clock.tzinfo is None:
        return clock
    return datetime.combine(date(1970, 1, 1), clock).astimezone(UTC).time()


def _tiered_rates(prices: "ModelPrice", hours: Hours | None = None) -> Iterator[Rates]:
    """Yield the base rates, then those of each tier, which apply to all tokens of a longer request."""
    if prices.requests_kcount is not None:
        raise NoPublishedPrice("each request costs something by itself there")
    tiers = {ours: found for ours, theirs in KEYS.items() if (found := _tiers_of(getattr(prices, theirs))) is not None}
    if not {"input", "output"} <= tiers.keys():
        raise NoPublishedPrice(f"{PACKAGE} holds no price of its input or output tokens")
    for start in sorted(set[int]().union(*tiers.values())):
        rates = {name: tier[max(reached for reached in tier if reached <= start)] for name, tier in tiers.items()}
        yield Rates(**rates, above_input_tokens=start, hours=hours)


def _tiers_of(price: object) -> Mapping[int, Decimal] | None:
    """Return a rate by the number of input tokens above which it applies; None if there is no price."""
    from genai_prices.types import TieredPrices  # noqa: PLC0415

    if isinstance(price, TieredPrices):
        return {0: price.base, **{tier.start: tier.price for tier in price.tiers}}
    return {0: price} if isinstance(price, Decimal) else None

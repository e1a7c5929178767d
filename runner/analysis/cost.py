"""What one request cost, by the price in its run's header and the tokens that its provider counted."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from runner.core.charge import CHARGED_IN, charged_cost
from runner.core.record import Record
from runner.errors import JournalError
from runner.pricing.rates import PLAIN_ERRORS, Price, Tokens, cost
from runner.storage.journal import Header


def price_of(header: Header, target: str) -> Price | None:
    """Return what a target cost when it was run; None where that was not known."""
    plain = header.prices.get(target)
    if plain is None:
        return None
    try:
        return Price.from_plain(plain)
    except PLAIN_ERRORS as error:
        raise JournalError(f"{header.run_id}: the price of {target} in its header is damaged: {error!r}") from error


def record_cost(header: Header, record: Record) -> Decimal | None:
    """Return what a request cost: what its provider says it charged, else by the price that the run knew.

    None where its price, a count of its tokens or a needed hour is not known.
    """
    if record.identity.simulated:
        return None
    price = price_of(header, record.identity.target)
    charged = charged_cost(record.usage)
    if charged and (price is None or price.currency != CHARGED_IN):
        return charged
    return charged if price is None else cost_by(price, record)


def cost_by(price: Price, record: Record) -> Decimal | None:
    """Return what a request costs: what its provider says in the price's currency, else by the price.

    None where a count of its tokens or a needed hour is not known.
    """
    charged = charged_cost(record.usage)
    if charged and price.currency == CHARGED_IN:
        return charged
    started = None if record.started_at is None else datetime.fromisoformat(record.started_at)
    return cost(price, tokens_of(record), started)


def record_currency(header: Header, record: Record) -> str | None:
    """Return the currency of a request's cost; None where there is no cost."""
    if record_cost(header, record) is None:
        return None
    price = price_of(header, record.identity.target)
    return CHARGED_IN if price is None or charged_cost(record.usage) else price.currency


def tokens_of(record: Record) -> Tokens:
    """Return what the provider counted."""
    return Tokens(
        record.input_tokens,
        record.output_tokens,
        record.cached_tokens,
        _cache_write(record.usage or {}),
        record.reasoning_tokens,
    )


def _cache_write(usage: Mapping[str, object]) -> int | None:
    """Return the tokens put into a cache, where OpenAI and Moonshot count them."""
    details = usage.get("prompt_tokens_details")
    count = details.get("cache_write_tokens") if isinstance(details, dict) else None
    return count if isinstance(count, int) and count >= 0 else None

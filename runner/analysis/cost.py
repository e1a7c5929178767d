"""The cost of one request, by the price in its run's header and the counted tokens; the costs of each target."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import fsum
from typing import TYPE_CHECKING, Any

from runner.analysis.measured_target import MeasuredTarget
from runner.core.charged_cost import CHARGED_IN, charged_cost
from runner.core.record import Record
from runner.errors import JournalError
from runner.pricing.money import Money
from runner.pricing.rates import PLAIN_ERRORS, Price, Tokens, cost
from runner.storage.journal import Header

if TYPE_CHECKING:
    import pandas as pd


def price_of(header: Header, target: str) -> Price | None:
    """Return the price of a target when it was run; None where it was not known.

    Raises:
        JournalError: the price in the header is damaged.

    """
    plain = header.prices.get(target)
    if plain is None:
        return None
    try:
        return Price.from_plain(plain)
    except PLAIN_ERRORS as error:
        raise JournalError(f"{header.run_id}: the price of {target} in its header is damaged: {error!r}") from error


def record_cost(header: Header, record: Record) -> Decimal | None:
    """Return what a request cost: what its provider says it charged, else by the price that the run knew.

    None where its price, a token count or the hour that the price needs is unknown.

    Raises:
        JournalError: the price in the header is damaged.

    """
    if record.identity.simulated:
        return None
    charged, price = charged_cost(record.usage), price_of(header, record.identity.target)
    return charged if charged or price is None else cost_by(price, record)


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
    """Return the token counts that the provider sent."""
    return Tokens(
        record.input_tokens,
        record.output_tokens,
        record.cached_tokens,
        _cache_write_tokens(record.usage or {}),
        record.reasoning_tokens,
    )


def _cache_write_tokens(usage: Mapping[str, object]) -> int | None:
    """Return the tokens written to a cache, which OpenAI, Moonshot and Anthropic count."""
    details = usage.get("prompt_tokens_details")
    count = details.get("cache_write_tokens") if isinstance(details, dict) else None
    count = usage.get("cache_creation_input_tokens") if count is None else count
    return count if isinstance(count, int) and count >= 0 else None


@dataclass(frozen=True, slots=True)
class TargetCost:
    """The cost of a target's requests, warm-ups included: the sum over the `n` of `sent` whose cost is known."""

    target: MeasuredTarget
    spent: Money
    n: int
    sent: int
    charged: int = 0
    """Of the `n`: those whose cost the provider named itself."""


def summarize_costs(table: "pd.DataFrame", targets: "pd.Series[Any]") -> tuple[TargetCost, ...]:
    """Return the known costs of each target, in the order in which targets appear; targets without any are left out.

    Args:
        table: rows with `attempts`, `cost`, `currency` and `flags`.
        targets: the target of each row, see `frame.targets_of`.

    """
    was_sent = table["attempts"] > 0
    sent, of_row = table[was_sent], targets[was_sent]
    return tuple(each for target in of_row.unique() for each in _sum_by_currency(target, sent[of_row == target]))


def _sum_by_currency(target: MeasuredTarget, sent: "pd.DataFrame") -> list[TargetCost]:
    """Return one sum for each currency: prices may differ between the runs of a joined table."""
    known = sent[sent["cost"].notna()]
    charged = known["flags"].fillna("").astype(str).str.contains(r"(?:^|;)provider_cost(?:;|$)", regex=True)
    sums = []
    for currency in known["currency"].unique():
        own = known["currency"] == currency
        costs = known.loc[own, "cost"].tolist()
        spent = Money(Decimal(repr(fsum(costs))), str(currency))
        sums.append(TargetCost(target, spent, len(costs), len(sent), int(charged[own].sum())))
    return sums

"""Costs of requests, from the prices in their run's header and their token counts, and sums for each target."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import fsum
from typing import TYPE_CHECKING, Any

from runner.analysis.measured_targets import MeasuredTarget
from runner.core.record import Record
from runner.core.usage_fields import CACHE_WRITE, CHARGED_IN, charged_cost, count_in
from runner.errors import JournalError
from runner.pricing.money import Money
from runner.pricing.rates import PLAIN_ERRORS, Price, Tokens, cost
from runner.storage.journal import Header

if TYPE_CHECKING:
    import pandas as pd


def price_of(header: Header, target: str) -> Price | None:
    """Return the price of a target at the time of the run; None if it was not known.

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


def record_cost(header: Header, record: Record) -> Money | None:
    """Return the cost of a request: the charge that its provider reported, else by the price in the header.

    None for simulated requests, and if the price, a token count or the hour that the price needs is unknown.

    Raises:
        JournalError: the price in the header is damaged.

    """
    if record.identity.simulated:
        return None
    charged, price = charged_cost(record.usage), price_of(header, record.identity.target)
    if charged or price is None:
        return None if charged is None else Money(charged, CHARGED_IN)
    amount = cost_by(price, record)
    return None if amount is None else Money(amount, price.currency)


def cost_by(price: Price, record: Record) -> Decimal | None:
    """Return the cost of a request: the charge that its provider reported in the price's currency, else by the price.

    None if a token count or an hour that the price needs is unknown.
    """
    charged = charged_cost(record.usage)
    if charged and price.currency == CHARGED_IN:
        return charged
    started = None if record.started_at is None else datetime.fromisoformat(record.started_at)
    return cost(price, tokens_of(record), started)


def tokens_of(record: Record) -> Tokens:
    """Return the token counts that the provider sent."""
    return Tokens(
        record.input_tokens,
        record.output_tokens,
        record.cached_tokens,
        count_in(record.usage or {}, CACHE_WRITE),
        record.reasoning_tokens,
    )


@dataclass(frozen=True, slots=True)
class TargetCost:
    """Cost of a target's requests, including warm-ups: the sum over the `n` of `sent` requests with a known cost."""

    target: MeasuredTarget
    spent: Money
    n: int
    sent: int
    charged: int = 0
    """Number of the `n` requests whose cost the provider reported."""

    @property
    def of_1000(self) -> Money:
        """The mean cost of the `n` requests, times 1,000."""
        return Money(self.spent.amount * 1000 / self.n, self.spent.currency)


def summarize_costs(table: "pd.DataFrame", targets: "pd.Series[Any]") -> tuple[TargetCost, ...]:
    """Return the known costs of each target, in the order in which targets appear; targets without any are left out.

    Args:
        table: rows with `attempts`, `cost`, `currency` and `flags`.
        targets: the target of each row, see `dataframe.targets_of`.

    """
    was_sent = table["attempts"] > 0
    sent, of_row = table[was_sent], targets[was_sent]
    return tuple(each for target in of_row.unique() for each in _sum_by_currency(target, sent[of_row == target]))


def _sum_by_currency(target: MeasuredTarget, sent: "pd.DataFrame") -> list[TargetCost]:
    """Return a sum for each currency; a joined table may hold runs with different currencies."""
    known = sent[sent["cost"].notna()]
    charged = known["flags"].fillna("").astype(str).str.contains(r"(?:^|;)provider_cost(?:;|$)", regex=True)
    sums = []
    for currency in known["currency"].unique():
        own = known["currency"] == currency
        costs = known.loc[own, "cost"].tolist()
        spent = Money(Decimal(repr(fsum(costs))), str(currency))
        sums.append(TargetCost(target, spent, len(costs), len(sent), int(charged[own].sum())))
    return sums

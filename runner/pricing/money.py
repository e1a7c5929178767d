"""An amount in one currency. Currencies are never added to one another, and never converted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from runner.errors import CompareError

CURRENCY = re.compile(r"[A-Z]{3}")
"""The shape of an ISO 4217 code."""

_WRITTEN = re.compile(r"(?P<amount>[0-9]{1,12}(\.[0-9]{1,12})?)\s*(?P<currency>[A-Za-z]{3})")


@dataclass(frozen=True, slots=True)
class Money:
    """So much of a currency, named by its ISO 4217 code."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{write_amount(self.amount)} {self.currency}"


def parse_money(text: str) -> Money:
    """Read `5USD` or `0.5 cny`; raise `CompareError` where there is no currency, or nothing to spend."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        raise CompareError(f"{text!r} is no sum of money. Write a number and its currency: 5USD or 20CNY.")
    money = Money(Decimal(written["amount"]), written["currency"].upper())
    if not money.amount:
        raise CompareError(f"{text!r} is nothing. Write a sum above zero: 5USD or 20CNY.")
    return money


def write_amount(amount: Decimal) -> str:
    """Write a sum with three digits that count, and whole cents from 1 on: `0.00123`, `0.456`, `1,234.50`."""
    if amount == 0:
        return "0"
    if abs(amount) >= Decimal("0.9995"):
        return f"{amount:,.2f}"
    return f"{amount:.{2 - amount.adjusted()}f}".rstrip("0")


def add_up(sums: Iterable[Money]) -> tuple[Money, ...]:
    """Return one sum for each currency, by its code."""
    totals: dict[str, Decimal] = {}
    for money in sums:
        totals[money.currency] = totals.get(money.currency, Decimal(0)) + money.amount
    return tuple(Money(totals[currency], currency) for currency in sorted(totals))

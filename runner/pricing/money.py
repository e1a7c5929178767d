"""Amounts of money, each in one currency; currencies are never added to one another and never converted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from runner.errors import CompareError

CURRENCY = re.compile(r"[A-Z]{3}")
"""The form of an ISO 4217 code."""

_AMOUNT = re.compile(r"(?P<amount>[0-9]{1,12}(\.[0-9]{1,12})?)\s*(?P<currency>[A-Za-z]{3})")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of a currency, which is named by its ISO 4217 code."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{format_amount(self.amount)} {self.currency}"

    def to_plain(self) -> dict[str, str]:
        """Return the amount, unrounded, and the currency as text, as JSON has them."""
        return {"amount": str(self.amount), "currency": self.currency}


def parse_money(text: str) -> Money:
    """Parse `5USD` or `0.5 cny`.

    Raises:
        CompareError: the text is not an amount with a currency, or the amount is zero.

    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise CompareError(f"{text!r} is not a sum of money. Write a number and its currency: 5USD or 20CNY.")
    money = Money(Decimal(found["amount"]), found["currency"].upper())
    if not money.amount:
        raise CompareError(f"{text!r} must be greater than zero: write 5USD or 20CNY.")
    return money


def format_amount(amount: Decimal) -> str:
    """Return an amount with three significant digits below 1, and with cents from 1 on: `0.00123`, `1,234.50`."""
    if amount == 0:
        return "0"
    if abs(amount) >= Decimal("0.9995"):
        return f"{amount:,.2f}"
    return f"{amount:.{2 - amount.adjusted()}f}".rstrip("0")


def add_up(sums: Iterable[Money]) -> tuple[Money, ...]:
    """Return one sum for each currency, sorted by currency code."""
    totals: dict[str, Decimal] = {}
    for money in sums:
        totals[money.currency] = totals.get(money.currency, Decimal(0)) + money.amount
    return tuple(Money(totals[currency], currency) for currency in sorted(totals))

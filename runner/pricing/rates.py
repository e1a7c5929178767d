"""Token prices: rates for a million tokens, the cost of a request, and its upper bound. Pure.

A price is a list of rates. The first one always applies. Each further one applies above a number of input tokens, or
in some hours of the day, and then replaces the earlier ones. Vendors price long prompts and peak hours in this way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

MILLION = Decimal(1_000_000)

PLAIN_ERRORS = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
"""Errors that `Price.from_plain` raises for data that is not a price."""

PARTS = ("cached", "cache_write", "reasoning")
"""Names of the rates for a part of the input or output; a part without its own rate has the rate of the whole."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A daily span of time in UTC, without its end; it may cross midnight."""

    start: time
    end: time

    def __contains__(self, at: time) -> bool:
        if self.end < self.start:
            return at >= self.start or at < self.end
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of a million tokens, and the conditions under which they apply."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    """The rate of input tokens that the provider read from its cache."""
    cache_write: Decimal | None = None
    """The rate of input tokens that the provider wrote to its cache."""
    reasoning: Decimal | None = None
    """The rate of reasoning tokens in the output."""
    above_input_tokens: int = 0
    hours: Hours | None = None

    @property
    def dearest_input(self) -> Decimal:
        """The highest rate of any kind of input token."""
        return max(rate for rate in (self.input, self.cached, self.cache_write) if rate is not None)

    @property
    def dearest_output(self) -> Decimal:
        """The highest rate of any kind of output token."""
        return max(rate for rate in (self.output, self.reasoning) if rate is not None)


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a target's tokens, with its currency, source and date."""

    currency: str
    rates: tuple[Rates, ...]
    source: str
    date: str | None = None

    @property
    def origin(self) -> str:
        """The source, with its date if that is known."""
        return f"{self.source}, {self.date}" if self.date else self.source

    def to_plain(self) -> dict[str, Any]:
        """Return plain data with decimals as text, so that none is rounded."""
        plain: dict[str, Any] = {"currency": self.currency, "source": self.source, "date": self.date}
        return plain | {"rates": [_plain_rates(rates) for rates in self.rates]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Price":
        """Return the price in data of `to_plain`.

        Raises:
            ArithmeticError, AttributeError, KeyError, TypeError, ValueError: the data is not a price (`PLAIN_ERRORS`).

        """
        rates = tuple(map(_read_rates, plain["rates"]))
        if not rates:
            raise ValueError("a price without rates")
        return cls(plain["currency"], rates, plain["source"], plain.get("date"))


@dataclass(frozen=True, slots=True)
class Tokens:
    """A request's tokens as the provider counted them; None for a count that it did not report.

    `cached` and `cache_write` are parts of the input, `reasoning` is a part of the output.
    """

    input: int | None
    output: int | None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


def cost(price: Price, tokens: Tokens, at: datetime | None = None) -> Decimal | None:
    """Return the cost of a request that started at a time; None if a count or the hour that it needs is unknown."""
    if tokens.input is None or tokens.output is None:
        return None
    rates = _rates_at(price.rates, tokens.input, at)
    if rates is None:
        return None
    input_cost = _split_cost(
        tokens.input, rates.input, ((tokens.cached, rates.cached), (tokens.cache_write, rates.cache_write))
    )
    output_cost = _split_cost(tokens.output, rates.output, ((tokens.reasoning, rates.reasoning),))
    return None if input_cost is None or output_cost is None else input_cost + output_cost


def highest_cost(price: Price, input_tokens: int, output_tokens: int) -> Decimal:
    """Return the highest cost of a request with at most these tokens, at any hour and for any kind of token."""
    possible = [rates for rates in price.rates if rates.above_input_tokens < max(input_tokens, 1)]
    dearest_input = max(rates.dearest_input for rates in possible)
    dearest_output = max(rates.dearest_output for rates in possible)
    return (input_tokens * dearest_input + output_tokens * dearest_output) / MILLION


def _rates_at(rates: Sequence[Rates], input_tokens: int, at: datetime | None) -> Rates | None:
    """Return the last rates that apply; None if that depends on an unknown hour."""
    for candidate in reversed(rates):
        if input_tokens <= candidate.above_input_tokens > 0:
            continue
        if candidate.hours is None:
            return candidate
        if at is None:
            return None
        if at.astimezone(UTC).time() in candidate.hours:
            return candidate
    return None


def _split_cost(total: int, rate: Decimal, parts: Sequence[tuple[int | None, Decimal | None]]) -> Decimal | None:
    """Return the cost of parts at their own rates and the rest at `rate`; None if a count is missing or impossible."""
    spent, rest = Decimal(0), total
    for count, own_rate in parts:
        if own_rate is None or own_rate == rate:
            continue
        if count is None:
            return None
        spent += count * own_rate
        rest -= count
    return None if rest < 0 else (spent + rest * rate) / MILLION


def _plain_rates(rates: Rates) -> dict[str, Any]:
    plain: dict[str, Any] = {"input": str(rates.input), "output": str(rates.output)}
    plain |= {part: str(own) for part in PARTS if (own := getattr(rates, part)) is not None}
    if rates.above_input_tokens:
        plain["above_input_tokens"] = rates.above_input_tokens
    if rates.hours is not None:
        plain["hours_utc"] = [rates.hours.start.isoformat(), rates.hours.end.isoformat()]
    return plain


def _read_rates(plain: Mapping[str, Any]) -> Rates:
    hours = plain.get("hours_utc")
    return Rates(
        Decimal(plain["input"]),
        Decimal(plain["output"]),
        **{part: Decimal(plain[part]) for part in PARTS if part in plain},
        above_input_tokens=plain.get("above_input_tokens", 0),
        hours=Hours(*map(time.fromisoformat, hours)) if hours is not None else None,
    )

"""Prices that the user writes into compare.yaml: the schema of one, and which of them fits a model."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from runner.pricing.money import CURRENCY
from runner.pricing.rates import PARTS, Hours, Price, Rates

HOURS = re.compile(r"(?P<start>[0-9]{2}:[0-9]{2})-(?P<end>[0-9]{2}:[0-9]{2})")


def _check_currency(text: str) -> str:
    if not CURRENCY.fullmatch(text):
        raise ValueError("a currency is three capital letters. Write USD, CNY or EUR")
    return text


def _check_hours(text: str) -> str:
    parse_hours(text)
    return text


def _check_target(text: str) -> str:
    if not all(text.partition("/")):
        raise ValueError(
            "a price is for provider/model. Write dashscope/qwen3.8-max, or dashscope/* for all its models"
        )
    return text


def parse_hours(text: str) -> Hours:
    """Parse hours such as `01:00-04:00`.

    Raises:
        ValueError: the text has another form; the message has a hint.

    """
    found = HOURS.fullmatch(text)
    try:
        assert found is not None
        hours = Hours(time.fromisoformat(found["start"]), time.fromisoformat(found["end"]))
    except (AssertionError, ValueError):
        raise ValueError("these are not hours of a day. Write 01:00-04:00, in UTC") from None
    if hours.start == hours.end:
        raise ValueError("these hours begin when they end. Write 01:00-04:00, in UTC")
    return hours


Day = date
Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Currency = Annotated[str, AfterValidator(_check_currency)]
TargetGlob = Annotated[str, AfterValidator(_check_target)]
HoursText = Annotated[str, AfterValidator(_check_hours)]


class RatesSchema(BaseModel):
    """Prices of a million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Rate = Field(description="What a million input tokens cost.")
    output: Rate = Field(description="What a million output tokens cost.")
    cached: Rate | None = Field(
        default=None, description="What a million input tokens cost that came from the provider's cache."
    )
    cache_write: Rate | None = Field(
        default=None, description="What a million input tokens cost that go into the provider's cache."
    )
    reasoning: Rate | None = Field(default=None, description="What a million tokens of reasoning cost.")

    @property
    def own_parts(self) -> tuple[str, ...]:
        """The parts of the input or output with a rate of their own."""
        return tuple(part for part in PARTS if getattr(self, part) is not None)

    def rates(self) -> Rates:
        """Return the rates, with the digits that were written."""
        own: dict[str, Any] = {name: Decimal(repr(getattr(self, name))) for name in self.own_parts}
        return Rates(Decimal(repr(self.input)), Decimal(repr(self.output)), **own)


class ConditionalRatesSchema(RatesSchema):
    """Rates that apply instead, for long prompts or in some hours."""

    above_input_tokens: PositiveInt | None = Field(
        default=None, description="Holds for requests of more input tokens than this."
    )
    hours_utc: HoursText | None = Field(default=None, description="Holds in these hours of every day: 01:00-04:00.")

    @model_validator(mode="after")
    def _has_condition(self) -> Self:
        if self.above_input_tokens is None and self.hours_utc is None:
            raise ValueError("nothing says when these rates apply. Add above_input_tokens or hours_utc")
        return self

    def rates(self) -> Rates:
        """Return the rates with their conditions."""
        hours = None if self.hours_utc is None else parse_hours(self.hours_utc)
        return replace(RatesSchema.rates(self), above_input_tokens=self.above_input_tokens or 0, hours=hours)


class PriceSchema(RatesSchema):
    """A target's price as the user gives it."""

    currency: Currency = Field(description="Three letters: USD, CNY, EUR. Nothing is ever converted.")
    source: str | None = Field(default=None, description="Where the price was read. Left out: this file.")
    date: Day | None = Field(default=None, description="When the price was read, as 2026-11-22.")
    instead: tuple[ConditionalRatesSchema, ...] = Field(
        default=(), description="Rates for long prompts or certain hours; of several that hold, the last counts."
    )

    @model_validator(mode="after")
    def _check_conditional_rates(self) -> Self:
        for each in self.instead:
            if each.own_parts != self.own_parts:
                wanted = ", ".join(("input", "output", *self.own_parts))
                raise ValueError(f"rates in `instead` replace all others. Write {wanted} in each, and nothing else")
        return self

    def price(self, file: str) -> Price:
        """Return the price; its source is `file` if the user names none."""
        rates = (self.rates(), *(each.rates() for each in self.instead))
        return Price(self.currency, rates, self.source or file, self.date.isoformat() if self.date else None)


def find_user_price(name: str, prices: Mapping[str, Price]) -> Price | None:
    """Return the user's price for provider/model, else for the first pattern that matches it; None if none does."""
    if name in prices:
        return prices[name]
    return next((price for pattern, price in prices.items() if fnmatchcase(name, pattern)), None)

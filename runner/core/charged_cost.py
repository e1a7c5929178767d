"""The amount that a provider charged for a request, as OpenRouter and xAI report it in the usage."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

CHARGED_IN = "USD"
"""Currency of the charges; all providers that report charges report dollars."""

COST_NAMES = ("cost", "total_cost", "cost_usd", "estimated_cost", "cost_in_usd")
TICKS_NAME = "cost_in_usd_ticks"
TICK = Decimal(1).scaleb(-10)
"""xAI's unit in dollars: a ten-billionth."""

LARGEST = 10**15
"""Largest amount that is accepted, in any unit."""


def charged_cost(usage: Mapping[str, object] | None) -> Decimal | None:
    """Return the amount in dollars that the provider reports as charged; None if it reports none."""
    if not usage:
        return None
    for name in COST_NAMES:
        value = usage.get(name)
        if isinstance(value, Mapping):
            value = value.get("total_cost", value.get("total"))
        amount = _amount(value)
        if amount is not None:
            return amount + (_upstream(usage) if name == "cost" else 0)
    ticks = _amount(usage.get(TICKS_NAME))
    return None if ticks is None else ticks * TICK


def _upstream(usage: Mapping[str, object]) -> Decimal:
    """Return what the vendor behind OpenRouter charges to the user's own key; `cost` is then only OpenRouter's fee."""
    details = usage.get("cost_details")
    if usage.get("is_byok") is not True or not isinstance(details, Mapping):
        return Decimal(0)
    return _amount(details.get("upstream_inference_cost")) or Decimal(0)


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount < LARGEST else None

"""Charges: the amount that a provider names for a request in its usage, as OpenRouter and xAI do."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

CHARGED_IN = "USD"
"""All providers that say what they charged say it in dollars."""

COST_NAMES = ("cost", "total_cost", "cost_usd", "estimated_cost", "cost_in_usd")
TICKS_NAME = "cost_in_usd_ticks"
TICK = Decimal(1).scaleb(-10)
"""xAI's unit: a ten-billionth of a dollar."""

LARGEST = 10**15
"""No amount, in whatever unit, is larger."""


def charged_cost(usage: Mapping[str, object] | None) -> Decimal | None:
    """Return what the provider says it charged, in dollars; None if it does not say."""
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
    """Return what the vendor behind OpenRouter charges by the user's own key; `cost` is only the fee then."""
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

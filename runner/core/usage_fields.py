"""The fields of a provider's usage: token counts, and the charged amount, which OpenRouter and xAI report. Pure."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

Path = tuple[str, ...]
"""Names of the members that lead to a count."""

INPUT: Sequence[Path] = (("prompt_tokens",), ("input_tokens",))
OUTPUT: Sequence[Path] = (("completion_tokens",), ("output_tokens",))
TOTAL: Sequence[Path] = (("total_tokens",),)
REASONING: Sequence[Path] = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "thinking_tokens"),
    ("reasoning_tokens",),
)
CACHED: Sequence[Path] = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
    ("cache_read_input_tokens",),
)
CACHE_WRITE: Sequence[Path] = (
    ("cache_creation_input_tokens",),
    ("prompt_tokens_details", "cache_write_tokens"),
    ("input_tokens_details", "cache_write_tokens"),
)

MAX_COUNT = 2**53
DIGITS = re.compile(r"[0-9]{1,16}")


def count_in(raw: Mapping[str, object], paths: Sequence[Path]) -> int | None:
    """Return the first count that is not zero, else zero; None if no count is present."""
    found = None
    for path in paths:
        count = _count_at(raw, path)
        if count:
            return count
        found = found if count is None else 0
    return found


def _count_at(raw: Mapping[str, object], path: Path) -> int | None:
    """Return the count at a path, which some gateways send as a float or a text; None if it is not a valid count."""
    value = raw.get(path[0])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or (type(value) is int and 0 <= value < MAX_COUNT):
        return value
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_COUNT:
        return None
    return int(value) if value == int(value) else None


# The charged amount

CHARGED_IN = "USD"
"""Currency of the charges; all providers that report charges report dollars."""

COST_NAMES = ("cost", "total_cost", "cost_usd", "estimated_cost", "cost_in_usd")
TICKS_NAME = "cost_in_usd_ticks"
TICK = Decimal(1).scaleb(-10)
"""xAI's unit in dollars: a ten-billionth."""

MAX_CHARGE = 10**15
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
    return amount if amount.is_finite() and 0 <= amount < MAX_CHARGE else None

"""The percentiles that tables show beside the median: parsing, names, and the sample size that each needs."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runner.errors import CompareError

if TYPE_CHECKING:
    from fractions import Fraction

MEDIAN = 50.0

PERCENTILES = (95.0,)
"""Default percentiles beside the median."""

_EXAMPLE = "Name numbers above 0 and below 100, such as 50,90,99."


def parse_percentiles(text: str) -> tuple[float, ...]:
    """Parse `50,90,99`.

    Raises:
        CompareError: as for `choose_percentiles`.

    """
    return choose_percentiles(part.strip() for part in text.split(","))


def choose_percentiles(wanted: Iterable[object]) -> tuple[float, ...]:
    """Return the percentiles to show beside the median, in the given order, each once.

    The median is allowed but left out, since tables always show it with an interval of its own.

    Raises:
        CompareError: a value is not a percentile, or there is no value; the message lists all invalid values.

    """
    given = [(each, _number(each)) for each in wanted]
    not_numbers = [repr(each) for each, number in given if number is None]
    out_of_range = [str(each) for each, number in given if number is not None and not 0 < number < 100]
    problems = [
        f"{', '.join(values)} {is_wrong if len(values) == 1 else are_wrong}"
        for values, is_wrong, are_wrong in (
            (not_numbers, "is not a number", "are not numbers"),
            (out_of_range, "is not between 0 and 100", "are not between 0 and 100"),
        )
        if values
    ]
    if problems or not given:
        raise CompareError(f"percentiles: {'; '.join(problems) or 'none is named'}. {_EXAMPLE}")
    return tuple(dict.fromkeys(number for _, number in given if number is not None and number != MEDIAN))


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def name_percentile(percent: float) -> str:
    """Return a percentile's name: `p95`, `p99.9`."""
    return f"p{str(percent).removesuffix('.0')}"


def smallest_sample(percent: float) -> int:
    """Return the sample size from which one value is expected beyond a percentile: p90 10, p95 and p5 20, p99 100.

    It is 100 / (100 - percent), or below the median 100 / percent, rounded up. For a smaller sample, tables show its
    maximum or minimum instead.
    """
    exact = _exact(percent)
    return math.ceil(100 / min(exact, 100 - exact))


def nearest_rank(percent: float, n: int) -> int:
    """Return the rank, from 1, of a percentile among n values in ascending order, by the nearest-rank method."""
    return math.ceil(_exact(percent) * n / 100)


def _exact(percent: float) -> "Fraction":
    """Return the exact decimal value: with the binary float 99.9, a sample of 1,001 would be needed."""
    from fractions import Fraction  # noqa: PLC0415 -- the help needs none

    return Fraction(str(float(percent)))


def name_extreme(percent: float) -> str:
    """Return `max` or `min`, which replaces a percentile if the sample is too small for it."""
    return "max" if percent >= MEDIAN else "min"

"""The percentiles that tables show beside the median: parsing, names, and the sample size that each needs."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runner.errors import CompareError

if TYPE_CHECKING:
    from fractions import Fraction

MEDIAN = 50.0

PERCENTILES = (95.0,)
"""The default percentiles beside the median."""

_EXAMPLE = "Name numbers above 0 and below 100, such as 50,90,99."


def parse_percentiles(text: str) -> tuple[float, ...]:
    """Parse `50,90,99`.

    Raises:
        CompareError: as for `choose_percentiles`.

    """
    return choose_percentiles(part.strip() for part in text.split(","))


def choose_percentiles(wanted: Iterable[object]) -> tuple[float, ...]:
    """Return the percentiles to show beside the median, in the given order, each once.

    The median may be given, but is left out, since tables show it anyway with its own interval.

    Raises:
        CompareError: a value is no percentile, or there is none; the message lists all wrong values.

    """
    given = tuple(wanted)
    numbers = [_number(each) for each in given]
    not_numbers = [repr(each) for each, number in zip(given, numbers, strict=True) if number is None]
    out_of_range = [
        str(each) for each, number in zip(given, numbers, strict=True) if number is not None and not _is_rank(number)
    ]
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
    return tuple(dict.fromkeys(number for number in numbers if number is not None and number != MEDIAN))


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _is_rank(percent: float) -> bool:
    return 0 < percent < 100


def name_percentile(percent: float) -> str:
    """Return a percentile's name: `p95`, `p99.9`."""
    return f"p{str(percent).removesuffix('.0')}"


def smallest_sample(percent: float) -> int:
    """Return the sample size at which one value is expected beyond a percentile: p90 10, p95 and p5 20, p99 100.

    It is 100 / (100 - percent), below the median 100 / percent, rounded up. For a smaller sample, tables show its
    extreme instead.
    """
    exact = _exact(percent)
    return math.ceil(100 / min(exact, 100 - exact))


def nearest_rank(percent: float, n: int) -> int:
    """Return the rank, from 1, of a percentile among n values in ascending order, by the nearest-rank method."""
    return math.ceil(_exact(percent) * n / 100)


def _exact(percent: float) -> "Fraction":
    """Return the decimal that was written; the binary 99.9 would need a sample of 1,001."""
    from fractions import Fraction  # noqa: PLC0415 -- the help needs none

    return Fraction(str(float(percent)))


def name_extreme(percent: float) -> str:
    """Return the name of the extreme that replaces a percentile in a sample too small for it."""
    return "max" if percent >= MEDIAN else "min"

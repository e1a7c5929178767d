"""Which percentiles stand beside the median: as a user names them, what each is called, how many values it takes."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runner.errors import CompareError

if TYPE_CHECKING:
    from fractions import Fraction

MEDIAN = 50.0

PERCENTILES = (95.0,)
"""Shown beside the median unless somebody asks for others."""

_EXAMPLE = "Name numbers above 0 and below 100, such as 50,90,99."


def parse_percentiles(text: str) -> tuple[float, ...]:
    """Read `50,90,99`; see `choose_percentiles`."""
    return choose_percentiles(part.strip() for part in text.split(","))


def choose_percentiles(wanted: Iterable[object]) -> tuple[float, ...]:
    """Return the percentiles to show beside the median, in the order in which they were named, each once.

    The median itself may be named, and is left out: it is shown anyway, with its own interval.

    Raises:
        CompareError: something is no percentile, or nothing is named; all that is wrong is in one sentence.

    """
    named = tuple(wanted)
    read = [_number(each) for each in named]
    strange = [repr(each) for each, number in zip(named, read, strict=True) if number is None]
    beyond = [
        str(each) for each, number in zip(named, read, strict=True) if number is not None and not _is_rank(number)
    ]
    problems = [
        f"{', '.join(which)} {is_wrong if len(which) == 1 else are_wrong}"
        for which, is_wrong, are_wrong in (
            (strange, "is no number", "are no numbers"),
            (beyond, "is not between 0 and 100", "are not between 0 and 100"),
        )
        if which
    ]
    if problems or not named:
        raise CompareError(f"percentiles: {'; '.join(problems) or 'none is named'}. {_EXAMPLE}")
    return tuple(dict.fromkeys(number for number in read if number is not None and number != MEDIAN))


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
    """Return what a percentile is called: `p95`, `p99.9`."""
    return f"p{str(percent).removesuffix('.0')}"


def smallest_sample(percent: float) -> int:
    """Return how many values it takes until one is expected beyond the percentile: p90 10, p95 and p5 20, p99 100.

    100 / (100 - percent), below the median 100 / percent, rounded up. A smaller sample shows its extreme instead.
    """
    exact = _as_written(percent)
    return math.ceil(100 / min(exact, 100 - exact))


def nearest_rank(percent: float, n: int) -> int:
    """Return which of n values in rising order, from 1, is the first that `percent` of them do not exceed."""
    return math.ceil(_as_written(percent) * n / 100)


def _as_written(percent: float) -> "Fraction":
    """Return the decimal that a person wrote: 99.9 in binary would need a thousand and one values."""
    from fractions import Fraction  # noqa: PLC0415 -- the help needs none

    return Fraction(str(float(percent)))


def name_extreme(percent: float) -> str:
    """Return what stands in a percentile's place while the sample is smaller than that."""
    return "max" if percent >= MEDIAN else "min"

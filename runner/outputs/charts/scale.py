"""From values to positions: linear from zero, or logarithmic where values spread over more than a factor of 20."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

WIDE = 20
"""Largest over smallest value from which a linear scale would press the small ones together."""

SMALLEST = 1e-9
"""A nanosecond: no clock here tells less, so zero and what is below it are one."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps low..high to start..end, and knows where to put ticks; values outside are held at the ends."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        held = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(held / self.low) / math.log(self.high / self.low)
        else:
            share = (held - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def fit(values: Iterable[float], start: float, end: float, *, ticks: int, linear: bool = False) -> Scale:
    """Return a scale that holds all values and begins and ends on a round number, with so many ticks at most.

    `linear` keeps it from becoming logarithmic, however far the values spread.
    """
    listed = list(values) or [1.0]
    low, high = max(min(listed), SMALLEST), max(*listed, SMALLEST)
    if not linear and low > SMALLEST and high / low > WIDE:
        places = _log_places(low, high)
        return Scale(places[0], places[-1], start, end, _fewer(places, ticks), logarithmic=True)
    places = _linear_places(high, ticks)
    return Scale(0.0, places[-1], start, end, places)


def _linear_places(high: float, most: int) -> tuple[float, ...]:
    step = next(step for step in _nice_numbers(high / most) if step * (most - 1) >= high * (1 - 1e-9))
    return tuple(step * at for at in range(math.ceil(high / step * (1 - 1e-9)) + 1))


def _log_places(low: float, high: float) -> tuple[float, ...]:
    """Return 1, 2, 5, 10 ... from the last one not above `low` to the first one not below `high`, two at least."""
    places = _digits((1, 2, 5), low / 10, high * 10)
    below = max(at for at, place in enumerate(places) if place <= low)
    above = min(at for at, place in enumerate(places) if place >= high)
    return places[below : max(above, below + 1) + 1]


def _fewer(places: tuple[float, ...], most: int) -> tuple[float, ...]:
    """Put 1, 3, 10, 30 ... in the places' stead where they are too many; then decades; then every other one."""
    decades = _digits((1,), places[0], places[-1])
    stride = max(1, math.ceil(len(decades) / most))
    choices = (places, _digits((1, 3), places[0], places[-1]))
    return next((choice for choice in choices if len(choice) <= most), decades[::stride])


def _digits(digits: Sequence[int], low: float, high: float) -> tuple[float, ...]:
    """Return these digits times powers of ten, from `low` to `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return tuple(place for power in powers for digit in digits if low <= (place := digit * 10.0**power) <= high)


def _nice_numbers(least: float) -> Iterator[float]:
    """Yield 1, 2 and 5 times powers of ten, ascending, from about `least`."""
    for power in count(math.floor(math.log10(least))):
        yield from (digit * 10.0**power for digit in (1, 2, 5))

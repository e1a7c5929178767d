"""Dots moved off the middle of their row, so that each can be seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.outputs.charts.svg import Point

LARGEST, SMALLEST = 4.6, 2.2
"""Diameters of a dot."""

_SIZES = ((40, LARGEST), (120, 3.4))
"""Up to how many dots in a row they have which diameter; more have the smallest."""

_GOLDEN = 0.618034


@dataclass(frozen=True, slots=True)
class Swarm:
    """The dots of one row: their diameter, and of each its x and how far it is off the middle."""

    dot: float
    points: tuple[Point, ...]


def pile_all(rows: Sequence[Sequence[float]], reach: float) -> list[Swarm]:
    """Pile up the dots of every row, by at most `reach`, in one size, the smaller the more there are.

    A row without room, for its values are many or all the same, is strewn, and its dots cover each other.
    """
    most = max(map(len, rows))
    dot = next((dot for count, dot in _SIZES if most <= count), SMALLEST)
    return [Swarm(dot, tuple(pile(xs, reach, dot) or strew(xs, reach))) for xs in rows]


def pile(xs: Sequence[float], reach: float, dot: float) -> list[Point] | None:
    """Put each dot into the lane nearest the middle where it covers none; None where there are too few lanes."""
    taken = dict.fromkeys(_lanes(reach, dot), float("-inf"))
    piled = []
    for x in sorted(xs):
        lane = next((lane for lane, last in taken.items() if x - last >= dot), None)
        if lane is None:
            return None
        taken[lane] = x
        piled.append((x, lane))
    return piled


def strew(xs: Sequence[float], reach: float) -> list[Point]:
    """Spread dots evenly over the height, neighbours far apart: steps of the golden ratio, which never settle."""
    return [(x, reach * (2 * (at * _GOLDEN % 1) - 1)) for at, x in enumerate(sorted(xs))]


def _lanes(reach: float, dot: float) -> list[float]:
    """Return the offsets of the lanes, from the middle outwards."""
    return [0.0, *(side * dot * at for at in range(1, int(reach // dot) + 1) for side in (-1, 1))]

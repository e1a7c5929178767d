"""What two arms are compared by: each measure with its column, which way is better, and how its clock error is told."""

from dataclasses import dataclass
from enum import StrEnum

from runner.errors import CompareError, did_you_mean


class Better(StrEnum):
    """Which way a measure should go."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Unit(StrEnum):
    """What a measure's values are."""

    SECONDS = "s"
    CHARACTERS_PER_SECOND = "characters/s"
    CHARACTERS = "characters"
    MONEY = "money"
    SHARE = "share"


class ClockUse(StrEnum):
    """How a clock's error enters a measure."""

    ITSELF = "itself"
    """It is a time, and off by the error."""
    TEXT = "text"
    """It is a pace over the time that text took, and off by the error's share of that."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a request, by the name of its column."""

    name: str
    label: str
    unit: Unit
    better: Better
    stopwatch: ClockUse = ClockUse.NONE


FAILURES = Measure("failures", "failures", Unit.SHARE, Better.LOWER)
"""The one measure that is a share of requests, and needs no answer to be measured."""

TIMED_MEASURES = (
    Measure("ttft_s", "TTFT", Unit.SECONDS, Better.LOWER, ClockUse.ITSELF),
    Measure("ttfa_s", "first answer", Unit.SECONDS, Better.LOWER, ClockUse.ITSELF),
    Measure("total_s", "total", Unit.SECONDS, Better.LOWER, ClockUse.ITSELF),
    Measure("tpot_s", "time per token", Unit.SECONDS, Better.LOWER, ClockUse.TEXT),
    Measure("output_cps", "characters/s", Unit.CHARACTERS_PER_SECOND, Better.HIGHER, ClockUse.TEXT),
    Measure("chars", "output length", Unit.CHARACTERS, Better.NEITHER),
    Measure("cost", "cost", Unit.MONEY, Better.LOWER),
)
"""Columns of the table, all compared as ratios."""

MEASURES = (FAILURES, *TIMED_MEASURES)


def choose_measures(names: tuple[str, ...]) -> tuple[Measure, ...]:
    """Return the measures of these names, with or without their unit; all for none.

    Raises:
        CompareError: names are no measure's; all of them are told.

    """
    known = {alias: each for each in MEASURES for alias in (each.name, each.name.removesuffix("_s"))}
    strange = [name for name in names if name not in known]
    if strange:
        near = [did_you_mean(name, tuple(known)) for name in strange]
        meant = f"did you mean {' and '.join(filter(None, near))}?" if all(near) else None
        hint = meant or f"known: {', '.join(each.name for each in MEASURES)}"
        what = "is no measure" if len(strange) == 1 else "are no measures"
        raise CompareError(f"{', '.join(strange)} {what} that can be compared; {hint}")
    return tuple(each for each in MEASURES if not names or each in {known[name] for name in names})

"""The measures by which two arms are compared: column, unit, better direction, and effect of clock errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from runner.errors import CompareError, closest_word, suggest

Floats = NDArray[np.float64]


class Better(StrEnum):
    """Direction in which a measure is better."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Unit(StrEnum):
    """Unit of a measure's values."""

    SECONDS = "s"
    CHARACTERS_PER_SECOND = "characters/s"
    CHARACTERS = "characters"
    MONEY = "money"
    SHARE = "share"


class ClockUse(StrEnum):
    """Effect of a clock error on a measure."""

    DURATION = "duration"
    """The measure is a duration; its error is the clock error."""
    TEXT_RATE = "text rate"
    """The measure is a rate over the time in which text streamed; its relative error is the error's share of that
    time."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of requests; `name` is that of its column, or of a share."""

    name: str
    label: str
    unit: Unit
    better: Better
    clock_use: ClockUse = ClockUse.NONE


FAILURES = Measure("failures", "failures", Unit.SHARE, Better.LOWER)
"""Share of requests that failed."""

SLOW_REQUESTS = Measure("slow", "slow requests", Unit.SHARE, Better.LOWER)
"""Share of timed requests that took more than twice the median of their question over both sides."""

SLO_MET = Measure("slo", "SLO met", Unit.SHARE, Better.HIGHER)
"""Share of requests that met the SLO, which failed requests do not. It is compared only if there is an SLO."""

PASSES = Measure("passes", "pass rate", Unit.SHARE, Better.HIGHER)
"""Share of repeats whose checks passed, with equal weight for each case. It is compared only if there are checks."""

OF_ALL_REQUESTS = frozenset({FAILURES, SLO_MET})
"""Shares of all requests, including those without a reply; their `n` counts requests, that of all others rounds."""

WITHOUT_FIGURES = OF_ALL_REQUESTS | {PASSES}
"""Measures that need no timed reply, so that they also apply to targets that never answered."""

TIMED_MEASURES = (
    Measure("ttft_s", "TTFT", Unit.SECONDS, Better.LOWER, ClockUse.DURATION),
    Measure("ttfa_s", "first answer", Unit.SECONDS, Better.LOWER, ClockUse.DURATION),
    Measure("tool_call_s", "first tool call", Unit.SECONDS, Better.LOWER, ClockUse.DURATION),
    Measure("total_s", "total", Unit.SECONDS, Better.LOWER, ClockUse.DURATION),
    Measure("tpot_s", "time per token", Unit.SECONDS, Better.LOWER, ClockUse.TEXT_RATE),
    Measure("output_cps", "characters/s", Unit.CHARACTERS_PER_SECOND, Better.HIGHER, ClockUse.TEXT_RATE),
    Measure("chars", "output length", Unit.CHARACTERS, Better.NEITHER),
    Measure("cost", "cost", Unit.MONEY, Better.LOWER),
)
"""Measures of timed requests, all compared as ratios."""

MEASURES = (FAILURES, SLO_MET, PASSES, SLOW_REQUESTS, *TIMED_MEASURES)


def refuse_without_data(
    names: tuple[str, ...], *, has_slo: bool, has_checks: bool, left_out: Sequence[str] = ()
) -> None:
    """Raise if a measure was requested by name that the runs do not have; without names, nothing is refused.

    `left_out` holds sentences about checks that cannot be compared.

    Raises:
        CompareError: a measure is unknown, there is no SLO, or there are no checks; the message names both of these.

    """
    wanted = choose_measures(names) if names else ()
    problems = []
    if SLO_MET in wanted and not has_slo:
        problems.append(f"{SLO_MET.name} is the share of requests that meet an SLO, and there is none: set it, --slo")
    if PASSES in wanted and not has_checks:
        none = "there are none: write `checks:` into the suite (a snapshot keeps none: compare with a run)"
        why = f"none can be compared: {'; '.join(left_out)}" if left_out else none
        problems.append(f"{PASSES.name} is the share of repeats that pass the checks of their cases, and {why}")
    if problems:
        raise CompareError("; ".join(problems))


def choose_measures(names: tuple[str, ...]) -> tuple[Measure, ...]:
    """Return the measures with these names, given with or without their unit; all measures if no name is given.

    Raises:
        CompareError: there is no measure with a name; the message has all such names.

    """
    known = {alias: each for each in MEASURES for alias in (each.name, each.name.removesuffix("_s"))}
    unknown = [name for name in names if name not in known]
    if unknown:
        near = [found for name in unknown if (found := closest_word(name, tuple(known)))]
        all_known = f"Known are {', '.join(each.name for each in MEASURES)}"
        hint = suggest(*near) if len(near) == len(unknown) else all_known
        what = "is not a measure" if len(unknown) == 1 else "are not measures"
        raise CompareError(f"{', '.join(unknown)} {what} that can be compared. {hint}")
    return tuple(each for each in MEASURES if not names or each in {known[name] for name in names})


def take_logs(values: Floats, column: str) -> Floats:
    """Return the natural logarithms of a measure's values, NaN for absent and non-positive ones; same shape.

    An empty reply counts as one character, so that it is included as a very short one.
    """
    if column == "chars":
        values = np.where(np.isnan(values), values, np.maximum(values, 1))
    logs: Floats = np.log(np.where(np.greater(values, 0), values, np.nan))
    return logs

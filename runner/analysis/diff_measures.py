"""The measures that two arms are compared by: column, unit, which direction is better, and how clock errors enter."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from runner.errors import CompareError, did_you_mean

Floats = NDArray[np.float64]


class Better(StrEnum):
    """The better direction of a measure."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Unit(StrEnum):
    """The unit of a measure's values."""

    SECONDS = "s"
    CHARACTERS_PER_SECOND = "characters/s"
    CHARACTERS = "characters"
    MONEY = "money"
    SHARE = "share"


class ClockUse(StrEnum):
    """The way in which a clock error enters a measure."""

    DURATION = "duration"
    """The measure is a duration, and wrong by the error."""
    TEXT_RATE = "text rate"
    """The measure is a rate over the time in which text streamed, and wrong by the error's share of that time."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a request, by the name of its column."""

    name: str
    label: str
    unit: Unit
    better: Better
    clock_use: ClockUse = ClockUse.NONE


FAILURES = Measure("failures", "failures", Unit.SHARE, Better.LOWER)
"""The share of requests that failed."""

SLOW_REQUESTS = Measure("slow", "slow requests", Unit.SHARE, Better.LOWER)
"""The share of timed requests that took more than twice the median of their question over both sides."""

SLO_MET = Measure("slo", "SLO met", Unit.SHARE, Better.HIGHER)
"""The share of requests that met the SLO; a failed one did not. Only runs that have an SLO are compared by it."""

PASSES = Measure("passes", "pass rate", Unit.SHARE, Better.HIGHER)
"""The share of repeats whose checks passed, each case weighing the same. Only runs with checks are compared by it."""

OF_ALL_REQUESTS = frozenset({FAILURES, SLO_MET})
"""Shares of all requests, those without a reply included: `n` of these are requests, of all others rounds."""

WITHOUT_FIGURES = OF_ALL_REQUESTS | {PASSES}
"""What targets are judged by that never answered: no reply needs to have a figure."""

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
"""The measures of timed requests, all compared as ratios."""

MEASURES = (FAILURES, SLO_MET, PASSES, SLOW_REQUESTS, *TIMED_MEASURES)


def refuse_without_data(
    names: tuple[str, ...], *, has_slo: bool, has_checks: bool, left_out: Sequence[str] = ()
) -> None:
    """Raise if a measure is asked for by name that the runs cannot have; without names there is nothing to refuse.

    `left_out` are sentences on checks that cannot be compared.

    Raises:
        CompareError: there is no SLO, or there are no checks; the message has both.

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
    """Return the measures of these names, given with or without their unit; all measures if no name is given.

    Raises:
        CompareError: there is no measure of a name; the message has all such names.

    """
    known = {alias: each for each in MEASURES for alias in (each.name, each.name.removesuffix("_s"))}
    unknown = [name for name in names if name not in known]
    if unknown:
        near = [did_you_mean(name, tuple(known)) for name in unknown]
        meant = f"did you mean {' and '.join(filter(None, near))}?" if all(near) else None
        hint = meant or f"known: {', '.join(each.name for each in MEASURES)}"
        what = "is not a measure" if len(unknown) == 1 else "are not measures"
        raise CompareError(f"{', '.join(unknown)} {what} that can be compared; {hint}")
    return tuple(each for each in MEASURES if not names or each in {known[name] for name in names})


def take_logs(values: Floats, column: str) -> Floats:
    """Return the logarithm of a measure's values, NaN where there is none.

    A reply without any character counts as one character, so that it is a very short one, and not left out.
    """
    if column == "chars":
        values = np.where(np.isnan(values), values, np.maximum(values, 1))
    logs: Floats = np.log(np.where(np.greater(values, 0), values, np.nan))
    return logs

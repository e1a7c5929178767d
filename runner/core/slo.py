"""A service level objective (SLO): durations that a request must not exceed, and whether a request met them."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from runner.core.durations_and_shares import NUMBER, UNIT, UNITS_S
from runner.errors import CompareError

_THRESHOLD = re.compile(rf"\s*([a-z]+)\s*=\s*({NUMBER})\s*({UNIT})\s*")

EXAMPLE = "ttft=800ms,tpot=50ms,total=10s"


@dataclass(frozen=True, slots=True)
class Slo:
    """The longest durations in seconds that meet the objective; a member is None if it has no threshold.

    Raises:
        CompareError: no threshold is given, or one is not above 0.

    """

    ttft_s: float | None = None
    tpot_s: float | None = None
    total_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        thresholds = self.to_plain()
        wrong = [name.removesuffix("_s") for name, value in thresholds.items() if not 0 < value < float("inf")]
        if wrong or not thresholds:
            what = f"{', '.join(wrong)} must be more than 0 s" if wrong else "an SLO needs a threshold"
            raise CompareError(f"{what}; write it such as {EXAMPLE}")

    def to_plain(self) -> dict[str, float]:
        """Return column -> threshold in seconds, for a journal's header."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_plain(cls, plain: Mapping[str, float]) -> Self | None:
        """Return the SLO stored in a header; None if it has none. Unknown names are ignored."""
        known = {name: plain[name] for name in COLUMNS if name in plain}
        return cls(**known) if known else None

    def __str__(self) -> str:
        """Return the SLO in the form of the option: `ttft=800ms,tpot=50ms,total=10s`."""
        return ",".join(f"{name.removesuffix('_s')}={_write(value)}" for name, value in self.to_plain().items())

    def is_met(
        self,
        *,
        ttft_s: float | None,
        tpot_s: float | None,
        total_s: float | None,
        chunks: float | None,
        waited_s: float = 0.0,
    ) -> bool | None:
        """Return whether a successful request met every threshold; None if that depends on an unknown duration.

        Args:
            ttft_s: the TTFT; None if the reply was not streamed. Then its text arrives as a whole, after `total_s`.
            tpot_s: the TPOT; None if it is unknown, or if the reply came in one piece, which meets any TPOT.
            total_s: the time from `sent` to the last event with data.
            chunks: the number of events with text; None for a reply without text, which has no first token.
            waited_s: the delay of sending after the scheduled time, for a caller independent of other replies.

        """
        first_s = ttft_s if ttft_s is not None else float("inf") if chunks is None else total_s
        per_token_s = 0.0 if chunks == 1 else tpot_s
        checks = (
            _is_within(self.ttft_s, None if first_s is None else waited_s + first_s),
            _is_within(self.tpot_s, per_token_s),
            _is_within(self.total_s, None if total_s is None else waited_s + total_s),
        )
        if False in checks:
            return False
        return None if None in checks else True


COLUMNS = ("ttft_s", "tpot_s", "total_s")
NAMES = tuple(column.removesuffix("_s") for column in COLUMNS)


def _is_within(threshold: float | None, value: float | None) -> bool | None:
    if threshold is None:
        return True
    return None if value is None else value <= threshold


def _write(value: float) -> str:
    return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"


def parse_slo(text: str) -> Slo:
    """Parse an SLO such as `ttft=800ms,tpot=50ms,total=10s`.

    Raises:
        CompareError: a threshold is malformed, unknown or given twice; the message names all such thresholds.

    """
    thresholds: dict[str, float] = {}
    problems = []
    for part in text.split(","):
        found = _THRESHOLD.fullmatch(part)
        if found is None:
            problems.append(f"{part.strip()!r} is not a threshold")
        elif f"{found[1]}_s" not in COLUMNS:
            problems.append(f"an SLO has no threshold for {found[1]} ({', '.join(NAMES)})")
        elif f"{found[1]}_s" in thresholds:
            problems.append(f"{found[1]} is given twice")
        else:
            thresholds[f"{found[1]}_s"] = float(found[2]) * UNITS_S[found[3]]
    if problems:
        raise CompareError(f"{'; '.join(problems)}. Write thresholds with a unit: {EXAMPLE}")
    return Slo(**thresholds)

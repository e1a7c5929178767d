"""A service level objective (SLO): durations that a request must not exceed, and whether one met them."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from runner.errors import CompareError, did_you_mean

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0}
_THRESHOLD = re.compile(r"\s*([a-z]+)\s*=\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m)\s*")

EXAMPLE = "ttft=800ms,tpot=50ms,total=10s"


@dataclass(frozen=True, slots=True)
class Slo:
    """The longest durations in seconds that meet the objective; None where there is no such threshold.

    Raises:
        CompareError: there is no threshold, or one is not above 0.

    """

    ttft_s: float | None = None
    tpot_s: float | None = None
    total_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values."""
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
        """Return the SLO in a header, None if it has none; names that this version does not know are ignored."""
        known = {name: plain[name] for name in COLUMNS if name in plain}
        return cls(**known) if known else None

    def __str__(self) -> str:
        """Return the SLO as it is written: `ttft=800ms,tpot=50ms,total=10s`."""
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
        """Return whether a request that ended well met every threshold; None if a figure that decides is unknown.

        Args:
            ttft_s: of a reply that was not streamed None: its text is there when it is whole, after `total_s`.
            tpot_s: None of a reply in one piece, between whose tokens nobody waits, and where it is not known.
            total_s: sent -> last event with data.
            chunks: the events with text; None of a reply without any, which never shows a first token.
            waited_s: how much later than scheduled it was sent, for a caller who does not depend on other replies.

        """
        first_s = ttft_s if ttft_s is not None else float("inf") if chunks is None else total_s
        per_token_s = 0.0 if chunks == 1 else tpot_s
        checks = (
            _keeps(self.ttft_s, None if first_s is None else waited_s + first_s),
            _keeps(self.tpot_s, per_token_s),
            _keeps(self.total_s, None if total_s is None else waited_s + total_s),
        )
        if False in checks:
            return False
        return None if None in checks else True


COLUMNS = ("ttft_s", "tpot_s", "total_s")


def _keeps(threshold: float | None, value: float | None) -> bool | None:
    if threshold is None:
        return True
    return None if value is None else value <= threshold


def _write(value: float) -> str:
    return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"


def parse_slo(text: str) -> Slo:
    """Return the SLO that a text such as `ttft=800ms,tpot=50ms,total=10s` sets.

    Raises:
        CompareError: a threshold is not written so, is of another figure, or is given twice; all such are named.

    """
    thresholds: dict[str, float] = {}
    problems = []
    for part in text.split(","):
        found = _THRESHOLD.fullmatch(part)
        if found is None:
            problems.append(f"{part.strip()!r} is no threshold")
        elif f"{found[1]}_s" not in COLUMNS:
            problems.append(f"{found[1]} is no figure of an SLO{_hint(found[1])}")
        elif f"{found[1]}_s" in thresholds:
            problems.append(f"{found[1]} is given twice")
        else:
            thresholds[f"{found[1]}_s"] = float(found[2]) * _UNITS_S[found[3]]
    if problems:
        raise CompareError(f"{'; '.join(problems)}. Write thresholds with a unit: {EXAMPLE}")
    return Slo(**thresholds)


def _hint(name: str) -> str:
    near = did_you_mean(name, tuple(column.removesuffix("_s") for column in COLUMNS))
    return f" (did you mean {near}?)" if near else ""

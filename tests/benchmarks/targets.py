"""Targets for measured figures. Verdicts on them are printed and never asserted, since machines differ."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PerformanceTarget:
    """A figure that should not exceed its limit; `value` is None if it was not measured."""

    number: int
    words: str
    value: float | None
    limit: float
    unit: str = ""

    def __str__(self) -> str:
        """Render as `target 1: TTFT error p50 0.21 ms, at most 0.5 ms: met`."""
        if self.value is None:
            return f"target {self.number}: {self.words}: not measured"
        verdict = "met" if self.value <= self.limit else "missed"
        figures = f"{self.value:.3g}{self.unit}, at most {self.limit:g}{self.unit}"
        return f"target {self.number}: {self.words} {figures}: {verdict}"


def ratio(above: float | None, below: float | None) -> float | None:
    """Return a quotient; None if a value is unknown or the divisor is 0."""
    return above / below if above is not None and below else None

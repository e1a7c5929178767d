"""The durations by which pictures compare targets."""

from collections.abc import Callable
from dataclasses import dataclass

from runner.analysis.summary import Statistic, TargetSummary


@dataclass(frozen=True, slots=True)
class ChartDuration:
    """A column of seconds, what an axis calls it, what it is in words, and where its median is found."""

    column: str
    name: str
    title: str
    median: Callable[[TargetSummary], Statistic | None]


TTFT = ChartDuration("ttft_s", "TTFT", "time to first text", lambda summary: summary.ttft_p50)
TOTAL = ChartDuration("total_s", "total", "time to the end of the reply", lambda summary: summary.total_p50)

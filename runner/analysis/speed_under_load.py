"""Speed under load of each target, at each level of a sweep or at the request rate of an open loop."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.analysis.dataframe import is_failed, is_in_latencies, is_timed, targets_of
from runner.analysis.goodput import Goodput, measure_goodput
from runner.analysis.intervals import median, percentile
from runner.analysis.measured_targets import MeasuredTarget, TargetSplit
from runner.analysis.steady_state import end_within, levels_of, rate_span, rates_of
from runner.core.load_profile import LoadProfile
from runner.core.slo import Slo
from runner.storage.journal import Header


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """A target at a level of a sweep, in its steady state. TTFT is that of the `n` timed requests not left out.

    Rates are those of the replies that ended in the span of `rate_span`, during which the lane was full. A 95th
    percentile is None below 20 requests, where it would be the maximum.
    """

    target: MeasuredTarget
    concurrency: int
    """Level: the maximum number of requests in flight in the target's lane."""
    n: int
    failed: int
    """Number of requests that the target failed; those that were never tried are not counted."""
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    output_tps: float | None
    """Output tokens per second of all replies together; None if the tokens of any reply were not counted."""
    requests_per_s: float | None
    mean_in_flight: float | None
    """Mean number of the target's own requests in flight, over the same span as the rates."""
    left_out: int = 0
    """Number of timed requests at the level's start and end, which are outside the steady state."""
    goodput: Goodput | None = None
    """Requests of the steady state that met the SLO; None without one."""


@dataclass(frozen=True, slots=True)
class OpenLoopPoint:
    """A target of an open loop. Times start when a request was sent or, as named, when it was scheduled."""

    target: MeasuredTarget
    request_rate: float
    """Scheduled requests per second."""
    n: int
    failed: int
    """Number of requests that the target failed; those that were never tried are not counted."""
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    ttft_from_scheduled_p50_s: float | None
    ttft_from_scheduled_p95_s: float | None
    total_from_scheduled_p50_s: float | None
    total_from_scheduled_p95_s: float | None
    requests_per_s: float | None
    goodput: Goodput | None = None
    """Requests that met the SLO, whose durations start at the scheduled time; None without one."""


def measure_levels(header: Header, rows: pd.DataFrame, split: TargetSplit) -> tuple[LoadPoint, ...]:
    """Return a point for each target and level of a sweep, with targets in the suite's order; empty for other runs.

    Args:
        header: that of the run.
        rows: the run's table without warm-ups, with the columns of `split`.
        split: the rule by which targets are split.

    """
    levels = LoadProfile.from_plain(header.load).levels
    if not levels:
        return ()
    of_row, level, slo = targets_of(rows), levels_of(header, rows), Slo.from_plain(header.slo)
    parts = (
        (target, concurrency, rows[(of_row == target) & (level == concurrency)])
        for target in split.list_targets(header.targets)
        for concurrency in levels
    )
    return tuple(_load_point(target, concurrency, part, slo) for target, concurrency, part in parts if len(part))


def _load_point(target: MeasuredTarget, concurrency: int, rows: pd.DataFrame, slo: Slo | None) -> LoadPoint:
    timed, kept = rows[is_timed(rows)], rows[is_in_latencies(rows)]
    ttft_s = kept["ttft_s"].dropna().tolist()
    rates = _measure_rates(rows) if len(kept) else _Rates()  # without a steady state there is nothing to measure
    return LoadPoint(
        target=target,
        concurrency=concurrency,
        n=len(kept),
        failed=int(is_failed(rows).sum()),
        ttft_p50_s=_p50(ttft_s),
        ttft_p95_s=_p95(ttft_s),
        output_tps=rates.output_tps,
        requests_per_s=rates.requests_per_s,
        mean_in_flight=rates.mean_in_flight,
        left_out=len(timed) - len(kept),
        goodput=None if slo is None else measure_goodput(rows, slo),
    )


@dataclass(frozen=True, slots=True)
class _Rates:
    output_tps: float | None = None
    requests_per_s: float | None = None
    mean_in_flight: float | None = None


def _measure_rates(rows: pd.DataFrame) -> _Rates:
    """Return the rates of one target at one level."""
    span = rate_span(rows)
    if span is None:
        return _Rates()
    start, end = span
    sent, total = (rows[name].to_numpy(dtype=float, na_value=np.nan) for name in ("sent_s", "total_s"))
    in_flight = np.nansum(np.clip(np.minimum(sent + total, end) - np.maximum(sent, start), 0, None))
    within = is_timed(rows).to_numpy() & end_within(rows, span)
    requests_per_s, output_tps = rates_of(rows, within, span)
    return _Rates(output_tps if within.any() else None, requests_per_s, float(in_flight) / (end - start))


def measure_open_loop(header: Header, rows: pd.DataFrame, split: TargetSplit) -> tuple[OpenLoopPoint, ...]:
    """Return a point for each target of an open loop, in the suite's order; empty for other runs.

    Args:
        header: that of the run.
        rows: the run's table without warm-ups, with the columns of `split`.
        split: the rule by which targets are split.

    """
    rate = LoadProfile.from_plain(header.load).rate
    if rate is None:
        return ()
    of_row = targets_of(rows)
    parts = ((target, rows[of_row == target]) for target in split.list_targets(header.targets))
    return tuple(_open_loop_point(target, rate, part) for target, part in parts if len(part))


def _open_loop_point(target: MeasuredTarget, rate: float, rows: pd.DataFrame) -> OpenLoopPoint:
    timed = rows[is_timed(rows)]
    late_s = timed["sent_s"] - timed["planned_s"]
    ttft_s, from_scheduled_s, total_s = (
        each.dropna().tolist() for each in (timed["ttft_s"], late_s + timed["ttft_s"], late_s + timed["total_s"])
    )
    ended_s = (rows["sent_s"] + rows["total_s"]).dropna()
    span_s = ended_s.max() - rows.loc[ended_s.index, "sent_s"].min()
    return OpenLoopPoint(
        target=target,
        request_rate=rate,
        n=len(timed),
        failed=int(is_failed(rows).sum()),
        ttft_p50_s=_p50(ttft_s),
        ttft_p95_s=_p95(ttft_s),
        ttft_from_scheduled_p50_s=_p50(from_scheduled_s),
        ttft_from_scheduled_p95_s=_p95(from_scheduled_s),
        total_from_scheduled_p50_s=_p50(total_s),
        total_from_scheduled_p95_s=_p95(total_s),
        requests_per_s=len(timed) / span_s if span_s > 0 else None,
    )


def _p50(values: list[float]) -> float | None:
    found = median(values)
    return found.value if found else None


def _p95(values: list[float]) -> float | None:
    found = percentile(values, 95)
    return found.value if found and found.name == "p95" else None

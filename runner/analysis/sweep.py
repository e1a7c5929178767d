"""Speed under load: of each target at each level of a sweep, or at the request rate of an open loop."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isnan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.dataframe import is_timed, steady, targets_of
from runner.analysis.goodput import Goodput, measure_goodput
from runner.analysis.measured_target import WHOLE, MeasuredTarget, TargetSplit
from runner.analysis.steady_state import rate_span
from runner.analysis.summary import median, percentile
from runner.core.events import TIMED
from runner.core.load_profile import LoadProfile, level_of
from runner.core.record import Record
from runner.core.slo import Slo
from runner.storage.journal import Header


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One target at one level of a sweep, in its steady state. TTFT is of the `n` timed requests not left out.

    Rates are of the replies that ended between the time when as many had ended as were sent before the load was steady,
    and the time when the level's last conversation began: the lane was full throughout. A 95th percentile is None below
    20 requests, where it would be the maximum.
    """

    target: MeasuredTarget
    concurrency: int
    """The level: how many requests may be in flight in the target's lane."""
    n: int
    errors: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    output_tps: float | None
    """Output tokens per second, of all replies together; None unless the tokens of every reply were counted."""
    requests_per_s: float | None
    mean_in_flight: float | None
    """Mean number of the target's own requests in flight, over the same time as the rates."""
    left_out: int = 0
    """The level's first and last timed requests, sent before the load was steady or ended, perhaps, after it was."""
    goodput: Goodput | None = None
    """How many requests met the SLO, in the steady state; None without one."""


@dataclass(frozen=True, slots=True)
class OpenLoopPoint:
    """One target of an open loop. Times count from sending, and from when sending was scheduled."""

    target: MeasuredTarget
    request_rate: float
    """Requests scheduled per second."""
    n: int
    errors: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    ttft_from_scheduled_p50_s: float | None
    ttft_from_scheduled_p95_s: float | None
    total_from_scheduled_p50_s: float | None
    total_from_scheduled_p95_s: float | None
    requests_per_s: float | None
    goodput: Goodput | None = None
    """How many requests met the SLO, whose durations count from the scheduled time; None without one."""


@dataclass(slots=True)
class _LoadSample:
    """The requests of one target of an open loop, in as few numbers as possible; `_ns` since the start of the run."""

    errors: int = 0
    timed: int = 0
    first_sent_ns: int | None = None
    last_event_ns: int = 0
    ttft_s: list[float] = field(default_factory=list)
    ttft_from_scheduled_s: list[float] = field(default_factory=list)
    total_from_scheduled_s: list[float] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Add one request."""
        self._add_span(record.timestamps.sent, record.timestamps.last_event)
        if record.outcome not in TIMED:
            self.errors += 1
            return
        self.timed += 1
        for values, value in (
            (self.ttft_s, record.ttft_s),
            (self.ttft_from_scheduled_s, record.ttft_from_planned_s),
            (self.total_from_scheduled_s, record.total_from_planned_s),
        ):
            if value is not None:
                values.append(value)

    def _add_span(self, sent_ns: int | None, last_ns: int | None) -> None:
        if sent_ns is None or last_ns is None:
            return
        self.first_sent_ns = sent_ns if self.first_sent_ns is None else min(self.first_sent_ns, sent_ns)
        self.last_event_ns = max(self.last_event_ns, last_ns)

    @property
    def requests_per_s(self) -> float | None:
        """Timed requests per second, from the first request sent to the last data; None where no time was between."""
        span_ns = 0 if self.first_sent_ns is None else self.last_event_ns - self.first_sent_ns
        return self.timed / span_ns * 1e9 if span_ns > 0 else None


def measure_levels(header: Header, rows: pd.DataFrame, split: TargetSplit = WHOLE) -> tuple[LoadPoint, ...]:
    """Return a point for each target and level of a sweep, targets in the suite's order; empty for any other run.

    Args:
        header: of the run.
        rows: the measured rows of the run's table, split if it is.
        split: by what targets are split.

    """
    levels = LoadProfile.from_plain(header.load).levels
    if not levels:
        return ()
    of_row, level = targets_of(rows), _levels_of(header, rows)
    parts = (
        (target, concurrency, rows[(of_row == target) & (level == concurrency)])
        for target in split.list_targets(header.targets)
        for concurrency in levels
    )
    return tuple(_load_point(target, concurrency, part) for target, concurrency, part in parts if len(part))


def _levels_of(header: Header, rows: pd.DataFrame) -> NDArray[np.int_]:
    """Return the level of each row of a sweep."""
    levels = LoadProfile.from_plain(header.load).levels
    return np.array([level_of(int(number), levels, header.repeat) for number in rows["block"]], dtype=int)


def _load_point(target: MeasuredTarget, concurrency: int, rows: pd.DataFrame) -> LoadPoint:
    timed = rows[is_timed(rows)]
    kept = steady(timed)
    ttft_s = kept["ttft_s"].dropna().tolist()
    rates = _measure_rates(rows)
    return LoadPoint(
        target=target,
        concurrency=concurrency,
        n=len(kept),
        errors=len(rows) - len(timed),
        ttft_p50_s=_p50(ttft_s),
        ttft_p95_s=_p95(ttft_s),
        output_tps=rates.output_tps,
        requests_per_s=rates.requests_per_s,
        mean_in_flight=rates.mean_in_flight,
        left_out=len(timed) - len(kept),
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
    sent, total, tokens = (
        rows[name].to_numpy(dtype=float, na_value=np.nan) for name in ("sent_s", "total_s", "output_tokens")
    )
    ended = sent + total
    within = is_timed(rows).to_numpy() & (ended > start) & (ended <= end)
    counted = float(tokens[within].sum())
    in_flight = np.nansum(np.clip(np.minimum(ended, end) - np.maximum(sent, start), 0, None))
    return _Rates(
        output_tps=None if isnan(counted) or not within.any() else counted / (end - start),
        requests_per_s=int(np.count_nonzero(within)) / (end - start),
        mean_in_flight=float(in_flight) / (end - start),
    )


def with_goodput_of_levels(
    points: Iterable[LoadPoint], header: Header, rows: pd.DataFrame, slo: Slo
) -> tuple[LoadPoint, ...]:
    """Return the points with the goodput of each, from the measured rows of the run's table."""
    of_row, level = targets_of(rows), _levels_of(header, rows)
    return tuple(
        replace(point, goodput=measure_goodput(rows[(of_row == point.target) & (level == point.concurrency)], slo))
        for point in points
    )


def measure_open_loop(
    header: Header, records: Iterable[Record], split: TargetSplit = WHOLE
) -> tuple[OpenLoopPoint, ...]:
    """Return a point for each target of an open loop, in the suite's order; empty for any other run.

    Args:
        header: of the run.
        records: of the run; they are read once.
        split: by what targets are split.

    """
    rate = LoadProfile.from_plain(header.load).rate
    if rate is None:
        return ()
    samples = _sample(records, split)
    targets = split.list_targets(header.targets)
    return tuple(_open_loop_point(target, rate, samples[target]) for target in targets if target in samples)


def _sample(records: Iterable[Record], split: TargetSplit) -> Mapping[MeasuredTarget, _LoadSample]:
    samples: dict[MeasuredTarget, _LoadSample] = {}
    for record in records:
        if not record.warmup:
            samples.setdefault(split.target_of(record), _LoadSample()).add(record)
    return samples


def _open_loop_point(target: MeasuredTarget, rate: float, sample: _LoadSample) -> OpenLoopPoint:
    return OpenLoopPoint(
        target=target,
        request_rate=rate,
        n=sample.timed,
        errors=sample.errors,
        ttft_p50_s=_p50(sample.ttft_s),
        ttft_p95_s=_p95(sample.ttft_s),
        ttft_from_scheduled_p50_s=_p50(sample.ttft_from_scheduled_s),
        ttft_from_scheduled_p95_s=_p95(sample.ttft_from_scheduled_s),
        total_from_scheduled_p50_s=_p50(sample.total_from_scheduled_s),
        total_from_scheduled_p95_s=_p95(sample.total_from_scheduled_s),
        requests_per_s=sample.requests_per_s,
    )


def _p50(values: list[float]) -> float | None:
    found = median(values)
    return found.value if found else None


def _p95(values: list[float]) -> float | None:
    found = percentile(values, 95)
    return found.value if found and found.name == "p95" else None

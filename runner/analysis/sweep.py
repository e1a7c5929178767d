"""Speed under load: of each target at each level of a sweep, or at the request rate of an open loop."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan, nan
from typing import TypeVar

import numpy as np
import pandas as pd

from runner.analysis.dataframe import targets_of
from runner.analysis.goodput import Goodput, measure_goodput
from runner.analysis.measured_target import WHOLE, MeasuredTarget, TargetSplit
from runner.analysis.steady_state import first_sent, has_steady_state, steady_span
from runner.analysis.summary import median, percentile
from runner.core.events import TIMED
from runner.core.load_profile import LoadProfile, level_of
from runner.core.record import Record
from runner.core.slo import Slo
from runner.storage.journal import Header

Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One target at one level of a sweep, in its steady state. TTFT is of the `n` timed requests not left out.

    Rates are of the replies that ended between the time when as many had ended as may be in flight, and the time when
    the level's last request was sent: the lane was full throughout. A 95th percentile is None below 20 requests, where
    it would be the maximum.
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
    """The level's first timed requests, sent before the load was steady."""
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
    """The requests of one target under one load, in as few numbers as possible; `_ns` since the start of the run."""

    errors: int = 0
    timed: int = 0
    first_sent_ns: int | None = None
    last_event_ns: int = 0
    in_flight_ns: int = 0
    """Time in flight, added up over all requests."""
    output_tokens: int = 0
    uncounted: int = 0
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
        self.output_tokens += record.output_tokens or 0
        self.uncounted += record.output_tokens is None
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
        self.in_flight_ns += last_ns - sent_ns

    @property
    def _span_s(self) -> float | None:
        """First request sent -> last data; None where there was no time between."""
        span_ns = 0 if self.first_sent_ns is None else self.last_event_ns - self.first_sent_ns
        return span_ns / 1e9 if span_ns > 0 else None

    def _per_second(self, amount: float) -> float | None:
        return None if self._span_s is None else amount / self._span_s

    @property
    def output_tps(self) -> float | None:
        """Tokens per second, of all replies together."""
        return None if self.uncounted or not self.timed else self._per_second(self.output_tokens)

    @property
    def requests_per_s(self) -> float | None:
        """Timed requests per second."""
        return self._per_second(self.timed)

    @property
    def mean_in_flight(self) -> float | None:
        """Mean number of requests in flight."""
        return self._per_second(self.in_flight_ns / 1e9)


@dataclass(frozen=True, slots=True)
class _SteadyRates:
    output_tps: float | None = None
    requests_per_s: float | None = None
    mean_in_flight: float | None = None


def _numbers() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class _SteadySample:
    """The requests of one target at one level: a number for each in every column, NaN where it is absent."""

    errors: int = 0
    timed: int = 0
    sent_s: "array[float]" = field(default_factory=_numbers)
    ended_s: "array[float]" = field(default_factory=_numbers)
    ttft: "array[float]" = field(default_factory=_numbers)
    tokens: "array[float]" = field(default_factory=_numbers)
    is_timed: "array[float]" = field(default_factory=_numbers)

    def add(self, record: Record) -> None:
        """Add one request."""
        is_timed = record.outcome in TIMED
        self.errors += not is_timed
        self.timed += is_timed
        for column, value in (
            (self.sent_s, _seconds(record.timestamps.sent)),
            (self.ended_s, _seconds(record.timestamps.last_event)),
            (self.ttft, record.ttft_s),
            (self.tokens, record.output_tokens),
            (self.is_timed, is_timed),
        ):
            column.append(nan if value is None else value)

    def ttft_s(self, concurrency: int, ramp_s: float | None) -> tuple[list[float], int]:
        """Return TTFT of the timed requests but the first ones, and how many timed requests those are."""
        is_timed = np.asarray(self.is_timed) > 0
        first = first_sent(np.asarray(self.sent_s), concurrency, ramp_s)
        left_out = int(np.count_nonzero(is_timed[first]))
        is_timed[first] = False
        ttft = np.asarray(self.ttft)[is_timed]
        return ttft[~np.isnan(ttft)].tolist(), left_out

    def rates(self, concurrency: int, ramp_s: float | None) -> _SteadyRates:
        """Return the rates from the end of as many requests as are left out to the time the last one was sent."""
        sent, ended = np.asarray(self.sent_s), np.asarray(self.ended_s)
        span_of = steady_span(sent, ended, max(concurrency, len(first_sent(sent, concurrency, ramp_s))))
        if span_of is None:
            return _SteadyRates()
        start, end = span_of
        span = end - start
        within = (np.asarray(self.is_timed) > 0) & (ended > start) & (ended <= end)
        tokens = float(np.asarray(self.tokens)[within].sum())
        in_flight = np.nansum(np.clip(np.minimum(ended, end) - np.maximum(sent, start), 0, None))
        return _SteadyRates(
            output_tps=None if isnan(tokens) or not within.any() else tokens / span,
            requests_per_s=int(np.count_nonzero(within)) / span,
            mean_in_flight=float(in_flight) / span,
        )


def _seconds(at_ns: int | None) -> float | None:
    return None if at_ns is None else at_ns / 1e9


Sample = TypeVar("Sample", _LoadSample, _SteadySample)


def measure_levels(header: Header, records: Iterable[Record], split: TargetSplit = WHOLE) -> tuple[LoadPoint, ...]:
    """Return a point for each target and level of a sweep, targets in the suite's order; empty for any other run.

    Args:
        header: of the run.
        records: of the run; they are read once.
        split: by what targets are split.

    """
    load = LoadProfile.from_plain(header.load)
    levels = load.levels
    if not levels:
        return ()
    group = _group_by_level(levels, header.repeat, split)
    keys = [(target, level) for target in split.list_targets(header.targets) for level in levels]
    if has_steady_state(header):
        steady = _sample(records, group, _SteadySample)
        return tuple(_steady_point(*key, steady[key], load.ramp_s) for key in keys if key in steady)
    samples = _sample(records, group, _LoadSample)
    return tuple(_load_point(*key, samples[key]) for key in keys if key in samples)


def with_goodput_of_levels(
    points: Iterable[LoadPoint], header: Header, rows: pd.DataFrame, slo: Slo
) -> tuple[LoadPoint, ...]:
    """Return the points with the goodput of each, from the measured rows of the run's table."""
    levels = LoadProfile.from_plain(header.load).levels
    level = np.array([level_of(int(number), levels, header.repeat) for number in rows["block"]])
    of_row = targets_of(rows)
    return tuple(
        replace(point, goodput=measure_goodput(rows[(of_row == point.target) & (level == point.concurrency)], slo))
        for point in points
    )


def _group_by_level(
    levels: Sequence[int], repeat: int | None, split: TargetSplit
) -> Callable[[Record], tuple[MeasuredTarget, int]]:
    return lambda record: (split.target_of(record), level_of(record.identity.block, levels, repeat))


def measure_open_loop(
    header: Header, records: Iterable[Record], split: TargetSplit = WHOLE
) -> tuple[OpenLoopPoint, ...]:
    """Return a point for each target of an open loop, in the suite's order; empty for any other run.

    The arguments are those of `measure_levels`.
    """
    rate = LoadProfile.from_plain(header.load).rate
    if rate is None:
        return ()
    samples = _sample(records, split.target_of, _LoadSample)
    targets = split.list_targets(header.targets)
    return tuple(_open_loop_point(target, rate, samples[target]) for target in targets if target in samples)


def _sample(
    records: Iterable[Record], group: Callable[[Record], Group], new: Callable[[], Sample]
) -> Mapping[Group, Sample]:
    samples: dict[Group, Sample] = {}
    for record in records:
        if not record.warmup:
            key = group(record)
            if key not in samples:
                samples[key] = new()
            samples[key].add(record)
    return samples


def _steady_point(target: MeasuredTarget, level: int, sample: _SteadySample, ramp_s: float | None) -> LoadPoint:
    ttft_s, left_out = sample.ttft_s(level, ramp_s)
    rates = sample.rates(level, ramp_s)
    return LoadPoint(
        target=target,
        concurrency=level,
        n=sample.timed - left_out,
        errors=sample.errors,
        ttft_p50_s=_p50(ttft_s),
        ttft_p95_s=_p95(ttft_s),
        output_tps=rates.output_tps,
        requests_per_s=rates.requests_per_s,
        mean_in_flight=rates.mean_in_flight,
        left_out=left_out,
    )


def _load_point(target: MeasuredTarget, level: int, sample: _LoadSample) -> LoadPoint:
    return LoadPoint(
        target=target,
        concurrency=level,
        n=sample.timed,
        errors=sample.errors,
        ttft_p50_s=_p50(sample.ttft_s),
        ttft_p95_s=_p95(sample.ttft_s),
        output_tps=sample.output_tps,
        requests_per_s=sample.requests_per_s,
        mean_in_flight=sample.mean_in_flight,
    )


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

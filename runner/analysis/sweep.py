"""What a target did under load: at each level of a sweep, or at the rate of an open loop."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from runner.analysis.summary import median, percentile
from runner.core.events import TIMED
from runner.core.load import LoadProfile, level_of
from runner.core.record import Record
from runner.storage.journal import Header

Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One target at one level of a sweep. Durations and tokens are of the `n` timed requests.

    A 95th percentile is None below 20 requests, where the maximum would pose as one.
    """

    target: str
    concurrency: int
    """The level: requests that its lane may have under way."""
    n: int
    errors: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    output_tps: float | None
    """Output tokens of all replies together, a second; None unless every reply was counted."""
    requests_per_s: float | None
    in_flight: float | None
    """The target's own requests under way, in the mean over its time at this level."""


@dataclass(frozen=True, slots=True)
class PacedPoint:
    """One target under an open loop: what was measured from sending, and from when sending was planned."""

    target: str
    rate: float
    n: int
    errors: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    ttft_from_planned_p50_s: float | None
    ttft_from_planned_p95_s: float | None
    total_from_planned_p50_s: float | None
    total_from_planned_p95_s: float | None
    requests_per_s: float | None


@dataclass(slots=True)
class _LevelSample:
    """Requests of one target under one load, in as few numbers as will do. Stamps are since the run's start."""

    errors: int = 0
    timed: int = 0
    first_sent_ns: int | None = None
    last_event_ns: int = 0
    busy_ns: int = 0
    output_tokens: int = 0
    uncounted: int = 0
    ttft_s: list[float] = field(default_factory=list)
    ttft_from_planned_s: list[float] = field(default_factory=list)
    total_from_planned_s: list[float] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Count a request in."""
        self._add_span(record.timestamps.sent, record.timestamps.last_event)
        if record.outcome not in TIMED:
            self.errors += 1
            return
        self.timed += 1
        self.output_tokens += record.output_tokens or 0
        self.uncounted += record.output_tokens is None
        for values, value in (
            (self.ttft_s, record.ttft_s),
            (self.ttft_from_planned_s, record.ttft_from_planned_s),
            (self.total_from_planned_s, record.total_from_planned_s),
        ):
            if value is not None:
                values.append(value)

    def _add_span(self, sent_ns: int | None, last_ns: int | None) -> None:
        if sent_ns is None or last_ns is None:
            return
        self.first_sent_ns = sent_ns if self.first_sent_ns is None else min(self.first_sent_ns, sent_ns)
        self.last_event_ns = max(self.last_event_ns, last_ns)
        self.busy_ns += last_ns - sent_ns

    @property
    def _span_s(self) -> float | None:
        """First request sent -> last data; None where there was no time between."""
        span_ns = 0 if self.first_sent_ns is None else self.last_event_ns - self.first_sent_ns
        return span_ns / 1e9 if span_ns > 0 else None

    def _a_second(self, amount: float) -> float | None:
        return None if self._span_s is None else amount / self._span_s

    @property
    def output_tps(self) -> float | None:
        """Tokens a second, all streams together."""
        return None if self.uncounted or not self.timed else self._a_second(self.output_tokens)

    @property
    def requests_per_s(self) -> float | None:
        """Timed requests a second."""
        return self._a_second(self.timed)

    @property
    def in_flight(self) -> float | None:
        """Requests under way, in the mean."""
        return self._a_second(self.busy_ns / 1e9)


def measure_levels(header: Header, records: Iterable[Record]) -> tuple[LoadPoint, ...]:
    """Return a point for each target and level of a sweep, targets in the suite's order; nothing without a sweep."""
    levels = LoadProfile.from_plain(header.load).levels
    if not levels:
        return ()
    samples = _gather(records, lambda r: (r.identity.target, level_of(r.identity.block, levels, header.repeat)))
    places = [(target, level) for target in header.targets for level in levels]
    return tuple(_level_point(*place, samples[place]) for place in places if place in samples)


def measure_pace(header: Header, records: Iterable[Record]) -> tuple[PacedPoint, ...]:
    """Return a point for each target of an open loop, in the suite's order; nothing where replies set the pace."""
    rate = LoadProfile.from_plain(header.load).rate
    if rate is None:
        return ()
    samples = _gather(records, lambda r: r.identity.target)
    return tuple(_paced_point(target, rate, samples[target]) for target in header.targets if target in samples)


def _gather(records: Iterable[Record], group: Callable[[Record], Group]) -> Mapping[Group, _LevelSample]:
    samples: dict[Group, _LevelSample] = {}
    for record in records:
        if not record.warmup:
            samples.setdefault(group(record), _LevelSample()).add(record)
    return samples


def _level_point(target: str, level: int, sample: _LevelSample) -> LoadPoint:
    return LoadPoint(
        target=target,
        concurrency=level,
        n=sample.timed,
        errors=sample.errors,
        ttft_p50_s=_p50(sample.ttft_s),
        ttft_p95_s=_p95(sample.ttft_s),
        output_tps=sample.output_tps,
        requests_per_s=sample.requests_per_s,
        in_flight=sample.in_flight,
    )


def _paced_point(target: str, rate: float, sample: _LevelSample) -> PacedPoint:
    return PacedPoint(
        target=target,
        rate=rate,
        n=sample.timed,
        errors=sample.errors,
        ttft_p50_s=_p50(sample.ttft_s),
        ttft_p95_s=_p95(sample.ttft_s),
        ttft_from_planned_p50_s=_p50(sample.ttft_from_planned_s),
        ttft_from_planned_p95_s=_p95(sample.ttft_from_planned_s),
        total_from_planned_p50_s=_p50(sample.total_from_planned_s),
        total_from_planned_p95_s=_p95(sample.total_from_planned_s),
        requests_per_s=sample.requests_per_s,
    )


def _p50(values: list[float]) -> float | None:
    found = median(values)
    return found.value if found else None


def _p95(values: list[float]) -> float | None:
    found = percentile(values, 95)
    return found.value if found and found.name == "p95" else None

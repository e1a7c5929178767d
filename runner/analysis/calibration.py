"""Timestamp errors, measured against a server whose clock is known. Pure: records in, errors out.

Client and server must read the same clock, as two processes of one machine do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from math import isfinite
from typing import Any, NamedTuple, Self

from runner.core.percentiles import nearest_rank
from runner.core.record import Record

TTFT_BOUND_S = 0.005
"""A concurrency is sustained if the 99th percentile of the TTFT error stays below this."""


class ReplyTimestamps(NamedTuple):
    """The timestamps of one reply on both sides, in microseconds since the request was sent, by the client's stamp."""

    received_us: int
    """Server: the whole request has arrived."""
    at_us: Sequence[int]
    """Client: each piece of text has arrived."""
    origin_us: Sequence[int]
    """Server: each piece of text is sent."""

    @property
    def ttft_error_us(self) -> int:
        """The TTFT that the client measured, less the true one."""
        return self.at_us[0] - (self.origin_us[0] - self.received_us)

    @property
    def delays_us(self) -> list[int]:
        """For each piece of text: sent by the server -> stamped by the client."""
        return [at - origin for at, origin in zip(self.at_us, self.origin_us, strict=True)]


def read_timestamps(record: Record) -> ReplyTimestamps | None:
    """Return a record's timestamps; None if the reply is incomplete, or the server sent none of its own."""
    text = record.text_events
    if not record.timed or record.received_us is None or not text.origin_us:
        return None
    return ReplyTimestamps(record.received_us, text.at_us, text.origin_us)


@dataclass(frozen=True, slots=True)
class ErrorSpread:
    """Percentiles of the magnitude of `n` errors, by nearest rank: of fewer than 100, the 99th is the maximum."""

    n: int
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, values_us: Iterable[int]) -> Self | None:
        """Return the spread of the magnitudes of values in microseconds; None without values."""
        sizes = sorted(map(abs, values_us))
        if not sizes:
            return None
        p50, p90, p99 = (sizes[nearest_rank(percent, len(sizes)) - 1] / 1e6 for percent in (50, 90, 99))
        return cls(len(sizes), p50, p90, p99, sizes[-1] / 1e6)


@dataclass(frozen=True, slots=True)
class TimestampErrors:
    """The errors of timestamps, and the number of requests that were timed; None where no reply has both timestamps.

    The field names are those of a calibration's file.
    """

    requests: int
    timed: int
    tokens: int
    reported_ttft: ErrorSpread | None
    """Not an error: the TTFT that was measured."""
    ttft: ErrorSpread | None
    gap: ErrorSpread | None
    """Of the time between two pieces of text (inter-chunk latency)."""
    request: ErrorSpread | None
    """The client stamps a request as sent -> the server has received it."""
    stamp: ErrorSpread | None
    """For each piece of text: sent by the server -> stamped by the client."""


def measure_errors(replies: Sequence[ReplyTimestamps], requests: int) -> TimestampErrors:
    """Return the timestamp errors of the replies to a number of requests."""
    return TimestampErrors(
        requests=requests,
        timed=len(replies),
        tokens=sum(len(each.at_us) for each in replies),
        reported_ttft=ErrorSpread.of(each.at_us[0] for each in replies),
        ttft=ErrorSpread.of(each.ttft_error_us for each in replies),
        gap=ErrorSpread.of(b - a for each in replies for a, b in pairwise(each.delays_us)),
        request=ErrorSpread.of(each.received_us for each in replies),
        stamp=ErrorSpread.of(delay for each in replies for delay in each.delays_us),
    )


def is_sustained(errors: TimestampErrors) -> bool:
    """Return whether every request was timed, and the TTFT error stayed within TTFT_BOUND_S."""
    return errors.timed == errors.requests and errors.ttft is not None and errors.ttft.p99_s < TTFT_BOUND_S


def next_concurrency(sustained: int, exceeded: int | None, most: int) -> int | None:
    """Return the concurrency to try next, given the highest that was sustained and the lowest that was not.

    Double until one is exceeded, then bisect; None once the two are within an eighth of each other.
    """
    if exceeded is None:
        return min(2 * sustained, most) if sustained < most else None
    if exceeded - sustained <= max(1, sustained // 8):
        return None
    return (sustained + exceeded) // 2


@dataclass(frozen=True, slots=True)
class ClockError:
    """The figures of a calibration that the header of each later run holds, under these names."""

    calibrated_at: str
    concurrency: int
    n: int
    ttft_p50_s: float
    ttft_p99_s: float
    gap_p99_s: float

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self | None:
        """Return what a header holds; None where it lacks a figure, as that of another version may, or is damaged."""
        figures = [spec.name for spec in fields(cls) if spec.name != "calibrated_at"]
        if not isinstance(plain.get("calibrated_at"), str) or not all(_is_figure(plain.get(name)) for name in figures):
            return None
        return cls(plain["calibrated_at"], **{name: plain[name] for name in figures})

    def to_plain(self) -> dict[str, Any]:
        """Return the figures as a header holds them."""
        return asdict(self)


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)

"""Timestamp errors of records, relative to the timestamps of a server that reads the same clock.

Two processes of one machine read the same clock. All functions are pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from math import isfinite
from typing import Any, NamedTuple, Self

from runner.core.percentiles import nearest_rank
from runner.core.record import Record

TTFT_BOUND_S = 0.005
"""Limit of the 99th percentile of the TTFT error, below which a concurrency is sustained."""


class ReplyTimestamps(NamedTuple):
    """Client and server timestamps of one reply, in microseconds since the client's timestamp of the sent request."""

    received_us: int
    """Server timestamp of the arrival of the whole request."""
    at_us: Sequence[int]
    """Client timestamps of the arrival of each piece of text."""
    origin_us: Sequence[int]
    """Server timestamps of the sending of each piece of text."""

    @property
    def ttft_error_us(self) -> int:
        """The TTFT measured by the client minus the true TTFT."""
        return self.at_us[0] - (self.origin_us[0] - self.received_us)

    @property
    def delays_us(self) -> list[int]:
        """The time from the server's timestamp to the client's, for each piece of text."""
        return [at - origin for at, origin in zip(self.at_us, self.origin_us, strict=True)]


def read_timestamps(record: Record) -> ReplyTimestamps | None:
    """Return a record's timestamps; None if the reply is incomplete, or the server sent no timestamps."""
    text = record.text_events
    if not record.timed or record.received_us is None or not text.origin_us:
        return None
    return ReplyTimestamps(record.received_us, text.at_us, text.origin_us)


@dataclass(frozen=True, slots=True)
class ErrorSpread:
    """Nearest-rank percentiles of the magnitudes of `n` errors; with fewer than 100, the 99th is the maximum."""

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
    """Timestamp errors, and the number of timed requests; a spread is None if no reply has the timestamps it needs.

    The field names are those in a calibration file.
    """

    requests: int
    timed: int
    tokens: int
    reported_ttft: ErrorSpread | None
    """Measured TTFT, which is not an error."""
    ttft: ErrorSpread | None
    gap: ErrorSpread | None
    """Errors of inter-chunk latencies (ICL), the times between two pieces of text."""
    request: ErrorSpread | None
    """Time from the client's timestamp of the sent request to its arrival at the server."""
    stamp: ErrorSpread | None
    """Time from the server's timestamp to the client's, for each piece of text."""


def measure_errors(replies: Sequence[ReplyTimestamps], requests: int) -> TimestampErrors:
    """Return the timestamp errors of the replies to `requests` requests."""
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


@dataclass(frozen=True, slots=True)
class ClockError:
    """Results of a calibration that the header of each later run stores under these names."""

    calibrated_at: str
    concurrency: int
    n: int
    ttft_p50_s: float
    ttft_p99_s: float
    gap_p99_s: float

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self | None:
        """Return the results in a header; None if one is missing, as in another version's header, or damaged."""
        figures = [spec.name for spec in fields(cls) if spec.name != "calibrated_at"]
        if not isinstance(plain.get("calibrated_at"), str) or not all(_is_figure(plain.get(name)) for name in figures):
            return None
        return cls(plain["calibrated_at"], **{name: plain[name] for name in figures})

    def to_plain(self) -> dict[str, Any]:
        """Return the results as a header stores them."""
        return asdict(self)


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)

"""How far stamps are from the truth, where a server with a known clock told it. Pure: records in, errors out.

Client and server must read the same clock, as two processes of one machine do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, NamedTuple, Self

from runner.core.record import Record

TTFT_BOUND_S = 0.005
"""What the 99th percentile of the TTFT error must stay under for a concurrency to count as sustained."""


class Stamps(NamedTuple):
    """One reply as both sides stamped it, in microseconds since the client took the request for sent."""

    received_us: int
    """The server: the whole request is here."""
    at_us: Sequence[int]
    """The client: each piece of text is here."""
    origin_us: Sequence[int]
    """The server: each piece of text goes out."""

    @property
    def ttft_error_us(self) -> int:
        """What the client took for TTFT, less what it was."""
        return self.at_us[0] - (self.origin_us[0] - self.received_us)

    @property
    def delays_us(self) -> list[int]:
        """Each piece of text: sent by the server -> stamped."""
        return [at - origin for at, origin in zip(self.at_us, self.origin_us, strict=True)]


def read_stamps(record: Record) -> Stamps | None:
    """Return a record's stamps; None if it is no whole reply, or its server told no clock."""
    heard = record.text_events
    if not record.timed or record.received_us is None or not heard.origin_us:
        return None
    return Stamps(record.received_us, heard.at_us, heard.origin_us)


@dataclass(frozen=True, slots=True)
class ErrorSpread:
    """Sizes of `n` errors, early or late, by nearest rank: the 99th percentile of fewer than 100 is the maximum."""

    n: int
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, values_us: Iterable[int]) -> Self | None:
        """Return the spread of the values' magnitudes; None of none."""
        sizes = sorted(map(abs, values_us))
        if not sizes:
            return None
        p50, p90, p99 = (sizes[-(-percent * len(sizes) // 100) - 1] / 1e6 for percent in (50, 90, 99))
        return cls(len(sizes), p50, p90, p99, sizes[-1] / 1e6)


@dataclass(frozen=True, slots=True)
class Errors:
    """What became of the requests, and how far from the truth their stamps were; None where nothing can tell."""

    requests: int
    timed: int
    tokens: int
    reported_ttft: ErrorSpread | None
    """No error, but what was measured."""
    ttft: ErrorSpread | None
    gap: ErrorSpread | None
    request: ErrorSpread | None
    """The client takes a request for sent -> the server has it."""
    stamp: ErrorSpread | None
    """Each piece of text: the server sends it -> its stamp is taken."""


def measure_errors(replies: Sequence[Stamps], requests: int) -> Errors:
    """Compare what was stamped with what the server says, for the replies that so many requests brought."""
    return Errors(
        requests=requests,
        timed=len(replies),
        tokens=sum(len(each.at_us) for each in replies),
        reported_ttft=ErrorSpread.of(each.at_us[0] for each in replies),
        ttft=ErrorSpread.of(each.ttft_error_us for each in replies),
        gap=ErrorSpread.of(b - a for each in replies for a, b in pairwise(each.delays_us)),
        request=ErrorSpread.of(each.received_us for each in replies),
        stamp=ErrorSpread.of(delay for each in replies for delay in each.delays_us),
    )


def is_sustained(errors: Errors) -> bool:
    """Whether every request was answered, and TTFT measured well enough."""
    return errors.timed == errors.requests and errors.ttft is not None and errors.ttft.p99_s < TTFT_BOUND_S


def choose_next(sustained: int, exceeded: int | None, most: int) -> int | None:
    """Return the concurrency to try next, given the highest that went well and the lowest that did not.

    It doubles until one is too many, then halves what is left; None once the two are within an eighth.
    """
    if exceeded is None:
        return min(2 * sustained, most) if sustained < most else None
    if exceeded - sustained <= max(1, sustained // 8):
        return None
    return (sustained + exceeded) // 2


@dataclass(frozen=True, slots=True)
class ClockError:
    """The gist of a calibration, as each later run's header carries it."""

    calibrated_at: str
    concurrency: int
    n: int
    ttft_p50_s: float
    ttft_p99_s: float
    gap_p99_s: float

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self | None:
        """Read what a header holds; None where it has been written by a version that knew other figures."""
        names = [spec.name for spec in fields(cls)]
        return cls(**{name: facts[name] for name in names}) if facts.keys() >= set(names) else None

    def facts(self) -> dict[str, Any]:
        """Return what a header is to hold."""
        return asdict(self)

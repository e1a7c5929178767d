"""Messages between the driver and a worker. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner.core.record_from_events import Fold
from runner.providers.endpoint import Endpoint
from runner.providers.key import Key
from runner.wire.response_body import Phases


@dataclass(frozen=True, slots=True)
class WorkerIntroduction:
    """Where a worker runs, and which version of this package it has."""

    version: str
    node_id: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerCalibration:
    """A worker's clock error, measured against a known clock, and whether it is within the bound."""

    facts: Mapping[str, object]
    is_within_bound: bool


@dataclass(frozen=True, slots=True)
class PackedKey:
    """A key on its way to a worker. A `Key` refuses to be pickled: only in this form may it be sent."""

    variable: str
    value: str = field(repr=False)


def pack_keys(endpoints: Mapping[str, Endpoint]) -> tuple[dict[str, Endpoint], dict[str, PackedKey]]:
    """Return endpoints without their keys, and the keys, each by provider.

    Ray puts an argument of more than 100 KiB into its object store, which spills to disk. Keys are an argument of
    their own, so that they stay below that however long the providers' rows are.
    """
    keys = {name: each.key for name, each in endpoints.items() if each.key is not None}
    packed = {name: PackedKey(key.variable, key.reveal()) for name, key in keys.items()}
    return {name: replace(each, key=None) for name, each in endpoints.items()}, packed


def unpack_keys(endpoints: Mapping[str, Endpoint], packed: Mapping[str, PackedKey]) -> dict[str, Endpoint]:
    """Return endpoints with their keys again."""
    keys = {name: Key(each.value, each.variable) for name, each in packed.items()}
    return {name: replace(each, key=keys.get(name)) for name, each in endpoints.items()}


@dataclass(frozen=True, slots=True)
class WorkerSpan:
    """When a worker began and ended a call, in `perf_counter_ns` of the worker."""

    began_ns: int
    ended_ns: int

    def clock_ahead_ns(self, called_ns: int, returned_ns: int) -> int:
        """Return how far the worker's clock is ahead of the driver's, in nanoseconds.

        It assumes that the call took as long to arrive as its result to return: the error is at most half of both
        together. It is computed for each attempt, since clocks drift apart.

        Args:
            called_ns: when the driver made the call, in its own `perf_counter_ns`.
            returned_ns: when the driver had the result.

        """
        return ((self.began_ns - called_ns) + (self.ended_ns - returned_ns)) // 2


@dataclass(frozen=True, slots=True)
class WarmUpReport:
    """The connections that a worker has opened; timestamps are the worker's."""

    phases: list[Phases]
    span: WorkerSpan


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """Everything that a worker received in one attempt; timestamps are the worker's."""

    fold: Fold
    sent_ns: int | None
    headers_ns: int | None
    phases: Phases
    clock: str
    late_ns: int | None
    span: WorkerSpan
    sent_by_ns: int | None = None
    write_start_ns: int | None = None


def shift_phases(phases: Phases, by_ns: int) -> Phases:
    """Return a connection's phases with all timestamps moved, as by another clock."""

    def moved(at_ns: int | None) -> int | None:
        return None if at_ns is None else at_ns + by_ns

    return Phases(
        dns_start=moved(phases.dns_start),
        dns_end=moved(phases.dns_end),
        tcp_start=moved(phases.tcp_start),
        tcp_end=moved(phases.tcp_end),
        tls_end=moved(phases.tls_end),
        reused=phases.reused,
    )

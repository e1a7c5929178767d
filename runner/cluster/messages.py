"""What passes between the driver and a worker. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner.core.fold import Fold
from runner.providers.endpoint import Endpoint
from runner.providers.key import Key
from runner.wire.response_body import Phases


@dataclass(frozen=True, slots=True)
class WorkerIntroduction:
    """Who a worker is."""

    version: str
    node_id: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How late a worker's stamps were in a trial against a known clock, and whether that is within the bound."""

    facts: Mapping[str, object]
    is_within_bound: bool


@dataclass(frozen=True, slots=True)
class PackedKey:
    """A key on its way to a worker. A `Key` refuses to be pickled: this is the one form in which it may travel."""

    variable: str
    value: str = field(repr=False)


def pack_keys(endpoints: Mapping[str, Endpoint]) -> tuple[dict[str, Endpoint], dict[str, PackedKey]]:
    """Part endpoints from their keys, each by its provider.

    Ray puts an argument of more than 100 KiB into its object store, which spills to disk. Keys are an argument of
    their own, so that they stay below that however long somebody's rows are.
    """
    keys = {name: each.key for name, each in endpoints.items() if each.key is not None}
    packed = {name: PackedKey(key.variable, key.reveal()) for name, key in keys.items()}
    return {name: replace(each, key=None) for name, each in endpoints.items()}, packed


def unpack_keys(endpoints: Mapping[str, Endpoint], packed: Mapping[str, PackedKey]) -> dict[str, Endpoint]:
    """Give endpoints their keys back."""
    keys = {name: Key(each.value, each.variable) for name, each in packed.items()}
    return {name: replace(each, key=keys.get(name)) for name, each in endpoints.items()}


@dataclass(frozen=True, slots=True)
class WorkerStay:
    """When something was at the worker, by the worker's clock."""

    begun_ns: int
    ended_ns: int

    def clock_ahead_ns(self, handed_ns: int, returned_ns: int) -> int:
        """Return how far the worker's clock is ahead of the driver's.

        Taken as if the way there were as long as the way back: wrong by no more than half of what both took. It is
        worked out for each attempt anew, since clocks drift apart.

        Args:
            handed_ns: when the driver handed it over, by its own clock.
            returned_ns: when the driver had it back.

        """
        return ((self.begun_ns - handed_ns) + (self.ended_ns - returned_ns)) // 2


@dataclass(frozen=True, slots=True)
class RemoteOpened:
    """Connections that a worker has opened."""

    phases: list[Phases]
    stay: WorkerStay


@dataclass(frozen=True, slots=True)
class Report:
    """All that a worker heard of one attempt; stamps are its own clock's."""

    fold: Fold
    sent_ns: int | None
    headers_ns: int | None
    phases: Phases
    clock: str
    late_ns: int | None
    stay: WorkerStay


def shift(phases: Phases, by_ns: int) -> Phases:
    """Return a connection's phases by another clock."""

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

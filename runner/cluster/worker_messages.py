"""Messages between the driver and a worker. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from runner.core.record_from_events import Fold
from runner.providers.endpoint import Endpoint
from runner.providers.key import Key
from runner.wire.response_body import Phases


@dataclass(frozen=True, slots=True)
class WorkerIntroduction:
    """The node on which a worker runs, and its version of this package."""

    version: str
    node_id: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerCalibration:
    """The clock error of a worker, measured against a known clock, and whether it is within the bound."""

    facts: Mapping[str, object]
    is_within_bound: bool


@dataclass(frozen=True, slots=True)
class PackedKey:
    """A key in the only form in which it may be sent to a worker: `Key` itself cannot be pickled."""

    variable: str
    value: str = field(repr=False)


def pack_keys(endpoints: Mapping[str, Endpoint]) -> tuple[dict[str, Endpoint], dict[str, PackedKey]]:
    """Return provider -> endpoint without its key, and provider -> key.

    Ray puts arguments of more than 100 KiB into its object store, which spills to disk. Keys are a separate argument,
    so that they stay below that size however long the providers' rows are.
    """
    keys = {name: each.key for name, each in endpoints.items() if each.key is not None}
    packed = {name: PackedKey(key.variable, key.reveal()) for name, key in keys.items()}
    return {name: replace(each, key=None) for name, each in endpoints.items()}, packed


def unpack_keys(endpoints: Mapping[str, Endpoint], packed: Mapping[str, PackedKey]) -> dict[str, Endpoint]:
    """Return the endpoints with their keys, the inverse of `pack_keys`."""
    keys = {name: Key(each.value, each.variable) for name, each in packed.items()}
    return {name: replace(each, key=keys.get(name)) for name, each in endpoints.items()}


@dataclass(frozen=True, slots=True)
class WorkerSpan:
    """The start and end of a call to a worker, in the worker's `perf_counter_ns`."""

    began_ns: int
    ended_ns: int

    def clock_ahead_ns(self, called_ns: int, returned_ns: int) -> int:
        """Return the nanoseconds by which the worker's clock is ahead of the driver's.

        The call and its result are assumed to take equally long on the way, so the error is at most half the sum of
        both times. The value is computed for each attempt, since clocks drift apart.

        Args:
            called_ns: the time at which the driver made the call, in its own `perf_counter_ns`.
            returned_ns: the time at which the driver got the result, by the same clock.

        """
        return ((self.began_ns - called_ns) + (self.ended_ns - returned_ns)) // 2


@dataclass(frozen=True, slots=True)
class WarmUpReport:
    """The phases of the connections that a worker opened; timestamps are by the worker's clock."""

    phases: list[Phases]
    span: WorkerSpan


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """The data that a worker received in one attempt; timestamps are by the worker's clock."""

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
    """Return a connection's phases with `by_ns` added to all timestamps, to convert them to another clock."""
    found = asdict(phases)
    known = {name: at_ns for name, at_ns in found.items() if name != "reused" and at_ns is not None}
    return replace(phases, **{name: at_ns + by_ns for name, at_ns in known.items()})

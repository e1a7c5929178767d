"""How a run was made: a journal's first line, and what a resumption changes of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FORMAT = 1

LASTING = frozenset({"run_id", "started_at", "format"})
"""What a run keeps however often it is resumed."""

_TUPLES = ("targets", "cases", "case_patterns", "budgets")


@dataclass(frozen=True, slots=True)
class Header:
    """How a run was made: enough to repeat it, and to know whether two runs may be compared."""

    run_id: str
    suite: str
    digest: str
    seed: int
    started_at: str
    simulated: bool
    repeat: int | None
    """Blocks, at each level of a sweep; None where the number was open."""
    targets: tuple[str, ...]
    cases: tuple[str, ...]
    planned_requests: int | None
    """None where the number was open, and somebody or something was to end the run."""
    order: str = "blocks"
    concurrency: int | None = None
    path: str | None = None
    clock: str | None = None
    platform: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, object] | None = None
    load: Mapping[str, Any] = field(default_factory=dict)
    """How hard the run pressed: `runner.core.load.Load` as plain data, what is at its default left out."""
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Target -> what a million tokens cost, in which currency, by whose word and of which date."""
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Case -> its checks as the suite has them, how many repeats must pass, how its snapshot is matched."""
    case_patterns: tuple[str, ...] = ()
    """The globs that chose the cases; none for the whole suite."""
    budgets: tuple[str, ...] = ()
    """Sums at which the run was to end, such as `5 USD`."""
    until_ci: float | None = None
    """The share of every target's median TTFT within which it was to be known for the run to end."""
    replay_of: str | None = None
    """The run whose recordings answered, if no provider was asked."""
    vantages: Mapping[str, str | None] = field(default_factory=dict)
    """Node -> its region, of the nodes that each asked everything; none where it did not matter who asked."""
    late_bound_s: float | None = None
    """How late stamps may be before a row is flagged; None for the bound that this version has."""
    format: int = FORMAT

    @property
    def short_digest(self) -> str:
        """As much of the digest as a person compares at a glance; 48 bits do not agree by chance."""
        return self.digest[:12]

    @property
    def planned(self) -> str:
        """How many requests were planned, in words."""
        return "an open number" if self.planned_requests is None else f"{self.planned_requests:,}"


def encode_header(header: Header) -> dict[str, object]:
    """Turn a header into a journal's first line."""
    return {"kind": "header", **asdict(header)}


def decode_header(line: Mapping[str, Any]) -> Header:
    """Turn a line back into its header; a name this version does not know is ignored.

    Raises:
        KeyError, TypeError: the line is no header.

    """
    values = {spec.name: line[spec.name] for spec in fields(Header) if spec.name in line}
    values |= {name: tuple(values[name]) for name in _TUPLES if name in values}
    return Header(**values)


def changes_between(old: Header, new: Header) -> dict[str, object]:
    """Return what a resumption changes, as its line holds it."""
    before, after = asdict(old), asdict(new)
    return {name: value for name, value in after.items() if name not in LASTING and value != before[name]}


def apply_changes(header: Header, changes: Mapping[str, Any]) -> Header:
    """Return a header as a resumption left it.

    Raises:
        KeyError, TypeError: these are no changes of a header.

    """
    return decode_header({**asdict(header), **changes})

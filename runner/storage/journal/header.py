"""A journal's first line: how the run was made, and what a resumption changes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.storage.stored_names import StoredNames

FORMAT = 1

UNCHANGED_BY_RESUME = frozenset({"run_id", "started_at", "format"})
"""Members that a run keeps however often it is resumed, by their stored names."""

_TUPLES = ("targets", "cases", "case_patterns", "budgets")
"""Fields that are tuples in the code and lists in JSON."""


@dataclass(frozen=True, slots=True)
class Header:
    """How a run was made: what is needed to repeat it, and to decide whether two runs are comparable."""

    run_id: str
    suite: str
    digest: str
    seed: int
    started_at: str
    simulated: bool
    repeat: int | None
    """Rounds, at each level of a sweep; None where the number was open."""
    targets: tuple[str, ...]
    cases: tuple[str, ...]
    planned_requests: int | None
    """None where the number was open, and a stop rule or the user ended the run."""
    order: str = "blocks"
    release: str | None = None
    """How lanes kept together, a `runner.core.load_profile.Release`; `mixed` if that changed when the run was resumed,
    None where it is not known: a lane could then be two blocks ahead of the slowest."""
    concurrency: int | None = None
    path: str | None = None
    clock: str | None = None
    platform: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, object] | None = None
    load: Mapping[str, Any] = field(default_factory=dict)
    """The load profile, `runner.core.load_profile.LoadProfile`, as plain data without the values at their defaults."""
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Target -> the price of a million tokens, its currency, its source and its date."""
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Case -> its checks as written in the suite, how many repeats must pass, how its snapshot is matched."""
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Case -> its tags, of the cases that have any."""
    case_patterns: tuple[str, ...] = ()
    """The globs that selected the cases; empty for the whole suite."""
    budgets: tuple[str, ...] = ()
    """Sums at which the run stops, such as `5 USD`."""
    until_ci: float | None = None
    """The run stops when the confidence interval of every target's median TTFT is this narrow, as a share of it."""
    replay_of: str | None = None
    """The run whose recordings were replayed; None where providers were asked."""
    vantages: Mapping[str, str | None] = field(default_factory=dict)
    """Node -> its region, of the nodes that each sent every request; empty where any node could send it."""
    late_bound_s: float | None = None
    """How late timestamps may be before a row is flagged, in seconds; None for the default."""
    format: int = FORMAT

    @property
    def short_digest(self) -> str:
        """The first 48 bits of the suite's digest: short enough to compare by eye, too long to agree by chance."""
        return self.digest[:12]

    @property
    def planned(self) -> str:
        """The number of planned requests, as text."""
        return "an open number" if self.planned_requests is None else f"{self.planned_requests:,}"


_STORED = StoredNames(
    Header,
    *("run_id", "suite", "digest", "seed", "started_at", "simulated", "repeat", "targets", "cases", "planned_requests"),
    *(
        "order",
        "release",
        "concurrency",
        "path",
        "clock",
        "platform",
        "versions",
        "calibration",
        "load",
        "prices",
        "checks",
    ),
    *("case_patterns", "budgets", "until_ci", "replay_of", "vantages", "late_bound_s", "tags", "format"),
)


def encode_header(header: Header) -> dict[str, object]:
    """Return a journal's first line."""
    return {"kind": "header", **_STORED.encode(header)}


def decode_header(line: Mapping[str, Any]) -> Header:
    """Return the header that a line holds; names that this version does not know are ignored.

    Raises:
        KeyError, TypeError: the line is no header.

    """
    values = _STORED.decode(line)
    values |= {name: tuple(values[name]) for name in _TUPLES if name in values}
    return Header(**values)


def changes_between(old: Header, new: Header) -> dict[str, object]:
    """Return the members that a resumption changes, by their stored names."""
    before, after = _STORED.encode(old), _STORED.encode(new)
    return {name: value for name, value in after.items() if name not in UNCHANGED_BY_RESUME and value != before[name]}


def apply_changes(header: Header, changes: Mapping[str, Any]) -> Header:
    """Return a header with the changes of a resumption applied.

    Raises:
        KeyError, TypeError: these are no changes of a header.

    """
    return decode_header({**_STORED.encode(header), **changes})

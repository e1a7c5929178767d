"""A journal's first line: how the run was made, and the changes of it by a resume."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import Any, get_type_hints

import msgspec

from runner.core.load_profile import LoadProfile
from runner.core.record import Record
from runner.core.slo import Slo
from runner.errors import CompareError
from runner.storage.stored_field_names import StoredNames

FORMAT = 1

UNCHANGED_BY_RESUME = frozenset({"run_id", "started_at", "format"})
"""Members that a run keeps however often it is resumed, by their stored names."""


@dataclass(frozen=True, slots=True)
class Header:
    """How a run was made: what is needed to repeat it, and to decide whether two runs are comparable."""

    run_id: str
    suite: str
    digest: str
    seed: int | None
    """Seed of the order of requests; None only if the header was damaged."""
    started_at: str
    simulated: bool
    repeat: int | None
    """Number of rounds at each level of a sweep; None if it was unlimited."""
    targets: tuple[str, ...]
    cases: tuple[str, ...]
    planned_requests: int | None
    """Number of planned requests; None if it was unlimited, and a stop rule or the user ended the run."""
    order: str = "blocks"
    release: str | None = None
    """How lanes stay together, a `runner.core.load_profile.Release`; `mixed` if a resume changed it. None if it
    is unknown: a lane could then be two rounds ahead of the slowest."""
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
    """Case -> its tags, for cases that have any."""
    case_patterns: tuple[str, ...] = ()
    """The globs that selected the cases; empty for the whole suite."""
    budgets: tuple[str, ...] = ()
    """Amounts of money at which the run stops, such as `5 USD`."""
    until_ci: float | Mapping[str, float] | None = None
    """The run stops when the confidence interval of every target's median TTFT is this narrow, as a share of it; or by
    name, `runner.core.until_ci.UntilCi`."""
    replay_of: str | None = None
    """The run whose recordings were replayed; None if providers were asked."""
    vantages: Mapping[str, str | None] = field(default_factory=dict)
    """Node -> its region, for the nodes that each sent all requests; empty if any node could send a request."""
    late_bound_s: float | None = None
    """Lateness of timestamps above which a row is flagged, in seconds; None for the default."""
    reply_limit: int | None = None
    """Limit on the bytes of a reply, if an option set one; None for the suite's limit or the default."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Target -> the parameters that its variant sets, for targets that are variants."""
    vary: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Parameter -> the values that an option crossed every target with."""
    slo: Mapping[str, float] = field(default_factory=dict)
    """Column -> the longest duration in seconds that meets the run's SLO, `runner.core.slo.Slo`."""
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Case -> the wanted `tokens` of its request and the name of its `text`, for cases with a sized input."""
    caches: Mapping[str, str] = field(default_factory=dict)
    """Target -> whether a prompt cache may serve its requests, a `runner.core.suite.CacheUse`; empty in older runs."""
    cache_probe: tuple[float, ...] = ()
    """Pause in seconds before each turn of a cache probe; empty for other runs."""
    attachments: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Case -> the images, files and audio of each of its turns, a list of mappings; for cases that have any."""
    think_time: Mapping[str, str] = field(default_factory=dict)
    """Case -> the wait between a reply and the next turn, as written in a suite, for cases that have one."""
    most_requests: int | None = None
    """Highest number of planned requests, if models decide on the number of steps; else None."""
    format: int = FORMAT

    @property
    def short_digest(self) -> str:
        """The first 48 bits of the suite's digest: short enough to compare by eye, too long to agree by chance."""
        return self.digest[:12]

    def is_repeated(self, turn: int) -> bool:
        """Return whether the requests of a turn are those that a cache probe sends again."""
        return bool(self.cache_probe) and turn > 1

    @property
    def planned(self) -> str:
        """The number of planned requests, as text; `?` if it is unlimited."""
        return "?" if self.planned_requests is None else f"{self.planned_requests:,}"


_STORED = StoredNames(
    Header,
    *("run_id", "suite", "digest", "seed", "started_at", "simulated", "repeat", "targets", "cases", "planned_requests"),
    *("order", "release", "concurrency", "path", "clock", "platform", "versions", "calibration", "load", "prices"),
    *("checks", "tags", "case_patterns", "budgets", "until_ci", "replay_of", "vantages", "late_bound_s", "reply_limit"),
    *("variants", "vary", "slo", "inputs", "caches", "cache_probe", "attachments", "think_time", "most_requests"),
    "format",
)


def encode_header(header: Header) -> dict[str, object]:
    """Return a journal's first line."""
    return {"kind": "header", **_STORED.encode(header)}


_HINTS = get_type_hints(Header)

_LINE: Mapping[str, Any] = {name: _HINTS[field] for name, field in _STORED.fields.items()}
"""Stored name -> the type of its member."""

_REQUIRED = frozenset(
    name
    for name, spec in zip(_STORED.names, fields(Header), strict=True)
    if spec.default is MISSING and spec.default_factory is MISSING
)


_PARSERS: Mapping[str, Callable[[Any], object]] = {
    "load": LoadProfile.from_plain,
    "slo": Slo.from_plain,
    "started_at": datetime.fromisoformat,
}
"""Stored name -> parser of its member, for members whose type says too little."""


def header_faults(line: Mapping[str, Any]) -> dict[str, str]:
    """Return member -> what is wrong with it, for each member of a header's line that cannot be used."""
    return dict.fromkeys(sorted({*_REQUIRED, "format"} - line.keys()), "it is missing") | _faults_of(line)


def _faults_of(members: Mapping[str, Any]) -> dict[str, str]:
    faults = {}
    for name in sorted(members.keys() & _LINE.keys()):
        try:
            msgspec.convert(members[name], _LINE[name])
            if name in _PARSERS:
                _PARSERS[name](members[name])
        except (CompareError, AttributeError, TypeError, ValueError) as error:
            faults[name] = f"{str(error)[:1].lower()}{str(error)[1:]}"
    return faults


def decode_header(line: Mapping[str, Any]) -> Header:
    """Return the header in a line; names that this version does not know are ignored."""
    known = {name: msgspec.convert(line[name], _LINE[name]) for name in line.keys() & _LINE.keys()}
    return Header(**_STORED.decode(known))


def mend_header(line: Mapping[str, Any], faults: Mapping[str, str], run_id: str, records: Iterable[Record]) -> Header:
    """Return a damaged header with its bad members replaced by values from the records, else by placeholders.

    Raises:
        ValueError: there is no record to take values from.

    """
    targets, cases, simulated, started = dict[str, None](), dict[str, None](), False, None
    variants = dict[str, dict[str, Any]]()
    for record in records:
        if record.identity.variant is not None:
            variants[record.identity.target] = {}
        targets[record.identity.target] = cases[record.identity.case] = None
        simulated |= record.identity.simulated
        started = started or record.started_at
    if started is None:
        raise ValueError("no row of it can be read")
    known: dict[str, Any] = {
        "run_id": run_id,
        "suite": "unknown",
        "digest": "unknown",
        "seed": None,
        "started_at": started,
        "simulated": simulated,
        "repeat": None,
        "targets": list(targets),
        "cases": list(cases),
        "planned_requests": None,
        "variants": variants,
    }
    return decode_header({**known, **{name: value for name, value in line.items() if name not in faults}})


def changes_between(old: Header, new: Header) -> dict[str, object]:
    """Return the members that a resume changes, by their stored names."""
    before, after = _STORED.encode(old), _STORED.encode(new)
    return {name: value for name, value in after.items() if name not in UNCHANGED_BY_RESUME and value != before[name]}


def apply_changes(header: Header, changes: Mapping[str, Any]) -> Header:
    """Return a header with the changes of a resume applied.

    Raises:
        ValueError: the changes do not fit a header.

    """
    if faults := _faults_of(changes):
        raise ValueError("; ".join(f"changes.{name}: {fault}" for name, fault in faults.items()))
    return decode_header({**_STORED.encode(header), **changes})

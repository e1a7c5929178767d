"""The options of a run as one value, made from the command line or Python keywords, and their checks."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from runner.core.answered_by import AnsweredByColumn
from runner.core.cluster_node import ANY_CLUSTER, ClusterOptions
from runner.core.load_profile import Arrivals, LoadProfile, RampSetting, WrongLoad
from runner.core.percentiles import PERCENTILES
from runner.core.slo import Slo
from runner.core.until_ci import UntilCi
from runner.errors import CompareError, Spelling
from runner.planning.cache_probe_suite import CACHE_WAITS

if TYPE_CHECKING:
    from runner.planning.plan import Order
    from runner.pricing.money import Money

RANGES: Mapping[str, tuple[int, int | None]] = MappingProxyType(
    {
        "concurrency": (1, 10_000),
        "repeat": (1, 1_000_000),
        "warmup_requests": (0, 1_000_000),
        "lead": (0, None),
        "max_requests": (1, 1_000_000_000),
        "workers": (1, None),
        "pairs": (1, None),
        "loads": (1, None),
        "max_tokens": (1, 10_000_000),
    }
)
"""Option -> its lowest and highest whole number; None for no upper limit."""

LEAST_LATE_BOUND_S = 0.0005

LOAD_FIELDS = tuple(spec.name for spec in fields(LoadProfile))


class NamedFolder(type(Path())):  # type: ignore[misc] # `Path` of this platform
    """A path written with a trailing slash, which names a folder whatever its suffix."""


def parse_output(text: str) -> Path:
    """Return the path of an output; a trailing slash, which `Path` drops, makes it a `NamedFolder`."""
    return NamedFolder(text) if text.endswith(("/", os.sep)) else Path(text)


def is_folder(output: Path) -> bool:
    """Return whether an output is a folder: it is written as one, or such a folder exists."""
    return isinstance(output, NamedFolder) or not output.suffix or os.path.isdir(output)  # noqa: PTH112 -- never raises


_FLAGS = {
    "models": "-m",
    "providers": "-p",
    "cases": "-k",
    "outputs": "-o",
    "env_files": "--env-file",
    "allow_hosts": "--allow-host",
    "max_requests": "--requests",
    "duration_s": "--duration",
    "levels": "--sweep",
    "spread_s": "--spread",
    "late_bound_s": "--late-bound",
    "budgets": "--budget",
    "percents": "--percentiles",
    "metrics": "--metric",
    "arms": "--ab",
    "every_s": "--every",
    "share": "--slo-share",
    "first": "--from",
}
"""Field -> command-line option, if the names differ."""

KEYWORDS = {
    "models": "targets",
    "providers": "provider",
    "cases": "case",
    "outputs": "output",
    "env_files": "env_file",
    "allow_hosts": "allow_host",
    "max_requests": "requests",
    "duration_s": "duration",
    "levels": "sweep",
    "spread_s": "spread",
    "late_bound_s": "late_bound",
    "budgets": "budget",
    "percents": "percentiles",
    "every_s": "every",
}
"""Field -> keyword of the Python functions, if the names differ."""


def spell_option(field: str, value: object = None) -> str:
    """Return an option as written on the command line: `--order blocks`."""
    name = _FLAGS.get(field) or f"--{field.replace('_', '-')}"
    return name if value is None else f"{name} {value}"


def spell_keyword(field: str, value: object = None) -> str:
    """Return an option as written in Python: `order='blocks'`; the value `N` stands for a number."""
    name = KEYWORDS.get(field, field)
    return name if value is None else f"{name}={value}" if value == "N" else f"{name}={value!r}"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run beside its suite; None keeps the suite's value or the default."""

    models: tuple[str, ...] = ()
    """Targets as provider/model, and patterns that filter the configured targets."""
    providers: tuple[str, ...] = ()
    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Parameter -> values; each value makes a variant of every target."""
    skip_missing: bool = False
    """Leave out named targets that have no key."""
    env_files: tuple[Path, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    """Hosts that a suite or a found file may send to without confirmation."""
    outputs: tuple[Path, ...] = ()
    """Paths without a suffix name the run's folder, those with one a further file."""
    bom: bool = False
    """Begin CSV files with a byte order mark."""
    reply_limit: int | None = None
    """Bytes above which a reply is aborted."""

    cases: tuple[str, ...] = ()
    """Globs of case ids; empty selects all cases."""
    repeat: int | None = None
    seed: int | None = None
    warmup_requests: int = 0

    cache_probe: bool = False
    """Repeat each request with the same beginning, which a prompt cache may hold by then."""
    cache_waits: tuple[float, ...] | None = None
    """Seconds that a cache probe waits before each of its later repetitions."""

    concurrency: int | None = None
    order: "Order | None" = None
    lead: int | None = None
    adaptive: bool | None = None
    rate: float | None = None
    arrivals: Arrivals | None = None
    duration_s: float | None = None
    max_requests: int | None = None
    ramp: RampSetting | None = None
    """Ramp over which the places of a closed loop open; by default `auto` in a sweep, else `none`."""
    levels: tuple[int, ...] | None = None
    """Concurrencies of a sweep."""
    spread_s: float | None = None
    """Seconds over which the rounds are spread; each begins at a random moment of its own part."""

    budgets: "tuple[Money, ...]" = ()
    until_ci: UntilCi | None = None
    """Stop once the median TTFT or the pass rate of every target has this precision."""
    late_bound_s: float | None = None
    """Flag rows whose timestamps may be late by more seconds than this."""
    slo: Slo | None = None
    """Durations that a request must not exceed to count as goodput."""
    estimate_tokens: bool = False
    percents: tuple[float, ...] = PERCENTILES
    """Percentiles to show beside the median; not stored in the journal."""
    by: AnsweredByColumn | None = None
    """Column that says who answered, by which tables split each target; not stored in the journal."""

    resume: Path | None = None
    """Run to resume: its folder, its journal, or `latest`. Omitted options keep their values."""
    retry_errors: bool = False
    """Send failed requests of the resumed run again."""
    record: bool = False
    """Store the bytes of every reply."""
    replay: Path | None = None
    """Recorded run whose replies are played back; no provider gets a request."""
    fast: bool = False
    """Play recorded replies as fast as possible, not at the recorded pace."""

    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    workers: int | None = None
    vantage: bool = False
    """Send everything from every node of the cluster."""

    baseline: Path | None = None
    """Run to compare with afterwards."""
    arms: tuple[str, str] | None = None
    """Two targets to send everything to; the second is compared with the first."""
    gate: bool = False
    fail_undecided: bool = False
    metrics: tuple[str, ...] = ()
    min_effect: float | None = None
    """Smallest change that matters, as a share; None for the rule's default."""
    min_pass_change: float | None = None
    """Smallest change of a pass rate that matters, as a difference of shares; None for the rule's default."""

    spell: Spelling = spell_option
    """Spells an option as the user writes it, for messages."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """The outputs that name a folder."""
        return tuple(path for path in self.outputs if is_folder(path))

    @property
    def compares(self) -> bool:
        """Whether the run is compared with a baseline, or two of its targets with each other."""
        return self.baseline is not None or self.arms is not None

    @property
    def cache_idles(self) -> tuple[float, ...]:
        """Seconds of waiting before each turn of a cache probe; empty if the run is not a cache probe."""
        return (0.0, 0.0, *(CACHE_WAITS if self.cache_waits is None else self.cache_waits)) if self.cache_probe else ()

    @property
    def load(self) -> LoadProfile:
        """The load profile.

        Raises:
            WrongLoad: a value is out of range, or two exclude each other.

        """
        return LoadProfile(**self.given_load)

    @property
    def given_load(self) -> dict[str, Any]:
        """The values of the load profile that the caller set, including those that equal the defaults.

        A sweep has a ramp by default. A header of an earlier version without a ramp stands for no ramp.
        """
        values = {name: getattr(self, name) for name in LOAD_FIELDS}
        if self.levels and self.ramp is None:
            values["ramp"] = "auto"
        return {name: value for name, value in values.items() if value is not None}

    @property
    def cluster(self) -> ClusterOptions | None:
        """Cluster whose workers send the requests; None if this machine sends them."""
        if self.engine == "local":
            return None
        return ClusterOptions(self.address or ANY_CLUSTER, self.workers, vantage=self.vantage)


def check_options(options: RunOptions) -> RunOptions:
    """Return the options if they can be used together.

    Raises:
        CompareError: options exclude each other or need another, or a value is out of range; the message names all
            such options.

    """
    problems = [sentence for applies, sentence in _PROBLEMS if applies(options)]
    try:
        _ = options.load
    except WrongLoad as wrong:
        problems.append(wrong.sentence)
    if problems:
        raise CompareError("\n".join(problems).format_map(_Spellings(options)))
    return options


class _Spellings(dict[str, object]):
    """Spellings of the options in a sentence, made on access: `{rate}`, or with a value `{order=blocks}`."""

    def __init__(self, options: RunOptions) -> None:
        super().__init__(options=options)
        self._spell = options.spell

    def __missing__(self, name: str) -> str:
        field, _, value = name.partition("=")
        return self._spell(field, value or None)


def _ends_otherwise(o: RunOptions) -> bool:
    return o.duration_s is not None or o.max_requests is not None or o.until_ci is not None


def _is_load(o: RunOptions) -> bool:
    return o.rate is not None or bool(o.levels) or o.spread_s is not None


_LOADS = "{rate}, {levels}, {spread_s}, {duration_s}, {max_requests} and {until_ci}"
_OF_A_CLUSTER = "applies to a cluster only; add {engine=ray}"
_OF_A_COMPARISON = "applies to a comparison only; add {baseline=PATH} or {arms=BASE NEW}"

_PROBLEMS: tuple[tuple[Callable[[RunOptions], bool], str], ...] = (
    (
        lambda o: o.arrivals is not None and o.rate is None and o.resume is None,
        "{arrivals} sets the intervals between the requests of {rate}; add {rate}",
    ),
    (
        lambda o: bool(o.levels and o.concurrency),
        "{levels} sets the concurrency, level by level; leave {concurrency} out",
    ),
    (
        lambda o: o.spread_s is not None and (o.rate is not None or bool(o.levels)),
        "{spread_s} pauses between rounds, {rate} and {levels} do not pause; leave {rate} and {levels} out",
    ),
    (
        lambda o: o.spread_s is not None and _ends_otherwise(o),
        "{spread_s} needs a fixed number of rounds; give {repeat=N}, and no {duration_s}, {max_requests} or {until_ci}",
    ),
    (
        lambda o: o.cache_waits is not None and not o.cache_probe,
        "{cache_waits} sets how long a cache probe waits; add {cache_probe}",
    ),
    (
        lambda o: not all(0 < wait_s < inf for wait_s in o.cache_waits or ()),
        "each pause of {cache_waits} must be more than 0 s; the first repetition is sent without a pause anyway",
    ),
    (
        lambda o: len(set(o.cache_waits or ())) < len(o.cache_waits or ()),
        "each pause of {cache_waits} is measured once; give each only once",
    ),
    (
        lambda o: o.late_bound_s is not None and not LEAST_LATE_BOUND_S <= o.late_bound_s < inf,
        "{late_bound_s} must be 0.5 ms (0.0005 s) or more",
    ),
    (
        lambda o: o.cache_probe and (_is_load(o) or _ends_otherwise(o)),
        f"{{cache_probe}} repeats requests after fixed times; give {{repeat=N}}, and leave out {_LOADS}",
    ),
    (
        lambda o: o.lead is not None and o.order not in {None, "blocks"},
        "{lead} applies to {order=blocks} only; in order {options.order}, no lane waits for another",
    ),
    (
        lambda o: o.lead is not None and o.rate is not None,
        "{rate} sets when requests start, and no lane waits for another; leave {lead} out",
    ),
    (
        lambda o: o.retry_errors and o.resume is None,
        "{retry_errors} repeats the failed requests of a run; add {resume=RUN}",
    ),
    (
        lambda o: o.fast and o.replay is None,
        "{fast} sets the pace of recorded replies; add {replay=RUN}",
    ),
    (
        lambda o: o.record and o.engine == "ray",
        "{record} stores what this machine receives; with {engine=ray}, others receive it; choose one of the two",
    ),
    (lambda o: bool(o.address) and o.engine == "local", f"{{address}} {_OF_A_CLUSTER}"),
    (lambda o: bool(o.workers) and o.engine == "local", f"{{workers}} {_OF_A_CLUSTER}"),
    (lambda o: o.vantage and o.engine == "local", f"{{vantage}} {_OF_A_CLUSTER}"),
    (
        lambda o: o.baseline is not None and o.arms is not None,
        "{baseline} compares with another run, {arms} within this one; choose one of the two",
    ),
    (
        lambda o: (o.gate or o.fail_undecided) and not o.compares,
        "a gate needs a comparison; add {baseline=PATH} or {arms=BASE NEW}",
    ),
    (lambda o: bool(o.metrics) and not o.compares, f"{{metrics}} {_OF_A_COMPARISON}"),
    (lambda o: o.min_effect is not None and not o.compares, f"{{min_effect}} {_OF_A_COMPARISON}"),
    (lambda o: o.min_pass_change is not None and not o.compares, f"{{min_pass_change}} {_OF_A_COMPARISON}"),
    (
        lambda o: o.arms is not None and bool(o.models or o.providers),
        "{arms} names the targets; leave {models} and {providers} out",
    ),
    (
        lambda o: o.arms is not None and not all("/" in arm for arm in o.arms),
        "{arms} takes two targets, each written provider/model",
    ),
)
"""Pairs of a predicate that finds a wrong value or a contradiction between options, and a sentence on it.

What is wrong with the load alone is in `LoadProfile`."""

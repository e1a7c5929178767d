"""Keyword arguments become `Options`: named as on the command line, each held to what it may be."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, get_args

from runner.commands.run.job import RunOptions
from runner.core.load import ARRIVALS, Arrivals, LoadProfile
from runner.core.percentiles import choose_percentiles
from runner.errors import CompareError, did_you_mean
from runner.planning.plan import Order
from runner.planning.targets import TargetSelection
from runner.pricing.money import Money, parse_money

Texts = str | Sequence[str]
PathName = str | PathLike[str]
Paths = PathName | Sequence[PathName]


class TargetKeywords(TypedDict, total=False):
    """Whom to ask, and where the results go."""

    targets: Texts
    """`provider/model` names a target, any model allowed; a bare pattern filters the configured ones."""
    provider: Texts
    """Only these providers."""
    skip_missing: bool
    """Leave out named targets that have no key, instead of stopping."""
    env_file: Paths
    """Read variables from these files too; the environment wins."""
    concurrency: int
    """Requests under way at each provider, 1 to 10,000; by default 4."""
    output: Paths
    """Without a suffix the run's folder, with one a further file: csv, md, json, jsonl, html, xml."""
    bom: bool
    """Begin CSV files with a byte order mark, for Excel."""


class RunKeywords(TargetKeywords, total=False):
    """What a run can be told beside what to ask."""

    case: Texts
    """Only the cases whose id fits one of these globs."""
    repeat: int
    """Ask everything so often, 1 or more, in as many shuffled blocks."""
    seed: int
    """Seed of the order; drawn, and written down, if not given."""
    warmup_requests: int
    """Requests to each target beforehand, marked and left out of every figure."""
    order: Order
    """`blocks`, `free` or `as-written`."""
    lead: int
    """Blocks by which one lane may be ahead of the slowest; by default 2."""
    adaptive: bool
    """Let a lane's limit grow while its provider keeps up."""
    rate: float
    """Conversations begun a second with each target, answered or not."""
    arrivals: Arrivals
    """How `rate` spaces them: `constant` or `poisson`."""
    duration: float
    """Seconds after which nothing more is begun."""
    requests: int
    """Ask no more than this in all."""
    sweep: Sequence[int]
    """Concurrencies to hold one after the other, such as `[1, 2, 4, 8]`."""
    budget: Texts
    """Begin nothing more when so much is spent: `"5USD"`, one for each currency."""
    until_ci: float | str
    """Go on until every median TTFT is known to this share: `0.05` or `"5%"`."""
    late_bound: float
    """Seconds by which this machine may be late on a row's stamps before the row is flagged; 0.01 if left out."""
    estimate_tokens: bool
    """Estimate tokens a second where a provider counts none."""
    percentiles: Sequence[float]
    """Percentiles to show beside the median in tables and in the report, such as `[50, 90, 99]`; by default 95."""
    resume: PathName
    """A run to go on with: its folder, or `latest`."""
    retry_errors: bool
    """With `resume`, ask again what failed."""
    record: bool
    """Keep every reply byte for byte, with the time of each read."""
    replay: PathName
    """Ask nobody: play back what was recorded in this run."""
    fast: bool
    """With `replay`, as fast as possible."""


TARGET_OPTIONS = tuple(TargetKeywords.__annotations__)
RUN_OPTIONS = tuple(RunKeywords.__annotations__)

_OF_PROMPTS = ("system", "temperature", "max_tokens", "top_p", "stop", "thinking", "extra_body")
_OTHER_NAMES = dict.fromkeys(("model", "models", "target"), "targets") | dict.fromkeys(_OF_PROMPTS, "defaults")
"""What somebody may write -> what it is called here."""


class _Wrong(Exception):
    """A value is not what its option takes; the message says what it takes."""


def read_options(given: Mapping[str, Any]) -> RunOptions:
    """Return the options that keyword arguments stand for; None is as good as not given.

    Raises:
        CompareError: a value is not what its option takes, or two exclude each other.

    """
    read = {name: _read(name, value) for name, value in given.items() if value is not None}
    _refuse_contradictions(read)
    wish = TargetSelection(
        read.get("targets", ()), read.get("provider", ()), skip_missing=read.get("skip_missing", False)
    )
    chosen = {field: read[name] for name, field in _FIELDS.items() if name in read}
    load = LoadProfile(**{field: read[name] for name, field in _LOAD_FIELDS.items() if name in read})
    return RunOptions(wish=wish, load=load, **chosen)


def refuse_unknown(given: Collection[str], known: Sequence[str], function: str) -> None:
    """Raise for the first name that a function does not know, with the name that may have been meant."""
    for name in given:
        if name not in known:
            near = _OTHER_NAMES.get(name) or did_you_mean(name, known)
            hint = f"Did you mean `{near}`?" if near in known else f"It knows {', '.join(known)}."
            raise CompareError(f"{function}() has no option `{name}`. {hint}")


def _read(name: str, value: object) -> Any:
    try:
        return _READERS[name](value)
    except _Wrong as wrong:
        raise CompareError(f"{name}={value!r}: give {wrong}") from None


def _texts(value: object) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else _items(value, "a text, or several in a list")
    if not all(isinstance(text, str) and text for text in texts):
        raise _Wrong("a text, or several in a list")
    return tuple(map(str, texts))


def _items(value: object, wanted: str) -> tuple[object, ...]:
    if isinstance(value, Mapping | bytes) or not isinstance(value, Collection):
        raise _Wrong(wanted)
    return tuple(value)


def _path(value: object) -> Path:
    if not isinstance(value, str | PathLike) or not str(value):
        raise _Wrong("a path")
    return Path(value)


def _paths(value: object) -> tuple[Path, ...]:
    paths = (value,) if isinstance(value, str | PathLike) else _items(value, "a path, or several in a list")
    return tuple(map(_path, paths))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("True or False")
    return value


def _whole(lowest: int | None, highest: int | None = None) -> Callable[[object], int]:
    to = f" to {highest:,}" if highest else " or more"
    wanted = "a whole number" if lowest is None else f"a whole number, {lowest}{to}"

    def read(value: object) -> int:
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise _Wrong(wanted) from None
        if isinstance(value, bool) or (lowest is not None and number < lowest) or (highest and number > highest):
            raise _Wrong(wanted)
        return number

    return read


def _positive(value: object) -> float:
    try:
        number = float(value) if not isinstance(value, bool | str) else 0.0  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < inf:
        raise _Wrong("a number above 0")
    return number


def _seconds(value: object) -> float:
    try:
        return _positive(value)
    except _Wrong:
        raise _Wrong("seconds, a number above 0") from None


def _one_of(*known: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            near = did_you_mean(str(value), known)
            raise _Wrong(f"one of {', '.join(known)}" + (f". Did you mean `{near}`?" if near else ""))
        return value

    return read


def _levels(value: object) -> tuple[int, ...]:
    return tuple(map(_whole(1), _items(value, "a list of whole numbers, such as [1, 2, 4, 8]")))


def _percentiles(value: object) -> tuple[float, ...]:
    return choose_percentiles(_items(value, "a list of numbers, such as [50, 90, 99]"))


def _budgets(value: object) -> tuple[Money, ...]:
    return tuple(map(parse_money, _texts(value)))


def _share(value: object) -> float:
    if isinstance(value, str):
        from runner.commands.run.stop_rules import parse_share  # noqa: PLC0415 -- brings numpy

        return parse_share(value)
    if _positive(value) > 1:
        raise _Wrong("a share such as 0.05 or '5%'")
    return _positive(value)


_READERS: Mapping[str, Callable[[object], object]] = {
    "targets": _texts,
    "provider": _texts,
    "skip_missing": _flag,
    "env_file": _paths,
    "concurrency": _whole(1, 10_000),
    "output": _paths,
    "bom": _flag,
    "case": _texts,
    "repeat": _whole(1),
    "seed": _whole(None),
    "warmup_requests": _whole(0),
    "order": _one_of(*get_args(Order)),
    "lead": _whole(0),
    "adaptive": _flag,
    "rate": _positive,
    "arrivals": _one_of(*ARRIVALS),
    "duration": _seconds,
    "requests": _whole(1),
    "sweep": _levels,
    "budget": _budgets,
    "until_ci": _share,
    "late_bound": _seconds,
    "estimate_tokens": _flag,
    "percentiles": _percentiles,
    "resume": _path,
    "retry_errors": _flag,
    "record": _flag,
    "replay": _path,
    "fast": _flag,
}

_FIELDS = {
    "env_file": "env_files",
    "output": "outputs",
    "case": "cases",
    "budget": "budgets",
    "late_bound": "late_bound_s",
    "percentiles": "percents",
    **{name: name for name in ("concurrency", "bom", "repeat", "seed", "warmup_requests", "order", "until_ci")},
    **{name: name for name in ("estimate_tokens", "resume", "retry_errors", "record", "replay", "fast")},
}
"""Our name -> the field of `Options`."""

_LOAD_FIELDS = {
    **{name: name for name in ("lead", "adaptive", "rate", "arrivals")},
    "duration": "duration_s",
    "requests": "max_requests",
    "sweep": "levels",
}
"""Our name -> the field of `Load`."""


def _refuse_contradictions(read: Mapping[str, Any]) -> None:
    if "arrivals" in read and "rate" not in read:
        raise CompareError("arrivals says how rate spaces requests; give rate, too")
    if "sweep" in read and "concurrency" in read:
        raise CompareError("sweep sets the concurrency, level by level; leave concurrency out")
    if "lead" in read and read.get("order", "blocks") != "blocks":
        raise CompareError(f"lead holds for order='blocks'; with {read['order']} nobody waits")

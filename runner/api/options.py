"""Read keyword arguments, named as on the command line, as `RunOptions`, and check each value."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

from runner.commands.run.options import (
    KEYWORDS,
    RANGES,
    RunOptions,
    check_options,
    parse_output,
    spell_keyword,
)
from runner.core.answered_by import AnsweredByColumn
from runner.core.load_profile import ARRIVALS, Arrivals, RampSetting
from runner.core.percentiles import choose_percentiles
from runner.core.quantities import parse_share
from runner.core.slo import Slo, parse_slo
from runner.core.suite import HIGHEST_TEMPERATURE, parse_reply_limit
from runner.core.until_ci import UntilCi, parse_until_ci
from runner.errors import CompareError, closest_word, did_you_mean, suggest
from runner.planning.plan import Order
from runner.pricing.money import Money, parse_money

Texts = str | Sequence[str]
PathName = str | PathLike[str]
Paths = PathName | Sequence[PathName]


class TargetKeywords(TypedDict, total=False):
    """Options that select targets and outputs."""

    targets: Texts
    """`provider/model` names a target with any model, `provider/model#variant` one of its variants; a pattern without a
    slash filters the configured targets."""
    provider: Texts
    """Only these providers."""
    vary: Mapping[str, Sequence[Any]]
    """Parameter -> values; each value makes a variant of every target: `{"thinking": ["off", "high"]}`."""
    skip_missing: bool
    """Leave out named targets that have no key, instead of stopping."""
    env_file: Paths
    """Read variables from these files as well; the environment takes precedence."""
    allow_host: Texts
    """Hosts, such as `"llm.example.com"`, that a suite or a compare.yaml or .env found beside it may send to."""
    concurrency: int
    """Requests in flight per provider, 1 to 10,000; by default 4."""
    output: Paths
    """A path without a suffix is the run's folder; with one of csv, md, json, jsonl, html, xml, parquet, prom it is a
    further file."""
    bom: bool
    """Begin CSV files with a byte order mark, for Excel."""
    reply_limit: int | str
    """Abort a reply larger than this: bytes, or a size such as `"32MiB"`; by default 16 MiB."""


class RunKeywords(TargetKeywords, total=False):
    """The options of `run`, apart from its arguments."""

    case: Texts
    """Send only the cases whose id matches one of these globs."""
    repeat: int
    """Number of shuffled rounds, each of which sends everything once; 1 or more."""
    seed: int
    """Seed of the order; by default random, and stored in the run."""
    warmup_requests: int
    """Number of requests to send to each target first; they are marked, and excluded from every figure."""
    cache_probe: bool
    """Start each case's prompt with text that no prompt cache holds; repeat the request at once and after pauses."""
    cache_waits: Sequence[float]
    """With `cache_probe`, the seconds to wait before each further repetition; by default [60, 300]."""
    order: Order
    """`blocks`, `free` or `as-written`."""
    lead: int
    """Number of rounds that a lane may be ahead of the slowest one; by default all targets of a case start together."""
    adaptive: bool
    """Raise a lane's limit while its provider keeps up."""
    rate: float
    """Open loop: conversations to start per second with each target, whether or not earlier ones have ended."""
    arrivals: Arrivals
    """Spacing of the conversations that `rate` starts: `constant` or `poisson`."""
    duration: float
    """Seconds after which no request starts."""
    spread: float
    """Seconds over which the rounds are spread; each begins at a random moment of its own part."""
    requests: int
    """Total number of requests after which the run ends."""
    ramp: float | Literal["auto", "none"]
    """Seconds over which the places in flight open one by one. `"auto"`, the default with `sweep`, takes the mean
    duration of a conversation; `"none"` opens all at once. In a sweep, only the places that a level adds open."""
    sweep: Sequence[int]
    """Concurrencies to measure one after the other, such as `[1, 2, 4, 8]`."""
    budget: Texts
    """Stop starting requests once this much is spent: `"5USD"`, or a list with one sum per currency."""
    until_ci: float | str | Mapping[str, float]
    """Repeat rounds until the 95 % interval of every median TTFT is within this share of it: `0.05` or `"5%"`."""
    late_bound: float
    """Flag rows whose timestamps may be late by more than this, in seconds; by default 0.01."""
    slo: str | Mapping[str, float]
    """Durations that a request must not exceed to count as goodput: `"ttft=800ms,tpot=50ms"`, or seconds by name,
    `{"ttft": 0.8, "tpot": 0.05}`."""
    estimate_tokens: bool
    """Estimate tokens per second where a provider reports no token counts."""
    percentiles: Sequence[float]
    """Percentiles to show beside the median in tables and in the report, such as `[50, 90, 99]`; by default 95."""
    by: AnsweredByColumn
    """Column that says who answered, such as `"served_by"`; tables and the report split each target by it."""
    resume: PathName
    """A run to resume: its folder, or `latest`. Options you omit keep their values."""
    retry_errors: bool
    """With `resume`, send failed requests again."""
    record: bool
    """Keep every reply byte for byte, with the time of each read."""
    replay: PathName
    """A recorded run whose replies are played back; nothing is sent to a provider."""
    fast: bool
    """With `replay`, play replies as fast as possible."""


TARGET_OPTIONS = tuple(TargetKeywords.__annotations__)
RUN_OPTIONS = tuple(RunKeywords.__annotations__)

_OF_PROMPTS = ("system", "temperature", "max_tokens", "top_p", "stop", "thinking", "extra_body")
_SYNONYMS = dict.fromkeys(("model", "models", "target"), "targets") | dict.fromkeys(_OF_PROMPTS, "defaults")
_SYNONYMS |= dict.fromkeys(("attached", "attachments", "file", "files", "image", "images", "audio"), "attach")
"""Name that a user may write -> the option that was probably meant."""


class _WrongValue(Exception):
    """A value that its option does not accept; the message says what it accepts."""


def read_options(given: Mapping[str, Any]) -> RunOptions:
    """Return the options that keyword arguments set. None counts as not given.

    Raises:
        CompareError: an option does not accept its value, or two options exclude each other.

    """
    fields = {_FIELDS.get(name, name): value for name, value in read_values(given).items()}
    return check_options(RunOptions(**fields, spell=spell_keyword))


def read_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of keyword arguments by keyword, as the commands take them. None counts as not given.

    Raises:
        CompareError: an option does not accept its value.

    """
    return {name: _read_value(name, value) for name, value in given.items() if value is not None}


def refuse_unknown(given: Collection[str], known: Sequence[str], function: str) -> None:
    """Raise CompareError for the first option that a function does not have, and suggest the closest one."""
    for name in given:
        if name not in known:
            near = _SYNONYMS.get(name) or closest_word(name, known)
            hint = suggest(near) if near and near in known else f"It knows {', '.join(known)}."
            raise CompareError(f"{function}() has no option `{name}`. {hint}")


def _read_value(name: str, value: object) -> Any:
    try:
        return _READERS[name](value)
    except _WrongValue as wrong:
        raise CompareError(f"{name}={value!r}: give {wrong}") from None


def _text_or_texts(value: object) -> tuple[str, ...]:
    """Return a text, or each text of a list, as a tuple."""
    texts = (value,) if isinstance(value, str) else _items(value, "a text, or several in a list")
    if not all(isinstance(text, str) and text for text in texts):
        raise _WrongValue("a text, or several in a list")
    return tuple(map(str, texts))


def _items(value: object, wanted: str) -> tuple[object, ...]:
    if isinstance(value, Mapping | bytes) or not isinstance(value, Collection):
        raise _WrongValue(wanted)
    return tuple(value)


def _path(value: object) -> Path:
    if not isinstance(value, str | PathLike) or not str(value):
        raise _WrongValue("a path")
    return Path(value)


def _paths(value: object) -> tuple[Path, ...]:
    paths = (value,) if isinstance(value, str | PathLike) else _items(value, "a path, or several in a list")
    return tuple(map(_path, paths))


def _outputs(value: object) -> tuple[Path, ...]:
    paths = (value,) if isinstance(value, str | PathLike) else _items(value, "a path, or several in a list")
    return tuple(parse_output(path) if isinstance(path, str) and path else _path(path) for path in paths)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongValue("True or False")
    return value


def _whole(lowest: int | None, highest: int | None = None) -> Callable[[object], int]:
    to = f" to {highest:,}" if highest else " or more"
    wanted = "a whole number" if lowest is None else f"a whole number, {lowest}{to}"

    def read(value: object) -> int:
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise _WrongValue(wanted) from None
        if isinstance(value, bool) or (lowest is not None and number < lowest) or (highest and number > highest):
            raise _WrongValue(wanted)
        return number

    return read


def _positive(value: object) -> float:
    try:
        number = float(value) if not isinstance(value, bool | str) else 0.0  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < inf:
        raise _WrongValue("a number above 0")
    return number


def _seconds(value: object) -> float:
    try:
        return _positive(value)
    except _WrongValue:
        raise _WrongValue("seconds, a number above 0") from None


def _temperature(value: object) -> float:
    try:
        number = float(value) if not isinstance(value, bool | str) else -1.0  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= HIGHEST_TEMPERATURE:
        raise _WrongValue(f"a number from 0 to {HIGHEST_TEMPERATURE}")
    return number


def _one_of(*known: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise _WrongValue(f"one of {', '.join(known)}. {did_you_mean(str(value), known)}".removesuffix(". "))
        return value

    return read


def _vary(value: object) -> dict[str, tuple[object, ...]]:
    wanted = 'parameters with lists of values, such as {"thinking": ["off", "high"]}'
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _WrongValue(wanted)
    axes = {name: () if isinstance(values, str) else _items(values, wanted) for name, values in value.items()}
    if not all(axes.values()):
        raise _WrongValue(wanted)
    return {name: tuple(map(_plain, values)) for name, values in axes.items()}


def _plain(value: object) -> object:
    """Return a plain Python value, also for a numpy number."""
    return value.item() if hasattr(value, "item") else value


def _ramp(value: object) -> RampSetting:
    if isinstance(value, str) and value not in {"auto", "none"}:
        raise _WrongValue("a number of seconds, 'auto' or 'none'")
    return cast("RampSetting", value) if isinstance(value, str) else _seconds(value)


def _levels(value: object) -> tuple[int, ...]:
    return tuple(map(_whole(1), _items(value, "a list of whole numbers, such as [1, 2, 4, 8]")))


def _waits(value: object) -> tuple[float, ...]:
    return tuple(map(_seconds, _items(value, "a list of seconds, such as [60, 300]")))


def _percentiles(value: object) -> tuple[float, ...]:
    return choose_percentiles(_items(value, "a list of numbers, such as [50, 90, 99]"))


def _budgets(value: object) -> tuple[Money, ...]:
    return tuple(map(parse_money, _text_or_texts(value)))


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _WrongValue("bytes, or a size such as '32MiB'")
    try:
        return parse_reply_limit(str(value))
    except ValueError:
        raise _WrongValue("a size up to 64 MiB: bytes, or a text such as '32MiB'") from None


def _share(value: object) -> float:
    if isinstance(value, str):
        return parse_share(value)
    if _positive(value) > 1:
        raise _WrongValue("a share such as 0.05 or '5%'")
    return _positive(value)


def _until_ci(value: object) -> UntilCi:
    if isinstance(value, str):
        return parse_until_ci(value)
    if isinstance(value, Mapping):
        return parse_until_ci(",".join(f"{name}={100 * _share(share):.9f}%" for name, share in value.items()))
    return UntilCi(ttft=_share(value))


def read_slo(value: object) -> Slo:
    """Return the SLO that a text or a mapping sets.

    Raises:
        CompareError: the value is not an SLO.

    """
    if isinstance(value, str):
        return parse_slo(value)
    if not isinstance(value, Mapping):
        raise _WrongValue("a text such as 'ttft=800ms,total=10s', or seconds by name, such as {'ttft': 0.8}")
    return parse_slo(",".join(f"{name}={_seconds(seconds):.9f}s" for name, seconds in value.items()))


_READERS: Mapping[str, Callable[[object], object]] = {
    "targets": _text_or_texts,
    "provider": _text_or_texts,
    "vary": _vary,
    "skip_missing": _flag,
    "env_file": _paths,
    "allow_host": _text_or_texts,
    "concurrency": _whole(*RANGES["concurrency"]),
    "output": _outputs,
    "bom": _flag,
    "reply_limit": _size,
    "case": _text_or_texts,
    "repeat": _whole(*RANGES["repeat"]),
    "seed": _whole(None),
    "warmup_requests": _whole(*RANGES["warmup_requests"]),
    "cache_probe": _flag,
    "cache_waits": _waits,
    "order": _one_of(*get_args(Order)),
    "lead": _whole(*RANGES["lead"]),
    "adaptive": _flag,
    "rate": _positive,
    "arrivals": _one_of(*ARRIVALS),
    "duration": _seconds,
    "spread": _seconds,
    "requests": _whole(*RANGES["max_requests"]),
    "ramp": _ramp,
    "sweep": _levels,
    "budget": _budgets,
    "until_ci": _until_ci,
    "late_bound": _seconds,
    "slo": read_slo,
    "estimate_tokens": _flag,
    "percentiles": _percentiles,
    "by": _one_of(*get_args(AnsweredByColumn)),
    "resume": _path,
    "retry_errors": _flag,
    "record": _flag,
    "replay": _path,
    "fast": _flag,
    "share": _share,
    "first": _positive,
    "most": _positive,
    "loads": _whole(*RANGES["loads"]),
    "pairs": _whole(*RANGES["pairs"]),
    "max_tokens": _whole(*RANGES["max_tokens"]),
    "temperature": _temperature,
    "every": _seconds,
    "until": _seconds,
}

_FIELDS = {keyword: field for field, keyword in KEYWORDS.items()}
"""Keyword -> field of `RunOptions`, where the name differs."""

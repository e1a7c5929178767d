"""Read keyword arguments, named as on the command line, as `RunOptions`, and check each value."""

import operator
from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, cast, get_args

from runner.analysis.diff_measures import choose_measures
from runner.commands.run.options import (
    KEYWORDS,
    RANGES,
    RunOptions,
    check_options,
    parse_output,
    spell_keyword,
)
from runner.core.answered_by import AnsweredByColumn
from runner.core.durations_and_shares import LONGEST_S, parse_share
from runner.core.load_profile import ARRIVALS, RampSetting
from runner.core.percentiles import choose_percentiles
from runner.core.slo import Slo, parse_slo
from runner.core.suite import MAX_TEMPERATURE, parse_reply_limit
from runner.core.until_ci import UntilCi, parse_until_ci
from runner.errors import CompareError, ErrorCollector, did_you_mean
from runner.planning.plan import Order
from runner.pricing.money import Money, parse_money


class _WrongValue(Exception):
    """A value that its option does not accept; the message says what it accepts."""


def read_options(given: Mapping[str, Any]) -> RunOptions:
    """Return the options that keyword arguments set. None counts as not given.

    Raises:
        CompareError: an option does not accept its value, or two options exclude each other.

    """
    fields = {_FIELDS.get(name, name): value for name, value in read_values(given).items()}
    return check_options(RunOptions(**fields, spell=spell_keyword))


def read_values(given: Mapping[str, Any], *, required: Collection[str] = ()) -> dict[str, Any]:
    """Return the values of keyword arguments by keyword, as the commands take them.

    None counts as not given, and is refused for a required one.

    Raises:
        CompareError: options do not accept their values; the message names all of them.

    """
    errors = ErrorCollector()
    values = {
        name: errors.attempt(read_value, name, value)
        for name, value in given.items()
        if value is not None or name in required
    }
    errors.raise_collected()
    return values


def read_value(name: str, value: object) -> Any:
    """Return the value of one keyword argument, as the commands take it.

    Raises:
        CompareError: the option does not accept the value, which may be None.

    """
    try:
        return _READERS[name](value)
    except _WrongValue as wrong:
        raise CompareError(f"{name}={value!r}: give {wrong}") from None
    except CompareError as error:
        raise CompareError(f"{name}={value!r}: {str(error).removeprefix(f'{name}: ')}") from None


def _text_or_texts(value: object) -> tuple[str, ...]:
    """Return a text, or each text of a list, as a tuple."""
    texts = (value,) if isinstance(value, str) else _items(value, "a text, or several in a list")
    if not all(isinstance(text, str) and text for text in texts):
        raise _WrongValue("a text, or several in a list")
    return tuple(map(str, texts))


def _selection(value: object) -> tuple[str, ...]:
    """Return texts that select something; an empty list must not stand for everything."""
    texts = _text_or_texts(value)
    if not texts:
        raise _WrongValue("one or more; leave it out for all")
    return texts


def _items(value: object, wanted: str) -> tuple[object, ...]:
    if isinstance(value, Mapping | bytes | str) or not isinstance(value, Collection):
        raise _WrongValue(wanted)
    return tuple(value)


def _instance_of(*types: type, wanted: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, types):
            raise _WrongValue(wanted)
        return value

    return read


_flag = _instance_of(bool, wanted="True or False")


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


def _number(value: object) -> float | None:
    """Return a number, also of numpy, as a float; None for any other value."""
    try:
        return None if isinstance(value, bool | str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _positive(value: object, wanted: str = "a number above 0") -> float:
    number = _number(value)
    if number is None or not 0 < number < inf:
        raise _WrongValue(wanted)
    return number


def _seconds(value: object) -> float:
    seconds = _positive(value, "seconds, a number above 0")
    if seconds > LONGEST_S:
        raise _WrongValue(f"at most {LONGEST_S:,.0f} seconds, a century")
    return seconds


def _temperature(value: object) -> float:
    number = _number(value)
    if number is None or not 0 <= number <= MAX_TEMPERATURE:
        raise _WrongValue(f"a number from 0 to {MAX_TEMPERATURE}")
    return number


def _one_of(*known: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise _WrongValue(f"one of {', '.join(known)}. {did_you_mean(str(value), known)}".removesuffix(". "))
        return value

    return read


def _pair(*such: str) -> Callable[[object], tuple[str, str]]:
    def read(value: object) -> tuple[str, str]:
        if not isinstance(value, list | tuple) or len(value) != 2 or not all(isinstance(name, str) for name in value):
            raise _WrongValue(f"two names, such as {such!r}")
        return value[0], value[1]

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


def _metrics(value: object) -> tuple[str, ...]:
    names = _text_or_texts(value)
    choose_measures(names)  # its error then names the keyword
    return names


def _budgets(value: object) -> tuple[Money, ...]:
    return tuple(map(parse_money, _text_or_texts(value)))


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _WrongValue("bytes, or a size such as '32MiB'")
    try:
        return parse_reply_limit(str(value))
    except ValueError:
        raise _WrongValue("a size up to 64 MiB: bytes, or a text such as '32MiB'") from None


def _share(value: object, most: float = 1.0) -> float:
    return parse_share(str(value), most)


def _until_ci(value: object) -> UntilCi:
    if isinstance(value, str):
        return parse_until_ci(value)
    if isinstance(value, Mapping):
        return parse_until_ci(",".join(f"{name}={100 * _share(share):.9f}%" for name, share in value.items()))
    return UntilCi(ttft=_share(value))


def _slo(value: object) -> Slo:
    if isinstance(value, str):
        return parse_slo(value)
    if not isinstance(value, Mapping) or not value:
        raise _WrongValue("a text such as 'ttft=800ms,total=10s', or seconds by name, such as {'ttft': 0.8}")
    return parse_slo(",".join(f"{name}={_seconds(seconds):.9f}s" for name, seconds in value.items()))


_READERS: Mapping[str, Callable[[object], object]] = {
    "targets": _selection,
    "provider": _selection,
    "vary": _vary,
    "skip_missing": _flag,
    "env_file": _paths,
    "allow_host": _text_or_texts,
    "concurrency": _whole(*RANGES["concurrency"]),
    "output": _outputs,
    "bom": _flag,
    "reply_limit": _size,
    "case": _selection,
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
    "slo": _slo,
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
    "load": _one_of("concurrency", "rate"),
    "every": _seconds,
    "suite": _path,
    "folder": _path,
    "files": _paths,
    "defaults": _instance_of(Mapping, wanted="a mapping, such as {'max_tokens': 200}"),
    "judge": _instance_of(
        str, Mapping, wanted="a judge as 'provider/model', or a mapping with `target` and parameters"
    ),
    "metric": _metrics,
    "metrics": _metrics,
    "alpha": _positive,
    "min_effect": partial(_share, most=10.0),
    "min_pass_change": _share,
    "between": _pair("sim/quick", "sim/steady"),
    "between_regions": _pair("north", "south"),
    "until": _seconds,
}

_FIELDS = {keyword: field for field, keyword in KEYWORDS.items()}
"""Keyword -> field of `RunOptions`, where the name differs."""

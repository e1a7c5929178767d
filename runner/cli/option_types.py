"""Types of the values of options."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runner.commands.run.options import RANGES, parse_output, parse_share
from runner.errors import CompareError

if TYPE_CHECKING:
    from runner.pricing.money import Money

Value = TypeVar("Value")
UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class DurationParam(click.ParamType[float]):
    """A duration: a number with a unit, or a number of seconds unless a unit is required."""

    name = "duration"

    def __init__(self, *, needs_unit: bool = False) -> None:
        """Require a unit with `needs_unit`, where a bare number could mean minutes or days."""
        self._needs_unit = needs_unit

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the duration in seconds."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d|)", str(value))
        if found is None:
            self.fail(f"{value!r} is not a duration; write 30s, 5m, 1h or 7d", param, ctx)
        if self._needs_unit and not found[2]:
            self.fail(f"{value!r} has no unit; write {value}s, {value}m, {value}h or {value}d", param, ctx)
        return float(found[1]) * UNITS_S[found[2]]


class RampParam(DurationParam):
    """A duration, `auto` or `none`."""

    name = "ramp"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the duration in seconds, or the word."""
        if value in {"auto", "none"}:
            return value
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a ramp; write a duration such as 2s, auto or none", param, ctx)


class OutputParam(click.Path):
    """A path of an output; see `parse_output` for a trailing slash."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        checked = super().convert(value, param, ctx)
        return parse_output(value) if isinstance(value, str) else checked


class LevelsParam(click.ParamType[tuple[int, ...]]):
    """Whole numbers separated by commas."""

    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the levels in the given order."""
        if not re.fullmatch(r" *[0-9]+ *(, *[0-9]+ *)*", str(value)):
            self.fail(f"{value!r} is not a list of levels; write 1,2,4,8", param, ctx)
        return tuple(int(level) for level in str(value).split(","))


class EffectParam(click.ParamType[float]):
    """A share, as a number or as a percentage."""

    name = "effect"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share: 0.1 for `10%` and for `0.1`."""
        text = str(value)
        try:
            return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
        except ValueError:
            self.fail(f"{text!r} is neither a share nor a percentage", param, ctx)


class ParsedParam(click.ParamType[Value]):
    """A value that a function parses from a text; the function raises CompareError or ValueError for a wrong one."""

    def __init__(self, name: str, parse: Callable[[str], Value]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Value:
        """Return the value."""
        try:
            return self._parse(str(value))
        except (CompareError, ValueError) as error:
            self.fail(str(error), param, ctx)


def _parse_money(text: str) -> "Money":
    from runner.pricing.money import parse_money  # brings decimal

    return parse_money(text)


MONEY = ParsedParam("sum", _parse_money)
SHARE = ParsedParam("share", parse_share)


def whole_number(field: str) -> click.IntRange:
    """Return the type of a whole-number field of `RunOptions`, with its range."""
    return click.IntRange(*RANGES[field])


class WaitsParam(click.ParamType[tuple[float, ...]]):
    """Durations with units, separated by commas."""

    name = "waits"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the durations in seconds, in the given order."""
        duration = DurationParam(needs_unit=True)
        return tuple(duration.convert(each.strip(), param, ctx) for each in str(value).split(","))

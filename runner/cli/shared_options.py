"""Arguments and options that several commands share, the types of their values, and a decorator that collects options.

`collect` makes one typed value of several options.
"""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
from click.core import ParameterSource

from runner.cli.completion import Complete, complete_metrics, complete_runs
from runner.commands.run.options import RANGES, parse_output
from runner.core.answered_by import AnsweredByColumn
from runner.core.durations_and_shares import parse_duration, parse_share
from runner.core.percentiles import PERCENTILES, parse_percentiles
from runner.core.slo import parse_slo
from runner.errors import CompareError
from runner.outputs.text.translation import languages

if TYPE_CHECKING:
    from runner.pricing.money import Money

Command = Callable[..., None]
Decorator = Callable[[Command], Command]
Value = TypeVar("Value")


# Types of values


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


class NumberParam(click.FloatRange):
    """A finite number in a range; unlike the range of click, it refuses `nan`, which is neither below nor above any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number

    def _describe_range(self) -> str:
        """Return the range for a help page; nothing if there is none."""
        return "" if self.min is self.max is None else super()._describe_range()


class OutputParam(click.Path):
    """A path of an output; see `parse_output` for a trailing slash."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        checked = super().convert(value, param, ctx)
        return parse_output(value) if isinstance(value, str) else checked


def whole_number(field: str) -> click.IntRange:
    """Return the type of a whole-number field of `RunOptions`, with its range."""
    return click.IntRange(*RANGES[field])


def _parse_money(text: str) -> "Money":
    from runner.pricing.money import parse_money  # brings decimal

    return parse_money(text)


SHARE = ParsedParam("share", parse_share)
DURATION = ParsedParam("duration", parse_duration)
DURATION_WITH_UNIT = ParsedParam("duration", partial(parse_duration, needs_unit=True))
"""A duration, where a bare number could mean minutes or days."""


# Arguments and options


suite_argument = click.argument("suite", type=click.Path(path_type=Path))

run_argument = click.argument("run", type=click.Path(path_type=Path), shell_complete=complete_runs)

folder_argument = click.argument("folder", required=False, type=click.Path(path_type=Path))

env_file_option = click.option(
    "--env-file",
    "env_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read variables from a file as well as from the nearest .env; the environment takes precedence.",
)

allow_host_option = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST",
    help="Allow a suite, or a compare.yaml or .env found beside it, to send to this host without confirmation.",
)

percentiles_option = click.option(
    "--percentiles",
    "percents",
    type=ParsedParam("list", parse_percentiles),
    callback=lambda _, __, percents: PERCENTILES if percents is None else percents,
    metavar="LIST",
    help="Percentiles to show beside the median, such as 50,90,99 (default 95).",
)

slo_option = click.option(
    "--slo",
    type=ParsedParam("slo", parse_slo),
    metavar="NAME=TIME,...",
    help="Durations that a request must not exceed, such as ttft=800ms,tpot=50ms,total=10s; shows the share of "
    "requests that meet them, and how many do so per second (goodput).",
)

by_option = click.option(
    "--by",
    type=click.Choice(get_args(AnsweredByColumn)),
    help="Split each target in tables and the report by who answered, such as the vendor behind a router.",
)


def outputs_option(help_: str) -> Decorator:
    """Return the repeatable option that names further files to write; `help_` names their formats."""
    return click.option(
        "-o", "--output", "outputs", multiple=True, type=click.Path(path_type=Path), metavar="PATH", help=help_
    )


def output_option(
    help_: str, metavar: str = "FILE", type_: click.ParamType[Any] | None = None, *, folders: bool = True
) -> Decorator:
    """Return the option that names one file or folder to write; a second one is refused."""
    kind = type_ or click.Path(path_type=Path, dir_okay=folders)
    return click.option(
        "-o", "--output", multiple=True, type=kind, metavar=metavar, help=help_, callback=_take_only_one
    )


def _take_only_one(_: click.Context, param: click.Parameter, given: Sequence[Path]) -> Path | None:
    if len(given) > 1:
        raise click.BadParameter(f"{' and '.join(map(str, given))} are both named; one is written", param=param)
    return given[0] if given else None


def run_option(*names: str, help_: str, metavar: str = "RUN") -> Decorator:
    """Return an option that names a run, or an alternative to one."""
    return click.option(
        *names, type=click.Path(path_type=Path), metavar=metavar, shell_complete=complete_runs, help=help_
    )


def metric_option(help_: str, complete: Complete = complete_metrics) -> Decorator:
    """Return the repeatable option that names measures; `complete` offers those that the command takes."""
    return click.option("--metric", "metrics", multiple=True, metavar="NAME", shell_complete=complete, help=help_)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

budget_option = click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=ParsedParam("sum", _parse_money),
    metavar="SUM",
    help="Stop starting requests once this much is spent: 5USD. Repeatable, one per currency.",
)

color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Coloured output; auto obeys NO_COLOR and FORCE_COLOR.",
)

language_option = click.option(
    "--lang",
    "language",
    type=click.Choice(languages()),
    help="Language of the page (default: that of LC_ALL, LC_MESSAGES or LANG, else English). The page has a switch.",
)

open_option = click.option("--open", "launch", is_flag=True, help="Open the report in a browser.")

gate_option = click.option("--gate", is_flag=True, help="Exit with 1 if anything regressed.")

fail_undecided_option = click.option(
    "--fail-undecided", is_flag=True, help="Like --gate, and also exit with 5 if anything is undecided."
)

min_effect_option = click.option(
    "--min-effect",
    type=ParsedParam("share", partial(parse_share, most=10.0)),
    metavar="SHARE",
    help="Smallest change that matters: 10% (default) or 0.1.",
)

min_pass_change_option = click.option(
    "--min-pass-change",
    type=SHARE,
    metavar="SHARE",
    help="Smallest change of a pass rate that matters, in points: 5% (default) or 0.05.",
)


# Decorator


def collect(parameter: str, make: Callable[..., object], options: Sequence[Decorator]) -> Decorator:
    """Return a decorator that adds options to a command, which gets one value made from them.

    Args:
        parameter: the command's parameter for the value.
        make: called with the options' values as keyword arguments when the command runs, so it can import lazily.
        options: the options to add.

    """
    names = _names_of(options)

    def decorate(command: Command) -> Command:
        @wraps(command)
        def call(**values: Any) -> None:
            made = make(**{name: values.pop(name) for name in names})
            command(**values, **{parameter: made})

        decorated: Command = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def _names_of(options: Sequence[Decorator]) -> list[str]:
    """Return the parameter names of options."""
    decorated: Command = lambda: None  # noqa: E731
    for option in options:
        decorated = option(decorated)
    return [option.name for option in getattr(decorated, "__click_params__", ())]


def is_given(name: str) -> bool:
    """Return whether the user set an option of the running command, even if to its default."""
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT

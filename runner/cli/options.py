"""Options that several commands share, and the decorators by which a command gets their values as one typed value."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from runner.cli.completion import complete_cases, complete_providers, complete_targets
from runner.cli.option_types import (
    MONEY,
    DurationParam,
    EffectParam,
    LevelsParam,
    OutputParam,
    ParsedParam,
    RampParam,
    WaitsParam,
    whole_number,
)
from runner.commands.run.options import RunOptions, check_options, spell_option
from runner.core.answered_by import AnsweredByColumn
from runner.core.load_profile import ARRIVALS
from runner.core.percentiles import PERCENTILES, parse_percentiles
from runner.core.slo import parse_slo
from runner.core.suite import parse_reply_limit
from runner.errors import CompareError
from runner.outputs.text.language import languages

Command = Callable[..., None]
Decorator = Callable[[Command], Command]


def _parse_vary(text: str) -> tuple[str, tuple[Any, ...]]:
    from runner.suite.vary_targets import parse_vary  # noqa: PLC0415 -- brings pydantic and the YAML reader

    return parse_vary(text)


def _join_vary(
    _: click.Context, param: click.Parameter, given: Sequence[tuple[str, tuple[Any, ...]]]
) -> dict[str, tuple[Any, ...]]:
    names = [name for name, _ in given]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise click.BadParameter(f"{repeated} is given twice; write all its values in one list", param=param)
    return dict(given)


# Groups of options


env_file_option = click.option(
    "--env-file",
    "env_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read variables from a file; the nearest .env is read anyway, the environment wins.",
)

allow_host_option = click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST",
    help="Let a suite, or a compare.yaml or .env found beside it, send to this host without a question.",
)

TARGETS = (
    click.option(
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_targets,
        help="provider/model names a target, any model name allowed, and provider/model#variant one of its variants; "
        "a bare pattern filters the configured ones.",
    ),
    click.option(
        "-p",
        "--provider",
        "providers",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_providers,
        help="Only these providers; a name or pattern.",
    ),
    click.option(
        "--vary",
        "vary",
        multiple=True,
        type=ParsedParam("vary", _parse_vary),
        callback=_join_vary,
        metavar="NAME=VALUE,...",
        help="Ask every target with each of these values of a parameter, as targets of their own: thinking=off,high. "
        "Repeatable: all combinations.",
    ),
    click.option("--skip-missing", is_flag=True, help="Leave out named targets that have no key, instead of stopping."),
    env_file_option,
    allow_host_option,
    click.option(
        "--concurrency",
        type=whole_number("concurrency"),
        metavar="N",
        help="Requests in flight per provider (default 4).",
    ),
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        type=OutputParam(path_type=Path),
        metavar="PATH",
        help="Without a suffix, or with a slash at its end, the run's folder; with a suffix (csv, md, json, jsonl, "
        "html, xml, parquet, prom) a further output.",
    ),
    click.option("--bom", is_flag=True, help="Begin CSV files with a byte order mark, for Excel."),
    click.option(
        "--reply-limit",
        type=ParsedParam("size", parse_reply_limit),
        metavar="SIZE",
        help="Give up a reply that is larger than this: 500kB, 32MiB (default 16MiB).",
    ),
)
"""Which targets to ask, and where the results go."""

REPEATS = (
    click.option(
        "-k",
        "--case",
        "cases",
        multiple=True,
        metavar="GLOB",
        shell_complete=complete_cases,
        help="Only the cases whose id fits.",
    ),
    click.option(
        "--repeat", type=whole_number("repeat"), metavar="N", help="Ask everything N times, in N shuffled rounds."
    ),
    click.option(
        "--warmup-requests",
        type=whole_number("warmup_requests"),
        default=0,
        metavar="N",
        help="Send N requests to each target first, marked and left out of every figure. "
        "Connections are opened anyway.",
    ),
    click.option("--seed", type=int, metavar="N", help="Seed of the order; drawn, and written down, if not given."),
)
"""How much of a suite to ask, and how often."""

LOAD = (
    click.option(
        "--order",
        type=click.Choice(["blocks", "free", "as-written"]),
        help="blocks (default): shuffled, the targets of a case together; free: nobody waits; as-written: unshuffled.",
    ),
    click.option(
        "--lead",
        type=whole_number("lead"),
        metavar="N",
        help="With --order blocks, how many rounds a fast lane may be ahead of the slowest, instead of sending the "
        "targets of a case together.",
    ),
    click.option(
        "--adaptive/--no-adaptive",
        default=None,
        help="Let a lane's limit grow while its provider keeps up; lanes are then not equally loaded.",
    ),
    click.option(
        "--rate",
        type=click.FloatRange(0, min_open=True),
        metavar="R",
        help="Start R conversations a second with each target, whether or not earlier ones are answered.",
    ),
    click.option(
        "--arrivals",
        type=click.Choice(ARRIVALS),
        help="How --rate spaces them: evenly (default), or at random as independent callers do; seeded.",
    ),
    click.option(
        "--duration",
        "duration_s",
        type=DurationParam(),
        metavar="TIME",
        help="Repeat round after round, and start no request after TIME: 30s, 5m, 1h. With --sweep, at each level.",
    ),
    click.option(
        "--spread",
        "spread_s",
        type=DurationParam(),
        metavar="TIME",
        help="Begin each of the --repeat rounds at a random moment of its own part of TIME: 24h. --resume goes on with "
        "those that are left.",
    ),
    click.option(
        "--requests",
        "--max-requests",
        "max_requests",
        type=whole_number("max_requests"),
        metavar="N",
        help="Repeat round after round, until N requests are sent in all. With --sweep, at each level.",
    ),
    click.option(
        "--ramp",
        type=RampParam(),
        metavar="TIME",
        help="Open the places in flight one by one over TIME, over the mean time that a conversation takes (auto, the "
        "default of --sweep), or all at once (none); with --sweep, those that a level adds. Requests sent until then "
        "are left out of latencies.",
    ),
    click.option(
        "--sweep",
        "levels",
        type=LevelsParam(),
        metavar="N,N,...",
        help="Ask everything at one concurrency after the other, such as 1,2,4,8, and tabulate speed against load.",
    ),
)
"""The order and the load profile."""

CACHES = (
    click.option(
        "--cache-probe",
        is_flag=True,
        help="Send each case's first request with a beginning that no prompt cache knows, then again at once and after "
        "pauses, and tabulate what a cache saves in time and money.",
    ),
    click.option(
        "--cache-waits",
        type=WaitsParam(),
        metavar="TIME,...",
        help="With --cache-probe, how long nothing is sent before each further repetition (default 1m,5m).",
    ),
)
"""What a prompt cache does."""

percentiles_option = click.option(
    "--percentiles",
    "percents",
    callback=lambda _, __, text: PERCENTILES if text is None else parse_percentiles(text),
    metavar="LIST",
    help="Percentiles to show beside the median, such as 50,90,99 (default 95).",
)

slo_option = click.option(
    "--slo",
    type=ParsedParam("slo", parse_slo),
    metavar="NAME=TIME,...",
    help="Durations that a request must keep within, such as ttft=800ms,tpot=50ms,total=10s: shows the share that "
    "does, and how many a second (goodput).",
)

by_option = click.option(
    "--by",
    type=click.Choice(get_args(AnsweredByColumn)),
    help="Split each target in tables and the report by who answered, such as the vendor behind a router.",
)


def outputs_option(help_: str) -> Decorator:
    """Return the repeatable option that names further files to write; `help_` says in which formats."""
    return click.option(
        "-o", "--output", "outputs", multiple=True, type=click.Path(path_type=Path), metavar="PATH", help=help_
    )


def output_option(
    help_: str, metavar: str = "FILE", type_: click.ParamType[Any] | None = None, *, folders: bool = True
) -> Decorator:
    """Return the option that names the one file or folder to write; a second one is refused."""
    kind = type_ or click.Path(path_type=Path, dir_okay=folders)
    return click.option(
        "-o", "--output", multiple=True, type=kind, metavar=metavar, help=help_, callback=_take_only_one
    )


def _take_only_one(_: click.Context, param: click.Parameter, given: Sequence[Path]) -> Path | None:
    if len(given) > 1:
        raise click.BadParameter(f"{' and '.join(map(str, given))} are both named; one is written", param=param)
    return given[0] if given else None


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

budget_option = click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=MONEY,
    metavar="SUM",
    help="Stop starting requests once this much is spent: 5USD. Repeatable, one per currency.",
)

color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour; auto obeys NO_COLOR and FORCE_COLOR.",
)

language_option = click.option(
    "--lang",
    "language",
    type=click.Choice(languages()),
    help="The page's language; without it that of LC_ALL, LC_MESSAGES or LANG, else English. The page has a switch.",
)

open_option = click.option("--open", "launch", is_flag=True, help="Open the page with the report in a browser.")

gate_option = click.option("--gate", is_flag=True, help="Exit with 1 if anything regressed.")

fail_undecided_option = click.option(
    "--fail-undecided", is_flag=True, help="A gate that exits with 5, too, if anything is undecided."
)

min_effect_option = click.option(
    "--min-effect",
    type=EffectParam(),
    metavar="SHARE",
    help="Smallest change that matters: 10% (default) or 0.1.",
)

min_pass_change_option = click.option(
    "--min-pass-change",
    type=EffectParam(),
    metavar="SHARE",
    help="Smallest change of a pass rate that matters, in points: 5% (default) or 0.05.",
)


# Decorators


def run_options(*groups: Sequence[Decorator]) -> Decorator:
    """Return a decorator that adds groups of options to a command, which gets their values as `options: RunOptions`."""
    return collect("options", _make_run_options, [option for group in groups for option in group])


def _make_run_options(**values: Any) -> RunOptions:
    try:
        return check_options(RunOptions(**values), spell_option)
    except CompareError as error:
        raise click.UsageError(str(error)) from None


def collect(parameter: str, make: Callable[..., object], options: Sequence[Decorator]) -> Decorator:
    """Return a decorator that adds options to a command, which gets one value that is made of theirs.

    Args:
        parameter: the command's parameter that gets the value.
        make: called with the options' values by their names, when the command runs: what it needs it can import then.
        options: the options.

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
    """Return the names by which a command gets the values of options."""
    decorated: Command = lambda: None  # noqa: E731
    for option in options:
        decorated = option(decorated)
    return [option.name for option in getattr(decorated, "__click_params__", ())]


def is_given(name: str) -> bool:
    """Return whether the user set an option of the command that runs, if only to its default."""
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT

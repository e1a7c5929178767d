"""Options that several sub-commands share, and how they become `Options` and a way to watch."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from runner.core.percentiles import PERCENTILES, parse_percentiles

if TYPE_CHECKING:
    from runner.commands.run.job import RunOptions

Command = TypeVar("Command", bound=Callable[..., Any])

env_file_option = click.option(
    "--env-file",
    "env_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read variables from a file; the nearest .env is read anyway, the environment wins.",
)

_TARGETS = (
    click.option(
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="NAME",
        help="provider/model names a target, any model name allowed; a bare pattern filters the configured ones.",
    ),
    click.option(
        "-p", "--provider", "providers", multiple=True, metavar="NAME", help="Only these providers; a name or pattern."
    ),
    click.option("--skip-missing", is_flag=True, help="Leave out named targets that have no key, instead of stopping."),
    env_file_option,
    click.option(
        "--concurrency",
        type=click.IntRange(1, 10_000),
        metavar="N",
        help="Requests under way per provider (default 4).",
    ),
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Without a suffix the run's folder, with one (csv, md, json, jsonl, html, xml, parquet) a further output.",
    ),
    click.option("--bom", is_flag=True, help="Begin CSV files with a byte order mark, for Excel."),
)

_SUITE = (
    click.option("-k", "--case", "cases", multiple=True, metavar="GLOB", help="Only the cases whose id fits."),
    click.option("--repeat", type=click.IntRange(1), metavar="N", help="Ask everything N times, in N shuffled blocks."),
    click.option(
        "--warmup-requests",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Send N requests to each target first, marked and left out of every figure. "
        "Connections are opened anyway.",
    ),
    click.option("--seed", type=int, metavar="N", help="Seed of the order; drawn, and written down, if not given."),
)

_VIEW = (
    click.option("--json", "as_json", is_flag=True, help="Print the summary and all rows as JSON instead of a table."),
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
    click.option(
        "--progress",
        type=click.Choice(["auto", "live", "plain", "none"]),
        default="auto",
        show_default=True,
        help="How progress is shown on stderr; auto is live on a terminal, plain elsewhere.",
    ),
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colour; auto obeys NO_COLOR and FORCE_COLOR.",
    ),
)


percentiles_option = click.option(
    "--percentiles",
    "percents",
    callback=lambda _, __, text: PERCENTILES if text is None else parse_percentiles(text),
    metavar="LIST",
    help="Percentiles to show beside the median, such as 50,90,99 (default 95).",
)


def is_said(name: str) -> bool:
    """Tell whether an option was given to the command that runs, even if with the value it has by default."""
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT


def target_options(command: Command) -> Command:
    """Add the options on whom to ask."""
    return reduce(lambda decorated, option: option(decorated), reversed(_TARGETS), command)


def suite_options(command: Command) -> Command:
    """Add the options on how much of a suite to ask, and how often."""
    return reduce(lambda decorated, option: option(decorated), reversed(_SUITE), command)


def view_options(command: Command) -> Command:
    """Add the options on what to show."""
    return reduce(lambda decorated, option: option(decorated), reversed(_VIEW), command)


def read_options(chosen: dict[str, Any], **more: Any) -> "RunOptions":
    """Make the API's options of what click has parsed."""
    from runner.commands.run.job import RunOptions  # noqa: PLC0415
    from runner.planning.targets import TargetSelection  # noqa: PLC0415 -- heavy

    wish = TargetSelection(chosen["models"], chosen["providers"], skip_missing=chosen["skip_missing"])
    names = ("env_files", "concurrency", "outputs", "bom")
    return RunOptions(wish=wish, **{name: chosen[name] for name in names}, **more)

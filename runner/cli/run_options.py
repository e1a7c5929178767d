"""The options of a run, in groups, and the decorator by which a command gets their values as `RunOptions`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from runner.cli.completion import complete_cases, complete_providers, complete_targets
from runner.cli.option_types import (
    DurationParam,
    LevelsParam,
    OutputParam,
    ParsedParam,
    RampParam,
    WaitsParam,
    whole_number,
)
from runner.cli.options import (
    Decorator,
    allow_host_option,
    budget_option,
    by_option,
    collect,
    env_file_option,
    fail_undecided_option,
    gate_option,
    metric_option,
    min_effect_option,
    min_pass_change_option,
    percentiles_option,
    run_option,
    slo_option,
)
from runner.commands.run.options import RunOptions, check_options, spell_option
from runner.core.load_profile import ARRIVALS
from runner.core.suite import parse_reply_limit
from runner.core.wanted_precision import parse_until_ci
from runner.errors import CompareError


def run_options(*groups: Sequence[Decorator]) -> Decorator:
    """Return a decorator that adds groups of options to a command, which gets their values as `options: RunOptions`."""
    return collect("options", _make_run_options, [option for group in groups for option in group])


def _make_run_options(**values: Any) -> RunOptions:
    try:
        return check_options(RunOptions(**values), spell_option)
    except CompareError as error:
        raise click.UsageError(str(error)) from None


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

RECORDED_RUNS = (
    run_option(
        "--resume",
        help_="Resume a run: its folder, or `latest`. Completed requests are not sent again; options you omit keep "
        "their values.",
    ),
    click.option("--retry-errors", is_flag=True, help="With --resume, send failed requests again."),
    click.option(
        "--record", is_flag=True, help="Keep every reply byte for byte, with the time of each read; never a key."
    ),
    run_option(
        "--replay",
        help_="Send nothing: play back what was recorded in RUN. Needs no key.",
    ),
    click.option("--fast", is_flag=True, help="With --replay, as fast as possible, not at the recorded pace."),
)

CLUSTER = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where requests are sent from: this machine, or the workers of a Ray cluster (docs/ray.md).",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray, the cluster's head; `auto` (default) is the cluster this machine belongs to.",
    ),
    click.option(
        "--workers",
        type=whole_number("workers"),
        metavar="N",
        help="With --engine ray, how many workers, each with a CPU of its own (default one on each node); with "
        "--vantage, how many on each node.",
    ),
    click.option(
        "--vantage",
        is_flag=True,
        help="With --engine ray, ask everything from every node, to compare how targets look from each.",
    ),
)

MEASUREMENT = (
    budget_option,
    click.option(
        "--until-ci",
        type=ParsedParam("precision", parse_until_ci),
        metavar="N%",
        help="Repeat round after round, until every target's median TTFT is known to ±N % (95 % interval); with "
        "passes=N%, until its pass rate is, to ±N points.",
    ),
    click.option(
        "--late-bound",
        "late_bound_s",
        type=click.FloatRange(min=0.5),
        callback=lambda _, __, milliseconds: milliseconds and milliseconds / 1000,
        metavar="MS",
        help="Flag rows whose timestamps may be late by more than this (default 10), or by 5 % of their TTFT.",
    ),
    click.option(
        "--estimate-tokens",
        is_flag=True,
        help="Estimate tokens/s from characters where a provider counts none; marked ~.",
    ),
    percentiles_option,
    slo_option,
    by_option,
)

COMPARISON = (
    run_option(
        "--baseline",
        help_="Compare with this run afterwards: its folder, `latest`, or a snapshot's folder; or with the runs before "
        "it: `history`, `history:FOLDER`.",
        metavar="PATH",
    ),
    click.option(
        "--ab",
        "arms",
        nargs=2,
        metavar="BASE NEW",
        shell_complete=complete_targets,
        help="Ask these two targets, interleaved, and compare the second with the first: the stronger comparison.",
    ),
    gate_option,
    fail_undecided_option,
    metric_option("Compare only this measure, such as ttft; repeatable. Fewer rows are easier to decide."),
    min_effect_option,
    min_pass_change_option,
)

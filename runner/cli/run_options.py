"""The options of a run in groups, and the decorator that passes their values to a command as `RunOptions`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from runner.cli.completion import complete_cases, complete_providers, complete_targets
from runner.cli.shared_options import (
    DURATION,
    Decorator,
    NumberParam,
    OutputParam,
    ParsedParam,
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
    whole_number,
)
from runner.commands.run.options import RunOptions
from runner.core.durations_and_shares import parse_duration
from runner.core.load_profile import ARRIVALS, RampSetting
from runner.core.suite import parse_reply_limit
from runner.core.until_ci import parse_until_ci
from runner.errors import CompareError


def run_options(*groups: Sequence[Decorator]) -> Decorator:
    """Return a decorator that adds groups of options to a command, and passes their values as `options: RunOptions`."""
    return collect("options", RunOptions, [option for group in groups for option in group])


def _parse_ramp(text: str) -> RampSetting:
    try:
        return "auto" if text == "auto" else "none" if text == "none" else parse_duration(text)
    except CompareError:
        raise CompareError(f"{text!r} is not a ramp; write a duration such as 2s, auto or none") from None


def _parse_levels(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r" *[0-9]+ *(, *[0-9]+ *)*", text):
        raise CompareError(f"{text!r} is not a list of levels; write 1,2,4,8")
    return tuple(map(int, text.split(",")))


def _parse_waits(text: str) -> tuple[float, ...]:
    return tuple(parse_duration(each.strip(), needs_unit=True) for each in text.split(","))


def _parse_vary(text: str) -> tuple[str, tuple[Any, ...]]:
    from runner.suite.suite_targets import parse_vary

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
        help="Send to this target, as provider/model with any model name, or provider/model#variant for one of its "
        "variants; a pattern without a slash filters the configured targets. Repeatable.",
    ),
    click.option(
        "-p",
        "--provider",
        "providers",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_providers,
        help="Send only to this provider; a name or pattern. With -m, those targets must be of it. Repeatable.",
    ),
    click.option(
        "--vary",
        "vary",
        multiple=True,
        type=ParsedParam("vary", _parse_vary),
        callback=_join_vary,
        metavar="NAME=VALUE,...",
        help="Make a variant of every target for each of these values of a parameter: thinking=off,high. Repeatable: "
        "all combinations.",
    ),
    click.option("--skip-missing", is_flag=True, help="Skip named targets that have no key instead of failing."),
    env_file_option,
    allow_host_option,
    click.option(
        "--reply-limit",
        type=ParsedParam("size", parse_reply_limit),
        metavar="SIZE",
        help="Abort replies larger than this: 500kB, 32MiB (default 16MiB).",
    ),
)
"""Targets, and what limits requests to them."""

CONCURRENCY = (
    click.option(
        "--concurrency",
        type=whole_number("concurrency"),
        metavar="N",
        help="Requests in flight per provider (default 4).",
    ),
)

OUTPUTS = (
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        type=OutputParam(path_type=Path),
        metavar="PATH",
        help="The run's folder, if the path has no suffix or ends with a slash; a further output, if it has a suffix "
        "(csv, md, json, jsonl, html, xml, parquet, prom). Repeatable.",
    ),
    click.option("--bom", is_flag=True, help="Begin CSV files with a byte order mark, for Excel."),
)
"""The run's folder and further outputs."""

REPEATS = (
    click.option(
        "-k",
        "--case",
        "cases",
        multiple=True,
        metavar="GLOB",
        shell_complete=complete_cases,
        help="Send only the cases whose id matches. Repeatable.",
    ),
    click.option(
        "--repeat", type=whole_number("repeat"), metavar="N", help="Send everything N times, in N shuffled rounds."
    ),
    click.option(
        "--warmup-requests",
        type=whole_number("warmup_requests"),
        default=0,
        metavar="N",
        help="Send N requests to each target first; they are marked, and excluded from every figure. Connections are "
        "opened in any case.",
    ),
    click.option("--seed", type=int, metavar="N", help="Seed of the order (default: random, and stored in the run)."),
)
"""Selected cases, repeats and warm-up."""

LOAD = (
    click.option(
        "--order",
        type=click.Choice(["blocks", "free", "as-written"]),
        help="blocks (default): shuffled, the targets of a case together; free: shuffled, no target waits for another; "
        "as-written: not shuffled.",
    ),
    click.option(
        "--lead",
        type=whole_number("lead"),
        metavar="N",
        help="With --order blocks, let a fast lane be up to N rounds ahead of the slowest, instead of sending the "
        "targets of a case together.",
    ),
    click.option(
        "--adaptive/--no-adaptive",
        default=None,
        help="Raise a lane's limit while its provider keeps up; loads of lanes then differ.",
    ),
    click.option(
        "--rate",
        type=NumberParam(0, min_open=True),
        metavar="R",
        help="Open loop: start R conversations per second with each target, whether or not earlier ones have ended.",
    ),
    click.option(
        "--arrivals",
        type=click.Choice(ARRIVALS),
        help="Spacing of the conversations of --rate: constant (default), or poisson, at random as of independent "
        "callers; seeded.",
    ),
    click.option(
        "--duration",
        "duration_s",
        type=DURATION,
        metavar="TIME",
        help="Repeat rounds, and start no request after TIME: 30s, 5m, 1h. With --sweep, at each level.",
    ),
    click.option(
        "--spread",
        "spread_s",
        type=DURATION,
        metavar="TIME",
        help="Spread the --repeat rounds over TIME, such as 24h: each begins at a random moment of its own part. "
        "--resume continues with the remaining rounds.",
    ),
    click.option(
        "--requests",
        "--max-requests",
        "max_requests",
        type=whole_number("max_requests"),
        metavar="N",
        help="Repeat rounds until N requests are sent in total. With --sweep, at each level.",
    ),
    click.option(
        "--ramp",
        type=ParsedParam("ramp", _parse_ramp),
        metavar="TIME",
        help="Open the places in flight one by one over TIME, over the mean duration of a conversation (auto, the "
        "default of --sweep), or all at once (none); with --sweep, only the places that a level adds. Requests sent "
        "until then are excluded from latencies.",
    ),
    click.option(
        "--sweep",
        "levels",
        type=ParsedParam("levels", _parse_levels),
        metavar="N,N,...",
        help="Send everything at one concurrency after the other, such as 1,2,4,8, and tabulate speed by load.",
    ),
)
"""The order and the load profile."""

CACHES = (
    click.option(
        "--cache-probe",
        is_flag=True,
        help="Start each case's prompt with text that no prompt cache holds, repeat the request at once and after "
        "pauses, and tabulate the time and money that a cache saves.",
    ),
    click.option(
        "--cache-waits",
        type=ParsedParam("waits", _parse_waits),
        metavar="TIME,...",
        help="With --cache-probe, the pauses before further repetitions (default 1m,5m).",
    ),
)
"""Measurement of prompt caches."""

RECORDED_RUNS = (
    run_option(
        "--resume",
        help_="Resume a run: its folder, or `latest`. Completed requests are not sent again; options you omit keep "
        "their values.",
    ),
    click.option("--retry-errors", is_flag=True, help="With --resume, send failed requests again."),
    click.option(
        "--record",
        is_flag=True,
        help="Store every reply byte for byte, with the time of each read; keys are never stored.",
    ),
    run_option(
        "--replay",
        help_="Play back the replies recorded in RUN. Nothing is sent, and no key is needed.",
    ),
    click.option(
        "--fast", is_flag=True, help="With --replay, reply as fast as possible instead of at the recorded pace."
    ),
)

CLUSTER = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Send requests from this machine, or from the workers of a Ray cluster (docs/ray.md).",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray, the address of the cluster's head; `auto` (default) is the cluster of this machine.",
    ),
    click.option(
        "--workers",
        type=whole_number("workers"),
        metavar="N",
        help="With --engine ray, the number of workers, each with its own CPU (default one per node); with "
        "--vantage, the number per node.",
    ),
    click.option(
        "--vantage",
        is_flag=True,
        help="With --engine ray, send everything from every node, to compare targets between nodes.",
    ),
)

MEASUREMENT = (
    budget_option,
    click.option(
        "--until-ci",
        type=ParsedParam("precision", parse_until_ci),
        metavar="N%",
        help="Repeat rounds until every target's median TTFT is known to ±N % (95 % interval); with passes=N%, until "
        "its pass rate is known to ±N points.",
    ),
    click.option(
        "--late-bound",
        "late_bound_s",
        type=NumberParam(),
        callback=lambda _, __, milliseconds: None if milliseconds is None else milliseconds / 1000,
        metavar="MS",
        help="Flag rows whose timestamps may be late by more than this (default 10), or by 5 % of their TTFT.",
    ),
    click.option(
        "--estimate-tokens",
        is_flag=True,
        help="Estimate tokens/s from characters if a provider reports no token counts; marked ~.",
    ),
    percentiles_option,
    slo_option,
    by_option,
)

COMPARISON = (
    run_option(
        "--baseline",
        help_="Compare with this run afterwards: its folder, `latest`, or a snapshot's folder; or with the runs before "
        "this one: `history`, `history:FOLDER`.",
        metavar="PATH",
    ),
    click.option(
        "--ab",
        "arms",
        nargs=2,
        metavar="BASE NEW",
        shell_complete=complete_targets,
        help="Send to these two targets, interleaved, and compare the second with the first; stronger than --baseline.",
    ),
    gate_option,
    fail_undecided_option,
    metric_option(
        "Compare only this measure, such as ttft; repeatable. With fewer rows, fewer rounds are enough for a verdict."
    ),
    min_effect_option,
    min_pass_change_option,
)

RUN = (TARGETS, CONCURRENCY, OUTPUTS, REPEATS, CACHES, RECORDED_RUNS, LOAD, CLUSTER, MEASUREMENT, COMPARISON)
"""All options of a run; `compare plan` takes the same."""

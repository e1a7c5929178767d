"""The options that hold a run against a baseline, and what `compare run` does with them when the run is over."""

import os
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runner.analysis.diff import Difference
    from runner.commands.gate import Gate
    from runner.commands.run.perform import FinishedRun

Command = TypeVar("Command", bound=Callable[..., Any])

_GATE = (
    click.option(
        "--baseline",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Compare with this run afterwards: its folder, `latest`, or a snapshot's folder.",
    ),
    click.option(
        "--ab",
        "arms",
        nargs=2,
        metavar="BASE NEW",
        help="Ask these two targets, interleaved, and compare the second with the first: the stronger comparison.",
    ),
    click.option("--gate", is_flag=True, help="Exit with 1 if anything regressed."),
    click.option("--fail-undecided", is_flag=True, help="A gate that exits with 5, too, if anything is undecided."),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="NAME",
        help="Compare only this measure, such as ttft; repeatable. Fewer rows are easier to decide.",
    ),
    click.option(
        "--min-effect",
        default="10%",
        show_default=True,
        metavar="SHARE",
        help="Smallest change that matters: 10% or 0.1.",
    ),
)


def gate_options(command: Command) -> Command:
    """Add the options on what a run is held against."""
    return reduce(lambda decorated, option: option(decorated), reversed(_GATE), command)


def read_gate(chosen: dict[str, Any]) -> "Gate | None":
    """Read the options, and the baseline with them: what is wrong with it is found before anything is sent."""
    if chosen["baseline"] is not None and chosen["arms"]:
        raise click.UsageError("--baseline compares with another run, --ab within this one; choose one.")
    if chosen["baseline"] is None and not chosen["arms"]:
        if chosen["gate"] or chosen["fail_undecided"]:
            raise click.UsageError("a gate needs something to compare with: --baseline PATH, or --ab BASE NEW.")
        return None
    if chosen["arms"] and (chosen["models"] or chosen["providers"]):
        raise click.UsageError("--ab says whom to ask; leave -m and -p out.")
    if chosen["arms"] and not all("/" in arm for arm in chosen["arms"]):
        raise click.UsageError("--ab takes two targets, each written provider/model.")
    from runner.cli.diff import parse_effect  # noqa: PLC0415
    from runner.commands.gate import Rule, open_gate  # noqa: PLC0415 -- heavy

    rule = Rule(min_effect=parse_effect(chosen["min_effect"]), measures=chosen["metrics"])
    return open_gate(
        chosen["baseline"],
        chosen["arms"] or None,
        rule,
        is_shut=chosen["gate"],
        fail_undecided=chosen["fail_undecided"],
    )


def conclude(done: "FinishedRun", gate: "Gate | None", chosen: dict[str, Any], code: int) -> int:
    """Hold a run against its baseline, tell whoever wants to know, and return the exit code of the whole.

    A run that is not whole keeps its own code.
    """
    from runner.errors import CompareError  # noqa: PLC0415

    difference = None
    try:
        difference = _judge(done, gate, chosen)
    except CompareError as error:
        if code == 0:
            raise
        click.echo(f"compare: {error}", err=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(done, difference)
    return code if code or gate is None or difference is None else gate.exit_code(difference)


def _judge(done: "FinishedRun", gate: "Gate | None", chosen: dict[str, Any]) -> "Difference | None":
    if gate is None or done.interrupted:
        return None
    from runner.cli.console import open_console  # noqa: PLC0415
    from runner.commands.gate import write_verdicts  # noqa: PLC0415
    from runner.outputs.diff.terminal import render_difference  # noqa: PLC0415

    difference = gate.judge(done.run)
    open_console(chosen["color"], stderr=chosen["as_json"]).print(render_difference(difference))
    written = write_verdicts(difference, done.run, done.folder, chosen["outputs"])
    click.echo(f"written: {', '.join(map(str, written))}", err=True)
    return difference


def _tell_github(done: "FinishedRun", difference: "Difference | None") -> None:
    from runner.outputs.github import append_summary, workflow_commands  # noqa: PLC0415

    append_summary(os.environ, done.run, difference)
    for line in workflow_commands(os.environ, done.run, difference):
        click.echo(line, err=True)

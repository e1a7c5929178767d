"""`compare run`: a suite file to everyone, tables out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.options import read_options, target_options, view_options

if TYPE_CHECKING:
    from runner.api import Done
    from runner.job import Job

CONFIRM_OVER = 500


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@target_options
@click.option("-k", "--case", "cases", multiple=True, metavar="GLOB", help="Only the cases whose id fits.")
@click.option("--repeat", type=click.IntRange(1), metavar="N", help="Ask everything N times, in N shuffled blocks.")
@click.option(
    "--warmup-requests",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Send N requests to each target first, marked and left out of every figure. Connections are opened anyway.",
)
@click.option(
    "--estimate-tokens", is_flag=True, help="Estimate tokens/s from characters where a provider counts none; marked ~."
)
@click.option("--seed", type=int, metavar="N", help="Seed of the order; drawn, and written down, if not given.")
@click.option(
    "--allow-errors", default="0", metavar="N|N%", help="Exit with 0 although up to N requests, or N %, failed."
)
@click.option(
    "--confirm-over",
    type=click.IntRange(0),
    default=CONFIRM_OVER,
    show_default=True,
    metavar="N",
    help="Ask before more than N requests go to real providers.",
)
@click.option("-y", "--yes", is_flag=True, help="Answer yes to questions.")
@view_options
def run(suite: Path, **chosen: Any) -> None:
    """Ask every configured provider and model what SUITE says.

    \b
    compare run prompts/basic.yaml
    compare run prompts/basic.yaml -m deepseek/deepseek-flash -k 'who-*' --repeat 5 -o results/mine -o table.md

    Exit codes: 0 all done, 2 something is wrong with the suite or the options and nothing was sent, 3 requests
    failed, 4 a named target has no key and nothing was sent, 130 interrupted, finished rows kept.
    """
    from runner.job import load_suite, prepare  # noqa: PLC0415 -- heavy

    allowed = parse_allowance(chosen["allow_errors"])
    options = read_options(
        chosen,
        cases=chosen["cases"],
        repeat=chosen["repeat"],
        seed=chosen["seed"],
        warmup_requests=chosen["warmup_requests"],
        estimate_tokens=chosen["estimate_tokens"],
    )
    job = prepare(*load_suite(suite), options)
    _confirm(job, chosen["confirm_over"], yes=chosen["yes"])
    done = perform_watched(job, chosen)
    sys.exit(exit_code(done, allowed))


def parse_allowance(text: str) -> tuple[float, bool]:
    """Read `N` or `N%`; return the number and whether it is a share."""
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        value = float(number) if percent else int(number)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a number nor a percentage", param_hint="--allow-errors"
        ) from None
    if value < 0 or (percent and value > 100):
        raise click.BadParameter(f"{text} is out of range", param_hint="--allow-errors")
    return value, percent


def _confirm(job: "Job", limit: int, *, yes: bool) -> None:
    count = len(job.plan)
    if yes or job.simulated or count <= limit:
        return
    question = f"{count} requests to {', '.join(job.plan.providers())}: send them?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody is here to answer; say -y, or raise --confirm-over.")
    if not click.confirm(question, err=True):
        raise click.Abort


def perform_watched(job: "Job", chosen: dict[str, Any]) -> "Done":
    """Run a job with progress on stderr; print its summary, or JSON, on stdout."""
    import anyio  # noqa: PLC0415

    from runner.api import backend, perform  # noqa: PLC0415
    from runner.cli.console import open_console, print_notes  # noqa: PLC0415
    from runner.cli.progress import open_progress  # noqa: PLC0415

    errors = open_console(chosen["color"], stderr=True)
    if not chosen["quiet"]:
        print_notes(job, errors)
    with open_progress("none" if chosen["quiet"] else chosen["progress"], errors) as progress:
        done = anyio.run(perform, job, progress, **backend())
    show(done, chosen)
    return done


def show(done: "Done", chosen: dict[str, Any]) -> None:
    """Print what a run found, and where it is."""
    from runner.cli.console import open_console  # noqa: PLC0415
    from runner.outputs import WRITERS  # noqa: PLC0415
    from runner.outputs.terminal import render_summary  # noqa: PLC0415

    if chosen["as_json"]:
        click.echo(WRITERS[".json"](done.run), nl=False)
    else:
        open_console(chosen["color"]).print(render_summary(done.run))
    if done.interrupted:
        click.echo("interrupted: this is partial, what was finished is kept", err=True)
    if not chosen["quiet"]:
        click.echo(f"written: {', '.join(map(str, done.written))}", err=True)


def exit_code(done: "Done", allowed: tuple[float, bool]) -> int:
    """Return 130 for an interrupted run, 3 where more requests failed than allowed, else 0."""
    if done.interrupted:
        return 130
    outcomes = done.run.measured["outcome"]
    failed = int((~outcomes.isin(["ok", "length", "filtered"])).sum())
    value, percent = allowed
    limit = value * len(outcomes) / 100 if percent else value
    return 3 if failed > limit else 0

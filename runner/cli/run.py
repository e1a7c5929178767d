"""`compare run`: a suite file to everyone, tables out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.cluster import cluster_options, read_fleet
from runner.cli.confirm import CONFIRM_OVER, Threshold, confirm
from runner.cli.gate import conclude, gate_options, read_gate
from runner.cli.load import load_options, read_load
from runner.cli.options import is_said, percentiles_option, read_options, suite_options, target_options, view_options

if TYPE_CHECKING:
    from runner.commands.run.job import PreparedRun, RunOptions
    from runner.commands.run.perform import FinishedRun


@click.command()
@click.argument("suite", required=False, type=click.Path(path_type=Path))
@target_options
@suite_options
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with a run: its folder, or `latest`. What it has is not asked again; what is not said is as it was.",
)
@click.option("--retry-errors", is_flag=True, help="With --resume, ask again what failed.")
@click.option("--record", is_flag=True, help="Keep every reply byte for byte, with the time of each read; never a key.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Ask nobody: play back what was recorded in RUN. Needs no key.",
)
@click.option("--fast", is_flag=True, help="With --replay, as fast as possible, not at the recorded pace.")
@load_options
@cluster_options
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="SUM",
    help="Begin nothing more when so much is spent: 5USD. Once for each currency.",
)
@click.option(
    "--until-ci",
    metavar="N%",
    help="Go on, block after block, until every target's median TTFT is known to ±N % (95 % interval).",
)
@click.option(
    "--late-bound",
    "late_bound_ms",
    type=click.FloatRange(min=0.5),
    metavar="MS",
    help="Flag a row if this machine may be so late on its stamps (default 10), or by 5 % of its TTFT.",
)
@click.option(
    "--estimate-tokens", is_flag=True, help="Estimate tokens/s from characters where a provider counts none; marked ~."
)
@percentiles_option
@click.option(
    "--allow-errors", default="0", metavar="N|N%", help="Exit with 0 although up to N requests, or N %, failed."
)
@click.option(
    "--confirm-over",
    type=Threshold(),
    default=CONFIRM_OVER,
    show_default=True,
    metavar="N|SUM",
    help="Ask before more than N requests, or more than a sum such as 5USD at worst, go to real providers.",
)
@click.option("-y", "--yes", is_flag=True, help="Answer yes to questions.")
@gate_options
@view_options
def run(suite: Path | None, **chosen: Any) -> None:
    """Ask every configured provider and model what SUITE says.

    \b
    compare run prompts/basic.yaml
    compare run prompts/basic.yaml -m deepseek/deepseek-flash -k 'who-*' --repeat 5 -o results/mine -o table.md
    compare run --resume latest --retry-errors

    Exit codes: 0 all done, 1 a check failed or a gate found something worse, 2 something is wrong with the suite or
    the options and nothing was sent, or nothing could be compared, 3 requests failed or could not be recorded, 4 a
    named target has no key and nothing was sent, 5 undecided (--fail-undecided), 130 interrupted, finished rows kept.
    """
    from runner.commands.run.prepare import find_suite, load_suite, prepare  # noqa: PLC0415 -- heavy

    allowed = parse_allowance(chosen["allow_errors"])
    gate = read_gate(chosen)
    options = _read_run_options({**chosen, "models": chosen["arms"] or chosen["models"]})
    job = settle_vantages(prepare(*load_suite(find_suite(suite, options)), options))
    gate = gate and gate.settle([target.name for target in job.plan.targets], [case.id for case in job.suite.cases])
    confirm(job, chosen["confirm_over"], yes=chosen["yes"])
    done = perform_watched(job, chosen)
    sys.exit(conclude(done, gate, chosen, exit_code(done, allowed)))


def _read_run_options(chosen: dict[str, Any]) -> "RunOptions":
    from runner.pricing.money import parse_money  # noqa: PLC0415

    names = ("cases", "repeat", "seed", "warmup_requests", "estimate_tokens", "percents", "resume", "retry_errors")
    return read_options(
        chosen,
        **{name: chosen[name] for name in (*names, "record", "replay", "fast")},
        order=chosen["order"] if is_said("order") else None,
        load=read_load(chosen),
        fleet=read_fleet(chosen),
        budgets=tuple(map(parse_money, chosen["budgets"])),
        until_ci=_read_share(chosen["until_ci"]),
        late_bound_s=chosen["late_bound_ms"] and chosen["late_bound_ms"] / 1000,
    )


def settle_vantages(job: "PreparedRun") -> "PreparedRun":
    """Find out from which nodes a job is asked, if each is to ask everything: then it is known how much that is."""
    if not job.wants_vantages:
        return job
    import anyio  # noqa: PLC0415

    from runner.commands.run.perform import survey  # noqa: PLC0415

    return anyio.run(survey, job)


def _read_share(text: str | None) -> float | None:
    if text is None:
        return None
    from runner.commands.run.stop_rules import parse_share  # noqa: PLC0415 -- brings numpy

    return parse_share(text)


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


def perform_watched(job: "PreparedRun", chosen: dict[str, Any]) -> "FinishedRun":
    """Run a job with progress on stderr; print its summary, or JSON, on stdout."""
    import anyio  # noqa: PLC0415

    from runner.cli.console import open_console, print_notes  # noqa: PLC0415
    from runner.cli.progress import open_progress  # noqa: PLC0415
    from runner.commands.run.perform import backend, perform  # noqa: PLC0415

    errors = open_console(chosen["color"], stderr=True)
    if not chosen["quiet"]:
        print_notes(job, errors)
    with open_progress("none" if chosen["quiet"] else chosen["progress"], errors) as progress:
        done = anyio.run(perform, job, progress, **backend())
    show(done, chosen)
    return done


def show(done: "FinishedRun", chosen: dict[str, Any]) -> None:
    """Print what a run found, and where it is."""
    from runner.cli.console import open_console  # noqa: PLC0415
    from runner.outputs import STREAM_WRITERS  # noqa: PLC0415
    from runner.outputs.terminal import render_summary  # noqa: PLC0415

    if chosen["as_json"]:
        for piece in STREAM_WRITERS[".json"](done.run):
            click.echo(piece, nl=False)
    else:
        open_console(chosen["color"]).print(render_summary(done.run))
    if done.interrupted:
        can_go_on = done.run.header.path is not None
        hint = f" Go on with: compare run --resume {done.folder}" if can_go_on else ""
        click.echo(f"interrupted: this is partial.{hint}", err=True)
    if not chosen["quiet"]:
        click.echo(f"written: {', '.join(map(str, done.written))}", err=True)


def exit_code(done: "FinishedRun", allowed: tuple[float, bool]) -> int:
    """Return 130 for an interrupted run, 3 where more requests failed than allowed, 1 where a check failed, else 0."""
    if done.interrupted:
        return 130
    outcomes = done.run.measured["outcome"]
    failed = int((~outcomes.isin(["ok", "length", "filtered"])).sum())
    value, percent = allowed
    limit = value * len(outcomes) / 100 if percent else value
    if failed > limit:
        return 3
    return int(any(cell.verdict == "failed" for cell in done.run.checked))

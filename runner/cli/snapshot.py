"""`compare snapshot`: a suite's replies held against those that are committed beside it."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.confirm import CONFIRM_OVER, confirm
from runner.cli.options import read_options, suite_options, target_options, view_options

if TYPE_CHECKING:
    from runner.analysis.snapshot import SnapshotComparison
    from runner.commands.snapshot.keeping import SnapshotResult


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@target_options
@suite_options
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Send nothing; take this run of the suite: its folder, its id, or `latest`.",
)
@click.option("--update", is_flag=True, help="Keep all that is new or changed, forget what is orphaned.")
@click.option("--review", is_flag=True, help="Show each change and ask: accept, reject or skip.")
@click.option("-y", "--yes", is_flag=True, help="Answer yes to questions about cost.")
@view_options
def snapshot(suite: Path, **chosen: Any) -> None:
    """Compare what SUITE's targets reply with what is kept in SUITE.snapshot/, which is there to be committed.

    \b
    compare snapshot prompts/basic.yaml               compare; write nothing
    compare snapshot prompts/basic.yaml --review      accept or reject, case by case
    compare snapshot prompts/basic.yaml --update      keep all of it

    How closely replies are compared is each case's `match` in the suite. Under CI=true nothing is kept.

    Exit codes: 0 as kept, 1 something differs or a check failed, 2 nothing was compared, 3 requests failed.
    """
    from runner.errors import CompareError  # noqa: PLC0415 -- heavy imports wait until there is work

    if chosen["update"] and chosen["review"]:
        raise click.UsageError("--update accepts all, --review asks; choose one.")
    if os.environ.get("CI", "").lower() in {"true", "1"} and (chosen["update"] or chosen["review"]):
        raise CompareError("CI is set, so no snapshot is changed; run --update or --review by hand and commit it")
    held, code = _hold(suite, chosen)
    if code:
        sys.exit(code)
    sys.exit(_settle(held, chosen))


def _hold(suite: Path, chosen: dict[str, Any]) -> tuple["SnapshotResult", int]:
    """Run the suite, or take a run of it, and compare; return the exit code of a run that is not whole, too."""
    from runner.cli.run import exit_code, perform_watched  # noqa: PLC0415
    from runner.commands.run.prepare import load_suite, prepare  # noqa: PLC0415
    from runner.commands.snapshot.keeping import hold  # noqa: PLC0415

    loaded, registry = load_suite(suite)
    if chosen["source"] is not None:
        if chosen["models"] or chosen["providers"] or chosen["cases"]:
            raise click.UsageError("--from takes a run as it is; leave -m, -p and -k out.")
        return hold(loaded, suite, chosen["source"]), 0
    names = ("cases", "repeat", "seed", "warmup_requests")
    options = read_options(chosen, **{name: chosen[name] for name in names})
    job = prepare(loaded, registry, options)
    confirm(job, int(CONFIRM_OVER), yes=chosen["yes"])
    done = perform_watched(job, chosen)
    code = exit_code(done, (0, False))
    return hold(loaded, suite, done.folder), code if code != 1 else 0


def _settle(held: "SnapshotResult", chosen: dict[str, Any]) -> int:
    """Show the comparison, keep what is accepted, and return the exit code."""
    from runner.cli.console import open_console  # noqa: PLC0415
    from runner.commands.snapshot.keeping import exit_code, keep, keep_timings  # noqa: PLC0415
    from runner.outputs.snapshot import render_comparisons  # noqa: PLC0415

    console = open_console(chosen["color"], stderr=chosen["as_json"])
    if not chosen["review"]:
        console.print(render_comparisons(held.comparisons), soft_wrap=True)
    accepted = held.comparisons if chosen["update"] else _review(held, chosen) if chosen["review"] else ()
    settled = keep(held, accepted)
    if accepted:
        is_open = any(change not in accepted for change in held.changes)
        why = "its timings were left, since not all was accepted" if is_open else keep_timings(held)
        kept = f"{len(settled)} {'reply' if len(settled) == 1 else 'replies'} changed in {held.folder}"
        click.echo(kept + (f"; {why}" if why else ""), err=True)
    code = exit_code(held, settled)
    if code == 2:
        click.echo("nothing was compared; --update keeps these replies, to compare with", err=True)
    return code


def _review(held: "SnapshotResult", chosen: dict[str, Any]) -> list["SnapshotComparison"]:
    """Ask about each change; return what was accepted."""
    from runner.cli.console import open_console  # noqa: PLC0415
    from runner.outputs.snapshot import describe_counts, render_comparison  # noqa: PLC0415

    console = open_console(chosen["color"])
    console.print(describe_counts(held.comparisons), markup=False)
    answers: dict[str, list[SnapshotComparison]] = {"a": [], "r": [], "s": []}
    for at, change in enumerate(held.changes, 1):
        console.print(f"\n[{at}/{len(held.changes)}] ", end="", markup=False)
        console.print(render_comparison(change), soft_wrap=True)
        answer = click.prompt("accept, reject or skip", type=click.Choice(list(answers)), default="s", err=True)
        answers[answer].append(change)
    click.echo(f"{len(answers['a'])} accepted, {len(answers['r'])} rejected, {len(answers['s'])} skipped")
    return answers["a"]

"""`compare snapshot`: compare a suite's replies with those stored beside it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.command_groups import GroupedCommand
from runner.cli.confirm import CONFIRM_OVER, ask_about_hosts, confirm
from runner.cli.run_options import CONCURRENCY, OUTPUTS, REPEATS, TARGETS, run_options
from runner.cli.run_output import ViewOptions, perform_with_progress, view_options
from runner.cli.shared_options import run_option, suite_argument
from runner.cli.terminal import echo_error, echo_workflow_commands, open_console

if TYPE_CHECKING:
    from runner.analysis.snapshot import SnapshotComparison
    from runner.commands.run.options import RunOptions
    from runner.commands.snapshot import ComparedRun


@click.command(cls=GroupedCommand)
@suite_argument
@run_options(TARGETS, CONCURRENCY, OUTPUTS, REPEATS)
@run_option(
    "--from",
    "source",
    help_="Compare this run of the suite (its folder, its id, or `latest`) instead of sending requests.",
)
@click.option("--update", is_flag=True, help="Store all new and changed replies, and remove orphaned ones.")
@click.option("--review", is_flag=True, help="Show each change and ask: accept, reject or skip.")
@click.option("-y", "--yes", is_flag=True, help="Answer yes to questions about cost.")
@view_options
def snapshot(
    suite: Path,
    *,
    options: "RunOptions",
    source: Path | None,
    update: bool,
    review: bool,
    yes: bool,
    view: ViewOptions,
) -> None:
    """Compare the replies of SUITE's targets with those stored in SUITE.snapshot/, which is meant to be committed.

    \b
    compare snapshot prompts/basic.yaml               compare only; write nothing
    compare snapshot prompts/basic.yaml --review      accept or reject, case by case
    compare snapshot prompts/basic.yaml --update      store all changes

    `match` of each case in the suite says how closely its replies are compared. With CI=true nothing is stored.

    Exit codes: 0 no difference, 1 a reply differs or a check failed, 2 nothing was compared, 3 requests failed.
    """
    from runner.errors import CompareError
    from runner.outputs.github import report_comparison
    from runner.outputs.snapshot import render_comparisons
    from runner.providers.environment import is_ci

    if update and review:
        raise click.UsageError("--update accepts all, --review asks; choose one.")
    if (update or review) and is_ci(os.environ):
        raise CompareError("CI is set, so no snapshot is changed; run --update or --review by hand and commit it")
    if source is not None and (options.models or options.providers or options.cases):
        raise click.UsageError("--from takes a run as it is; leave -m, -p and -k out.")
    compared, code = _compare(suite, options, source, view, yes=yes)
    if code:
        sys.exit(code)
    if not review:
        view.open_results().print(render_comparisons(compared.comparisons), soft_wrap=True)
    path = compared.run.header.path
    echo_workflow_commands(report_comparison(os.environ, path, compared.comparisons, compared.lines))
    accepted = compared.comparisons if update else _review(compared, view) if review else ()
    sys.exit(_keep(compared, accepted))


def _compare(
    suite: Path, options: "RunOptions", source: Path | None, view: ViewOptions, *, yes: bool
) -> tuple["ComparedRun", int]:
    """Compare a run of the suite, performed now or named; also return the exit code of an incomplete run, else 0."""
    from runner.commands.exit_codes import NOT_GOOD, OK, of_run
    from runner.commands.run.load_suite import load_suite
    from runner.commands.run.prepare import prepare
    from runner.commands.snapshot import compare_run

    loaded, registry = load_suite(suite)
    if source is not None:
        return compare_run(loaded, suite, source), OK
    prepared = prepare(loaded, registry, options, simulate=False, ask=ask_about_hosts)
    confirm(prepared, int(CONFIRM_OVER), yes=yes)
    finished = perform_with_progress(prepared, view)
    code = of_run(finished)
    return compare_run(loaded, suite, finished.folder), OK if code == NOT_GOOD else code


def _keep(compared: "ComparedRun", accepted: "tuple[SnapshotComparison, ...]") -> int:
    """Store the accepted replies, and return the exit code."""
    from runner.commands.exit_codes import NOTHING_COMPARED, of_snapshot
    from runner.commands.snapshot import keep_replies, keep_timings

    changed = keep_replies(compared, accepted)
    if accepted:
        is_open = any(change not in accepted for change in compared.changes)
        why = "its timings were left, since not all was accepted" if is_open else keep_timings(compared)
        echo_error(f"{compared.folder}: {_describe_kept(changed)}" + (f"; {why}" if why else ""))
    code = of_snapshot(compared, changed)
    if code == NOTHING_COMPARED:
        echo_error("nothing was compared; --update keeps these replies, to compare with")
    return code


def _describe_kept(changed: "Sequence[SnapshotComparison]") -> str:
    """Return a description of how many replies of a snapshot are new, replaced and removed."""
    from runner.errors import counted

    new = sum(each.kept is None for each in changed)
    removed = sum(each.now is None for each in changed)
    counts = {"new": new, "replaced": len(changed) - new - removed, "removed": removed}
    said = [f"{counted(n, 'reply', 'replies')} {what}" for what, n in counts.items() if n]
    return ", ".join(said) or "no reply changed"


def _review(compared: "ComparedRun", view: ViewOptions) -> "tuple[SnapshotComparison, ...]":
    """Ask about each change; return the accepted ones."""
    from runner.errors import CompareError
    from runner.outputs.snapshot import describe_counts, render_comparison

    console = open_console(view.color)
    console.print(describe_counts(compared.comparisons), markup=False)
    answers: dict[str, list[SnapshotComparison]] = {"a": [], "r": [], "s": []}
    for at, change in enumerate(compared.changes, 1):
        console.print(f"\n[{at}/{len(compared.changes)}] ", end="", markup=False)
        console.print(render_comparison(change), soft_wrap=True)
        try:
            answer = click.prompt("accept, reject or skip", type=click.Choice(list(answers)), default="s", err=True)
        except click.Abort as abort:
            if not isinstance(abort.__context__, EOFError):
                raise
            click.echo(err=True)
            raise CompareError(
                f"standard input ended at change {at} of {len(compared.changes)}, so nothing is kept; answer --review "
                "on a terminal, or accept all with --update"
            ) from None
        answers[answer].append(change)
    click.echo(f"{len(answers['a'])} accepted, {len(answers['r'])} rejected, {len(answers['s'])} skipped")
    return tuple(answers["a"])

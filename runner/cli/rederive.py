"""`compare rederive`: recompute a recorded run's metrics from its raw bytes."""

from pathlib import Path

import click

from runner.cli.command_groups import Command
from runner.cli.shared_options import OutputParam, output_option, run_argument
from runner.cli.terminal import echo_error, echo_written


@click.command(cls=Command)
@run_argument
@click.option(
    "--repair", is_flag=True, help="Copy the intact lines of a damaged run, which need not be a recorded one."
)
@output_option(
    "Folder of the new run (default: beside RUN, with -rederived or -repaired added to its name).",
    "FOLDER",
    OutputParam(path_type=Path),
)
def rederive(run: Path, *, repair: bool, output: Path | None) -> None:
    """Recompute the metrics of RUN, a recorded run, from its raw bytes; write them as a new run.

    \b
    compare rederive latest
    compare rederive latest --repair

    Use it when the definition of a metric has changed, or an error in decoding was fixed. RUN itself is not changed;
    requests that were not recorded are copied. Damaged lines of a journal are left out and reported.
    """
    from runner.commands import rederive as command

    new_run = command.repair(run, output) if repair else command.rederive(run, output)
    for damage in new_run.left_out:
        echo_error(f"note: {damage}")
    if repair:
        click.echo(f"requests kept: {new_run.unchanged}")
    else:
        click.echo(f"unchanged: {new_run.unchanged}, changed: {new_run.changed}, not recorded: {new_run.unrecorded}")
    for name, count in new_run.changed_members.most_common():
        click.echo(f"  {name}: changed in {count}")
    echo_written([new_run.folder])

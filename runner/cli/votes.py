"""`compare votes`: count blind votes on a run's replies."""

from pathlib import Path

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_runs
from runner.cli.shared_options import color_option, json_option, outputs_option
from runner.cli.terminal import echo_json, echo_written, open_console


@click.command(cls=Command)
@click.argument(
    "names",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    metavar="RUN... [VOTES.json...]",
    shell_complete=complete_runs,
)
@outputs_option("Also write a file: .md or .json; repeatable.")
@json_option
@color_option
def votes(names: tuple[Path, ...], *, outputs: tuple[Path, ...], as_json: bool, color: str) -> None:
    """Count blind votes on the replies of RUN: win rates, strengths, and the agreement of the voters.

    \b
    compare votes latest                              votes*.json in the run's folder
    compare votes latest ada.json grace.json
    compare votes results/monday results/tuesday votes-*.json    a page with both runs

    A voter opens the report, presses b, votes, and exports a file; names that end in .json are such files.
    """
    from runner.commands.votes import load_named_votes, write_votes
    from runner.outputs.votes import render_votes, write_json

    found = load_named_votes(names, outputs)
    if as_json:
        echo_json(write_json(found))
    else:
        open_console(color).print(render_votes(found))
    write_votes(found, outputs)
    echo_written(outputs)

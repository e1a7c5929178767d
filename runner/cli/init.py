"""`compare init`: write a first suite and the files beside it."""

from pathlib import Path

import click

from runner.cli.command_groups import Command
from runner.cli.terminal import echo_error


@click.command(cls=Command)
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Write a suite, a .env.example, lines for .gitignore and a CI workflow into DIR (default: this folder).

    Existing files are not changed, except that missing lines are appended to .gitignore.
    """
    from runner.commands.init import SUITE, note_on_installing, write_starter_files
    from runner.commands.providers import load_registry

    for file in write_starter_files(folder, load_registry(Path.cwd()).rows):
        click.echo(f"{file.change}: {file.path}")
    note = note_on_installing()
    if note:
        echo_error(f"note: {note}")
    click.echo(f"next: compare run {folder / SUITE}")

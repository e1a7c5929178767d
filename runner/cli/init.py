"""`compare init`: a suite to start with, and the files around it."""

from pathlib import Path

import click

from runner.cli.terminal import echo_error


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Write a suite, a .env.example, lines for .gitignore and a CI workflow into DIR, or here.

    Files that exist are not changed.
    """
    from runner.commands.init import SUITE, note_on_installing, write_starter_files  # noqa: PLC0415
    from runner.commands.providers import load_registry  # noqa: PLC0415 -- heavy

    for file in write_starter_files(folder, load_registry(Path.cwd()).rows):
        click.echo(f"{file.change}: {file.path}")
    note = note_on_installing()
    if note:
        echo_error(f"note: {note}")
    click.echo(f"next: compare run {folder / SUITE}")

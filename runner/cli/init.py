"""`compare init`: what a newcomer's folder needs to begin."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Lay out a suite, a .env.example, lines for .gitignore and a CI workflow in DIR, or here.

    Nothing that is there already is changed.
    """
    from runner.commands.init import SUITE, lay_out  # noqa: PLC0415
    from runner.commands.run.prepare import load_registry  # noqa: PLC0415 -- heavy

    for laid in lay_out(folder, load_registry(Path.cwd()).rows):
        click.echo(f"{laid.deed}: {laid.path}")
    click.echo(f"next: compare run {folder / SUITE}")

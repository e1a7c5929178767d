"""`compare rederive`: a recorded run told anew, by the definitions of today."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the new run goes: else beside RUN, with -rederived behind its name.",
)
def rederive(run: Path, *, output: Path | None) -> None:
    """Make a journal and tables anew from the bytes that were recorded of RUN.

    \b
    compare rederive latest

    Useful when a definition has changed since, or a fault in reading replies was mended. RUN itself stays as it is;
    what was not recorded is taken over.
    """
    from runner.commands.rederive import rederive  # noqa: PLC0415 -- heavy imports wait until there is work

    done = rederive(run, output)
    click.echo(f"told as before: {done.same}, told anew: {done.told_anew}, not recorded: {done.unrecorded}")
    for name, count in done.changed.most_common():
        click.echo(f"  {name}: another in {count}")
    click.echo(f"written: {done.folder}", err=True)

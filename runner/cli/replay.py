"""`compare replay`: serve the recorded replies of a run."""

from pathlib import Path

import click

from runner.cli.command_groups import Command
from runner.cli.shared_options import run_argument


@click.command(cls=Command)
@run_argument
@click.option("--fast", is_flag=True, help="Reply as fast as possible instead of at the recorded pace.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8766,
    show_default=True,
    help="Port to listen on; 0 selects a free one.",
)
def replay(run: Path, *, fast: bool, host: str, port: int) -> None:
    """Serve the recorded replies of RUN, until Ctrl-C, as an OpenAI-compatible server.

    \b
    compare run prompts/basic.yaml --record
    compare replay latest

    RUN is a folder, or `latest`. The same request to the same model gets the same reply, byte for byte, at the
    recorded pace. `compare run SUITE --replay RUN` does not need this server.
    """
    from runner.simulator.replay import serve

    serve(run, host, port, fast=fast, announce=click.echo)

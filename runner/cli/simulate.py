"""`compare simulate`: run the simulator as a server for any client."""

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_faults


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port to listen on; 0 selects a free one.",
)
@click.option(
    "--fault",
    metavar="NAME",
    shell_complete=complete_faults,
    help="Inject this fault into every answer; `list` names them.",
)
def simulate(host: str, port: int, fault: str | None) -> None:
    """Run the simulator until Ctrl-C: an OpenAI-compatible server with a known clock.

    Its models are quick, steady, thinker and slow-start; sim/fault-NAME injects a fault into single answers.
    """
    from runner.simulator import faults
    from runner.simulator.server import serve

    if fault == "list":
        for name, described in faults.FAULTS.items():
            click.echo(f"{name:24} {described.description}")
        return
    serve(host, port, fault=fault, announce=click.echo)

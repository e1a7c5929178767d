"""`compare schema`: print the JSON Schema of suite files, for editors."""

import click

from runner.cli.command_groups import Command
from runner.cli.terminal import echo_json


@click.command(cls=Command)
def schema() -> None:
    """Print the JSON Schema of suite files, for editors that validate YAML."""
    import json

    from runner.suite.schema import json_schema

    echo_json(json.dumps(json_schema(), indent=2, ensure_ascii=False))

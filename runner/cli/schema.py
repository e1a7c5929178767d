"""`compare schema`: print the JSON Schema of suite files, for editors."""

import click

from runner.cli.command_groups import Command


@click.command(cls=Command)
def schema() -> None:
    """Print the JSON Schema of suite files, for editors that validate YAML."""
    import json

    from runner.cli.standard_streams import mark_result
    from runner.suite.schema import json_schema

    mark_result()
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))

"""`compare schema`: print the JSON Schema of suite files, for editors."""

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of suite files, for editors that validate YAML."""
    import json

    from runner.cli.standard_streams import mark_result
    from runner.suite.schema import json_schema

    mark_result()
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))

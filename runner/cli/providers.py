"""`compare providers`: list the known providers, and whether their keys are set."""

from pathlib import Path

import click

from runner.cli.command_groups import Command
from runner.cli.completion import complete_providers
from runner.cli.confirm import ask_about_hosts
from runner.cli.shared_options import allow_host_option, env_file_option, json_option
from runner.cli.terminal import PIPE_COLUMNS, echo_json, exact_stdout, terminal_columns
from runner.outputs.text.escape import one_line, printable


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_providers)
@click.option(
    "--models",
    "provider",
    metavar="NAME",
    shell_complete=complete_providers,
    help="List the models of this provider's GET /models instead.",
)
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Include the providers that this suite and the compare.yaml beside it define.",
)
@env_file_option
@allow_host_option
@json_option
def providers(
    name: str | None,
    provider: str | None,
    suite: Path | None,
    env_files: tuple[Path, ...],
    allow_hosts: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """List every provider: base URL, key variable, whether a key is set (never its value), default models.

    With a NAME, show that provider's whole row: regions, notes, unconfirmed facts, and sources.

    \b
    compare providers
    compare providers anthropic
    compare providers --models deepseek
    compare providers --models mine --suite prompts/mine.yaml
    """
    import json
    import os

    from runner.commands import providers as known
    from runner.commands.run.load_suite import load_suite
    from runner.outputs.providers import tabulate_providers
    from runner.providers.environment import read_environment

    if name is not None and provider is not None:
        raise click.UsageError("NAME shows a row, --models asks its endpoint. Give one of them.")
    start = suite or Path.cwd()
    registry = (load_suite(suite)[1] if suite else known.load_registry(start)).with_allowed_hosts(allow_hosts)
    environ = read_environment(env_files, start, os.environ)
    shown: object
    if provider is not None:
        shown = models = known.list_models(provider, registry, environ, ask_about_hosts)
        text = "\n".join(map(one_line, models))
    elif name is not None:
        shown, text = (
            known.describe_provider(name, registry),
            printable(known.provider_as_yaml(name, registry).rstrip()),
        )
    else:
        shown = rows = known.describe_providers(registry, environ)
        text = tabulate_providers(rows, terminal_columns(exact_stdout()) or PIPE_COLUMNS)
    if as_json:
        echo_json(json.dumps(shown, ensure_ascii=False, indent=None if provider else 2))
    else:
        click.echo(text)

"""`compare providers`: the known providers, and whether their keys are set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from runner.cli.confirm import ask_about_hosts
from runner.cli.options import allow_host_option, env_file_option
from runner.cli.terminal import echo_json, exact_stdout, terminal_columns
from runner.outputs.text.escape import one_line


@click.command()
@click.option("--models", "provider", metavar="NAME", help="List what this provider's GET /models says, instead.")
@env_file_option
@allow_host_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def providers(
    provider: str | None, env_files: tuple[Path, ...], allow_hosts: tuple[str, ...], *, as_json: bool
) -> None:
    """List every provider: base URL, key variable, whether a key is set (never its value), default models.

    \b
    compare providers
    compare providers --models deepseek
    """
    import json  # noqa: PLC0415
    import os  # noqa: PLC0415

    from runner.commands.providers import describe_providers, list_models, load_registry  # noqa: PLC0415 -- heavy
    from runner.providers.environment import read_environment  # noqa: PLC0415
    from runner.providers.trust import UntrustedHost  # noqa: PLC0415

    registry = load_registry(Path.cwd())
    environ = read_environment(env_files, Path.cwd(), os.environ)
    if provider is not None:
        try:
            models = list_models(provider, registry, environ, allow_hosts)
        except UntrustedHost as refusal:
            ask_about_hosts(refusal)
            models = list_models(provider, registry, environ, allow_hosts)
        if as_json:
            echo_json(json.dumps(models, ensure_ascii=False))
        else:
            click.echo("\n".join(map(one_line, models)))
        return
    rows = describe_providers(registry, environ)
    if as_json:
        echo_json(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        click.echo(tabulate_rows(rows, terminal_columns(exact_stdout())))


def tabulate_rows(rows: Sequence[Mapping[str, Any]], columns: int | None = None) -> str:
    """Return the rows as an aligned table; the base URLs are left out where they do not fit a terminal's columns."""
    from tabulate import tabulate  # noqa: PLC0415

    def describe_key(row: Mapping[str, Any]) -> str:
        if row["keyless"] and not row["key_present"]:
            return "not needed"
        return "set" if row["key_present"] else "not set"

    table = [
        (
            row["provider"],
            row["key_variable"] or "–",
            describe_key(row),
            ", ".join(row["models"]) or "–",
            row["base_url"] or "–",
        )
        for row in rows
    ]
    headers = ("provider", "key variable", "key", "default models", "base URL")
    whole = tabulate(table, headers=headers, tablefmt="simple", disable_numparse=True)
    if columns is None or max(map(len, whole.splitlines())) <= columns:
        return whole
    return tabulate([row[:-1] for row in table], headers=headers[:-1], tablefmt="simple", disable_numparse=True)

"""`compare providers`: whom the tool knows, and whose key is there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.options import env_file_option

if TYPE_CHECKING:
    from runner.providers.registry import Registry
    from runner.providers.row import Row


@click.command()
@click.option("--models", "asked", metavar="NAME", help="List what this provider's GET /models says, instead.")
@env_file_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def providers(asked: str | None, env_files: tuple[Path, ...], *, as_json: bool) -> None:
    """List every provider: base URL, key variable, whether a key is set (never its value), default models.

    \b
    compare providers
    compare providers --models deepseek
    """
    import json  # noqa: PLC0415
    import os  # noqa: PLC0415

    from runner.commands.run.perform import list_models  # noqa: PLC0415 -- heavy
    from runner.commands.run.prepare import load_registry  # noqa: PLC0415
    from runner.providers.environment import read_environment  # noqa: PLC0415

    registry = load_registry(Path.cwd())
    environ = read_environment(env_files, Path.cwd(), os.environ)
    if asked is not None:
        models = list_models(asked, registry, environ)
        click.echo(json.dumps(models, ensure_ascii=False) if as_json else "\n".join(models))
        return
    rows = [describe(id_, row, registry, environ) for id_, row in registry.rows.items()]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        click.echo(tabulate_rows(rows))


def describe(id_: str, row: "Row", registry: "Registry", environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what is to be told of a provider; of a key only whether it is there."""
    used = next((name for name in row.api_key_env if environ.get(name, "").strip()), None)
    return {
        "provider": id_,
        "label": row.label,
        "aliases": list(row.aliases),
        "base_url": row.base_url,
        "key_variable": used or next(iter(row.api_key_env), None),
        "key_present": used is not None,
        "keyless": row.keyless,
        "yours": id_ in registry.own,
        "models": list(row.models),
    }


def tabulate_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as an aligned table."""
    from tabulate import tabulate  # noqa: PLC0415

    def key(row: Mapping[str, Any]) -> str:
        if row["keyless"] and not row["key_present"]:
            return "not needed"
        return "y" if row["key_present"] else "n"

    table = [
        (
            row["provider"],
            row["key_variable"] or "–",
            key(row),
            row["base_url"] or "–",
            ", ".join(row["models"]) or "–",
        )
        for row in rows
    ]
    headers = ("provider", "key variable", "key", "base URL", "default models")
    return tabulate(table, headers=headers, tablefmt="simple", disable_numparse=True)

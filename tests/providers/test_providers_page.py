"""docs/providers.md agrees with the provider rows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from runner.providers.config_files import CONFIG_NAME, load_config
from runner.providers.provider_row import ProviderRow, ProviderRows
from runner.providers.registry import builtin

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


def expected_table() -> str:
    """Return the table of docs/providers.md of the built-in rows."""
    lines = ["| provider | also called | base URL | key's variable | default models |", "|---|---|---|---|---|"]
    for name, row in builtin().rows.items():
        urls = [row.base_url or f"from `{row.base_url_env[0]}`", *(f"{k}: {v}" for k, v in row.regions.items())]
        keys = [f"`{variable}`" for variable in row.api_key_env]
        cells = [
            f"`{name}`",
            ", ".join(row.aliases),
            "<br>".join(urls),
            ", ".join(keys) + (" (optional)" if row.keyless else ""),
            ", ".join(f"`{model}`" for model in row.models),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def expected_doubts() -> str:
    """Return the list of unconfirmed facts of the built-in rows."""
    return "\n".join(f"- `{name}`: {doubt}" for name, row in builtin().rows.items() for doubt in row.unconfirmed)


def expected_sources() -> str:
    """Return the list of the pages that the built-in rows were written from."""
    return "\n".join(
        f"- `{name}`, {row.as_of}: {' '.join(f'<{page}>' for page in row.sources)}"
        for name, row in builtin().rows.items()
        if row.sources
    )


def expected_fields() -> str:
    """Return the list of a row's keys as its model describes them."""
    return "\n".join(f"- `{name}`: {field.description}" for name, field in ProviderRow.model_fields.items())


@pytest.mark.parametrize("part", [expected_table, expected_doubts, expected_sources, expected_fields])
def test_the_providers_page_matches_the_rows(part: Callable[[], str]) -> None:
    """docs/providers.md has the table, the unconfirmed assumptions, the sources and the keys as the code has them."""
    assert part() in PAGE.read_text(encoding="utf-8")


def test_documented_configs_load(tmp_path: Path) -> None:
    """Every YAML block of docs/providers.md is a compare.yaml that loads."""
    blocks = [block.split("```")[0] for block in PAGE.read_text(encoding="utf-8").split("```yaml\n")[1:]]
    for block in blocks:
        path = tmp_path / CONFIG_NAME
        path.write_text(block, encoding="utf-8")
        assert load_config(path)
    assert blocks


def test_rows_survive_json() -> None:
    """Rows written as JSON are the same when they are read again."""
    adapter = TypeAdapter(ProviderRows)
    rows = dict(builtin().rows)
    assert adapter.validate_json(adapter.dump_json(rows)) == rows

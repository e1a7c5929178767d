"""Rows of providers: built-in ones, and one by the user."""

from runner.providers.provider_row import ProviderRow
from runner.providers.registry import Registry, builtin


def rows_of(provider: str, **fields: object) -> Registry:
    """Return the built-in registry with one row by the user."""
    return builtin().with_rows({provider: ProviderRow.model_validate(fields)})


def row_of(provider: str) -> ProviderRow:
    """Return a built-in row."""
    return builtin().rows[provider]

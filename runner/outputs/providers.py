"""Known providers as a table for a terminal."""

from collections.abc import Sequence
from typing import TypedDict

from tabulate import tabulate

from runner.outputs.text.number_format import MISSING
from runner.outputs.text.table import TextTable

HEADERS = ("provider", "key variable", "key", "default models", "base URL")


class ProviderDescription(TypedDict):
    """A provider's row and whether its key is set, as `compare providers --json` prints it."""

    provider: str
    label: str | None
    aliases: list[str]
    base_url: str | None
    key_variable: str | None
    key_present: bool
    keyless: bool
    only_named: bool
    yours: bool
    """Whether a compare.yaml defines the row."""
    models: list[str]
    """The default models."""
    notes: list[str]
    unconfirmed: list[str]
    sources: list[str]
    as_of: str | None
    """Date on which the row was checked, in ISO 8601."""


def tabulate_providers(providers: Sequence[ProviderDescription], columns: int) -> str:
    """Return providers as an aligned table; one that is wider than `columns` leaves out the base URLs.

    On an even narrower terminal, the other columns are split into several tables.
    """
    rows = [_cells(provider) for provider in providers]
    for shown in (len(HEADERS), len(HEADERS) - 1):
        table = [row[:shown] for row in rows]
        text = tabulate(table, headers=HEADERS[:shown], tablefmt="simple", disable_numparse=True)
        if max(map(len, text.splitlines())) <= columns:
            return text
    from runner.outputs.narrow_terminal_tables import SplitTable, plain_text  # noqa: PLC0415 -- brings rich

    return plain_text(SplitTable(TextTable(HEADERS[:shown], tuple(table), frozenset(range(shown)))), columns)


def _cells(provider: ProviderDescription) -> tuple[str, ...]:
    key = "set" if provider["key_present"] else "not needed" if provider["keyless"] else "not set"
    texts = provider["provider"], provider["key_variable"], key, ", ".join(provider["models"]), provider["base_url"]
    return tuple(text or MISSING for text in texts)

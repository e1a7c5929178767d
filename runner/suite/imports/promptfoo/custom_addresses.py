"""Convert the address of a promptfoo provider to a row of a suite's `providers`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from runner.document import Json
from runner.providers.base_url import is_on_this_machine
from runner.providers.provider_row import Row
from runner.suite.faults import NotImportable
from runner.suite.imports.imported_suite import refuse_unfit

OPENAI_LIKE = frozenset({"litellm", "llamafile", "localai", "openai", "vllm"})
"""promptfoo's prefixes of providers that speak OpenAI's protocol at an address of the user's."""

OTHER_ADDRESSES = frozenset({"azure", "azureopenai", "google", "ollama"})
"""Prefixes whose address is not a base URL of OpenAI's protocol."""

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- compared with, not bound to
"""The address that servers are bound to; as a URL's host it means this machine."""

_VARIABLE = re.compile(r"\{\{\s*env\.(\w+)\s*\}\}|\$\{(\w+)\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A provider's row, and the keys of promptfoo's `config` that it stands for; `note` is what the user must do."""

    wanted_id: str
    row: dict[str, Json]
    keys: tuple[str, ...]
    note: NotImportable | None

    def add_to(self, rows: dict[str, Json]) -> str:
        """Add the row to others under an unused id; return the id, which equal rows share."""
        id_, number = self.wanted_id, 2
        while id_ in rows and rows[id_] != self.row:
            id_, number = f"{self.wanted_id}-{number}", number + 1
        rows[id_] = self.row
        return id_


def own_row(id_: str, config: Mapping[str, Json]) -> OwnRow | None:
    """Return the row for a provider whose configuration has an address; None if it has none.

    Raises:
        NotImportable: the address cannot be a base URL.

    """
    prefix = id_.partition(":")[0]
    key = next((name for name in ("apiBaseUrl", "apiHost") if config.get(name)), None)
    if key is None or prefix in OTHER_ADDRESSES:
        return None
    written = str(config[key])
    row: dict[str, Json] = {}
    if variable := _variable_in(written):
        name, is_local = variable, False
        row["base_url_env"] = variable
    else:
        url = f"https://{written}/v1" if key == "apiHost" and "://" not in written else written.rstrip("/")
        row["base_url"] = url
        name, is_local = _host_of(url)
    provider = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "own"
    keys = _add_key(row, provider, config, is_local=is_local)
    refuse_unfit(row, Row, f"the `{key}` is not a base URL: ")
    return OwnRow(provider, row, (key, *keys), _note_on_key(row, prefix, config))


def _add_key(row: dict[str, Json], provider: str, config: Mapping[str, Json], *, is_local: bool) -> list[str]:
    """Add the source of the key to a row; return the keys of the configuration that name it."""
    named = config.get("apiKeyEnvar")
    of_key = _variable_in(str(config.get("apiKey") or ""))
    if isinstance(named, str) and named:
        row["api_key_env"] = named
        return ["apiKeyEnvar"]
    if of_key:
        row["api_key_env"] = of_key
        return ["apiKey"]
    if is_local:
        row["keyless"] = True
    else:
        row["api_key_env"] = f"{'' if provider[0].isalpha() else 'KEY_OF_'}{provider.upper().replace('-', '_')}_API_KEY"
    return []


def _note_on_key(row: Mapping[str, Json], prefix: str, config: Mapping[str, Json]) -> NotImportable | None:
    """Return what to do about the key if the configuration names no variable for it."""
    if "apiKeyEnvar" in config or "keyless" in row or _variable_in(str(config.get("apiKey") or "")):
        return None
    what = f"the key of `{prefix}` is not sent to another address"
    return NotImportable(what, f"Set {row['api_key_env']}, or correct `api_key_env` in the provider's row")


def _variable_in(written: str) -> str | None:
    found = _VARIABLE.fullmatch(written.strip())
    return next(filter(None, found.groups()), None) if found else None


def _host_of(url: str) -> tuple[str, bool]:
    """Return a URL's host and port, and whether that is this machine."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "own", False
    host = parts.hostname or "own"
    return (f"{host}-{port}" if port else host), host == ANY_ADDRESS or is_on_this_machine(url)

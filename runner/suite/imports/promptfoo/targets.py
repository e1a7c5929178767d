"""Import promptfoo's providers as targets, if they are chat models of a known provider or at the user's own address."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from runner.core.suite import Api
from runner.document import Json
from runner.providers.base_url import is_on_this_machine
from runner.providers.provider_row import ProviderRow
from runner.suite.errors import NotImportable
from runner.suite.imports.draft_suite import Draft, ImportSource, parameter_fault, refuse_unfit
from runner.suite.openai_rows import PARAMETERS
from runner.suite.schema import TargetSchema

PROVIDERS = MappingProxyType(
    {
        **dict.fromkeys(("alibaba", "alicloud", "aliyun", "dashscope"), "dashscope"),
        "anthropic": "anthropic",
        **dict.fromkeys(("azure", "azureopenai"), "azure"),
        "deepseek": "deepseek",
        "google": "gemini",
        "groq": "groq",
        "minimax": "minimax",
        "mistral": "mistral",
        "moonshot": "moonshot",
        "ollama": "ollama",
        "openai": "openai",
        "openrouter": "openrouter",
        "togetherai": "together",
        "xai": "xai",
    }
)
"""promptfoo's prefix -> the provider's id."""

NOT_CHATS = frozenset(
    {"assistant", "audio", "completion", "embedding", "embeddings", "image", "live", "moderation", "realtime"}
    | {"speech", "transcription", "video"}
)
APIS: Mapping[str, Api] = MappingProxyType({"messages": "messages", "responses": "responses"})
"""Part of an id between prefix and model -> API."""

API_OF_PREFIX: Mapping[str, Api] = MappingProxyType({"anthropic": "messages"})
"""Prefix -> API of an id without that part, if it is not the API of the provider's row."""

Targets = list[dict[str, Json]]

EFFORTS = MappingProxyType({"none": "off", "low": "low", "medium": "medium", "high": "high"})

OPENAI_LIKE = frozenset({"litellm", "llamafile", "localai", "openai", "vllm"})
"""promptfoo's prefixes of providers that speak OpenAI's protocol at an address of the user's."""

OTHER_ADDRESSES = frozenset({"azure", "azureopenai", "google", "ollama"})
"""Prefixes whose address is not a base URL of OpenAI's protocol."""

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- compared with, not bound to
"""The address that servers are bound to; as a URL's host it means this machine."""

_VARIABLE = re.compile(r"\{\{\s*env\.(\w+)\s*\}\}|\$\{(\w+)\}|\$(\w+)")


def read_targets(draft: Draft, config: ImportSource) -> tuple[Targets, dict[str, Json]]:
    """Return a configuration's targets and the provider rows they need; note the targets that cannot be imported."""
    key = next((key for key in ("providers", "targets") if config.get(key) is not None), None)
    if key is None:
        return [], {}
    written = config.at(key)
    targets: Targets = []
    rows: dict[str, Json] = {}
    for source in written.items():
        with draft.skipping(source):
            targets.append(_target(draft, source, targets, rows))
    if not targets:
        draft.skip(written, NotImportable("no target is left", "Name some with -m, or every configured one is asked"))
    return targets, rows


def _id_and_part(source: ImportSource) -> tuple[str, ImportSource]:
    """Return the id of a provider, and the part of the file with its configuration."""
    written = source.data
    if not isinstance(written, dict):
        return str(written), source
    if len(written) == 1 and "id" not in written:
        (id_,) = written  # the form `openai:gpt-5: {config: ...}`
        return id_, source.at(id_)
    return str(written.get("id")), source


def _target(draft: Draft, source: ImportSource, others: Targets, rows: dict[str, Json]) -> dict[str, Json]:
    id_, part = _id_and_part(source)
    config = part.get("config")
    row = own_row(id_, config) if isinstance(config, dict) else None
    provider, model, api = _name(id_, (*PROVIDERS, *OPENAI_LIKE) if row else tuple(PROVIDERS))
    if row:
        provider = row.add_to(rows)
    target: dict[str, Json] = {"provider": provider, "models": [model], **({"api": api} if api else {})}
    if (provider, [model]) in [(other["provider"], other["models"]) for other in others]:
        raise NotImportable(f"{provider}/{model} is a target already", "Give the provider a second id in `providers`")
    refuse_unfit(target, TargetSchema)
    if isinstance(part.data, dict):
        if "prompts" in part.data:
            hint = "Here a target is asked every case: split the file, or choose with -m"
            draft.skip(part.at("prompts"), NotImportable("`prompts` of a target has no counterpart", hint))
        draft.skip_keys(part, ("id", "label", "config", "prompts"), "Leave it out")
        target |= _parameters(draft, part, row.keys if row else ())
    if row and row.note:
        draft.skip(part, row.note)
    return target


def _name(id_: str, known: Collection[str]) -> tuple[str, str, Api | None]:
    """Return the provider, the model and the API that an id names; None for the API of the provider's row."""
    prefix, _, rest = id_.partition(":")
    if prefix not in known or not rest:
        hint = "Add it to `targets`; a provider that is not built in needs a row in `providers`"
        raise NotImportable(f"`{id_}` is none of the providers known here", hint)
    kind, _, behind = rest.partition(":")
    if kind in NOT_CHATS:
        raise NotImportable(f"`{id_}` is not a chat completion", "Add the model to `targets` if it can chat")
    is_kind = bool(behind) and kind in {"chat", *APIS}
    return (
        PROVIDERS.get(prefix, prefix),
        behind if is_kind else rest,
        APIS.get(kind) if is_kind else API_OF_PREFIX.get(prefix),
    )


def _parameters(draft: Draft, source: ImportSource, of_row: Collection[str]) -> dict[str, Json]:
    config = source.get("config")
    parameters: dict[str, Json] = {}
    for key in config if isinstance(config, dict) else ():
        if key in of_row:
            continue
        part = source.at("config", key)
        name, value = PARAMETERS.get(key), part.data
        if key == "reasoning_effort" and value in EFFORTS:
            name, value = "thinking", EFFORTS[str(value)]
        fault = parameter_fault(name, value) if name else _without_counterpart(key)
        if name is None or fault is not None:
            draft.skip(part, fault or _without_counterpart(key))
        else:
            parameters[name] = value
    return parameters


def _without_counterpart(key: str) -> NotImportable:
    hint = "Fields of a request's body go into `extra_body`, an address into the provider's row: docs/providers.md"
    if key.lower().startswith("apikey"):
        hint = "Keys come from the environment: `compare providers` names each provider's variable"
    return NotImportable(f"`{key}` has no counterpart", hint)


# Addresses of the user's own, which become rows of a suite's `providers`


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
    refuse_unfit(row, ProviderRow, f"the `{key}` is not a base URL: ")
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

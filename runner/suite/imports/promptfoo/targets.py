"""Import promptfoo's providers as targets, if they are chat models of a known provider."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from runner.core.suite import Api
from runner.document import Json
from runner.suite.faults import NotImportable
from runner.suite.imports.imported_suite import Draft, ImportSource, parameter_fault, refuse_unfit
from runner.suite.imports.promptfoo.custom_addresses import OPENAI_LIKE, own_row
from runner.suite.openai_batch import PARAMETERS
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


def read_targets(draft: Draft, config: ImportSource) -> tuple[Targets, dict[str, Json]]:
    """Return a configuration's targets and the provider rows they need; note the targets that cannot be imported."""
    key = next((key for key in ("providers", "targets") if config.get(key) is not None), None)
    if key is None:
        return [], {}
    written = config.at(key)
    targets: Targets = []
    rows: dict[str, Json] = {}
    for source in written.items():
        try:
            targets.append(_target(draft, source, targets, rows))
        except NotImportable as reason:
            draft.skip(source, reason)
    if not targets:
        draft.skip(written, NotImportable("no target is left", "Name some with -m, or every configured one is asked"))
    return targets, rows


def _id_and_place(source: ImportSource) -> tuple[str, ImportSource]:
    """Return the id of a provider, and the place of its configuration."""
    written = source.data
    if not isinstance(written, dict):
        return str(written), source
    if len(written) == 1 and "id" not in written:
        (id_,) = written  # the form `openai:gpt-5: {config: ...}`
        return id_, source.at(id_)
    return str(written.get("id")), source


def _target(draft: Draft, source: ImportSource, others: Targets, rows: dict[str, Json]) -> dict[str, Json]:
    id_, place = _id_and_place(source)
    config = place.get("config")
    row = own_row(id_, config) if isinstance(config, dict) else None
    provider, model, api = _name(id_, (*PROVIDERS, *OPENAI_LIKE) if row else tuple(PROVIDERS))
    if row:
        provider = row.add_to(rows)
    target: dict[str, Json] = {"provider": provider, "models": [model], **({"api": api} if api else {})}
    if (provider, [model]) in [(other["provider"], other["models"]) for other in others]:
        raise NotImportable(f"{provider}/{model} is a target already", "Give the provider a second id in `providers`")
    refuse_unfit(target, TargetSchema)
    if isinstance(place.data, dict):
        if "prompts" in place.data:
            hint = "Here a target is asked every case: split the file, or choose with -m"
            draft.skip(place.at("prompts"), NotImportable("`prompts` of a target has no counterpart", hint))
        draft.skip_keys(place, ("id", "label", "config", "prompts"), "Leave it out")
        target |= _parameters(draft, place, row.keys if row else ())
    if row and row.note:
        draft.skip(place, row.note)
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
        place = source.at("config", key)
        name, value = PARAMETERS.get(key), place.data
        if key == "reasoning_effort" and value in EFFORTS:
            name, value = "thinking", EFFORTS[str(value)]
        fault = parameter_fault(name, value) if name else _without_counterpart(key)
        if name is None or fault is not None:
            draft.skip(place, fault or _without_counterpart(key))
        else:
            parameters[name] = value
    return parameters


def _without_counterpart(key: str) -> NotImportable:
    hint = "Fields of a request's body go into `extra_body`, an address into the provider's row: docs/providers.md"
    if key.lower().startswith("apikey"):
        hint = "Keys come from the environment: `compare providers` names each provider's variable"
    return NotImportable(f"`{key}` has no counterpart", hint)

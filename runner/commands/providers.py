"""Describe the known providers: their rows, whether their keys are set, and the models they list."""

import os
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from runner.commands.allowed_hosts import AskUser, refuse_unallowed
from runner.commands.event_loop import run_async
from runner.core.target_name import SIMULATOR
from runner.document import write
from runner.errors import CompareError
from runner.outputs.providers import ProviderDescription
from runner.providers.config_files import with_configs
from runner.providers.endpoint import find_endpoint
from runner.providers.provider_row import ProviderRow
from runner.providers.redaction import Redactor, secrets_of
from runner.providers.registry import Registry, builtin, resolve_provider, with_plugins
from runner.simulator.model_names import MODEL_PREFIX, model_ids


def load_registry(start: Path) -> Registry:
    """Return the rows of the built-in providers and plug-ins, overridden by the user's and the nearest compare.yaml."""
    return with_configs(with_plugins(builtin()), start)


def describe_providers(registry: Registry, environ: Mapping[str, str]) -> list[ProviderDescription]:
    """Return plain data on each provider; for a key only whether it is set."""
    return [_describe(name, row, registry, environ) for name, row in registry.rows.items()]


def _describe(name: str, row: ProviderRow, registry: Registry, environ: Mapping[str, str]) -> ProviderDescription:
    used = next((variable for variable in row.api_key_env if environ.get(variable, "").strip()), None)
    return {
        "provider": name,
        "label": row.label,
        "aliases": list(row.aliases),
        "base_url": row.base_url,
        "key_variable": used or next(iter(row.api_key_env), None),
        "key_present": used is not None,
        "keyless": row.keyless,
        "only_named": row.only_named,
        "yours": name in registry.own,
        "models": list(row.models),
        "notes": list(row.notes),
        "unconfirmed": list(row.unconfirmed),
        "sources": list(row.sources),
        "as_of": row.as_of.isoformat() if row.as_of else None,
    }


def describe_provider(name: str, registry: Registry) -> dict[str, Any]:
    """Return a mapping from a provider's id to its row, without defaults and with header values hidden.

    Raises:
        CompareError: there is no such provider.

    """
    id_ = resolve_provider(name, registry)
    row: dict[str, Any] = registry.rows[id_].model_dump(mode="json", exclude_defaults=True)
    if "headers" in row:
        row["headers"] = dict.fromkeys(row["headers"], "(hidden)")
    return {id_: row}


def provider_as_yaml(name: str, registry: Registry) -> str:
    """Return a provider's row as YAML, in the form of a compare.yaml.

    Raises:
        CompareError: there is no such provider.

    """
    return write(describe_provider(name, registry))


def list_models(name: str, registry: Registry, environ: Mapping[str, str], ask: AskUser | None = None) -> list[str]:
    """Return the model ids of a provider's GET /models. The simulator's are known, since it runs only during a run.

    Raises:
        CompareError: there is no such provider, it has no key, or it does not list its models.
        HostNotAllowed: only a found file names the host, and the user has not allowed it.

    """
    provider = resolve_provider(name, registry)
    if provider == SIMULATOR:
        return [model.removeprefix(MODEL_PREFIX) for model in model_ids()]
    from runner.wire.client import Client, ProviderRefusal  # brings the SDK

    endpoint = find_endpoint(provider, registry, environ)
    refuse_unallowed([endpoint], registry, environ, ask)
    redactor = Redactor(secrets_of([endpoint], os.environ))

    async def request_models() -> list[str]:
        async with aclosing(Client(endpoint)) as client:
            return await client.list_models()

    try:
        return [redactor.in_header_text(model) for model in run_async(request_models)]
    except ProviderRefusal as refusal:
        status = f" {refusal.failed.http_status}" if refusal.failed.http_status else ""
        message = redactor.in_errors(refusal.failed.message)
        raise CompareError(f"{endpoint.provider}: {refusal.failed.outcome.value}{status}: {message}") from None

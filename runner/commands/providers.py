"""The providers that are known here: their rows, whether their keys are set, and the models they list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.commands.run.event_loop import run_async
from runner.errors import CompareError
from runner.providers.config import find_config, load_config
from runner.providers.endpoint import find_endpoint
from runner.providers.plugins import with_plugins
from runner.providers.redaction import Redactor
from runner.providers.registry import Registry, builtin
from runner.providers.row import Row
from runner.providers.target_name import resolve_provider


def load_registry(start: Path) -> Registry:
    """Return the built-in rows and those of plug-ins, overridden by those of the nearest compare.yaml."""
    registry, config = with_plugins(builtin()), find_config(start)
    return registry.with_rows(load_config(config)) if config else registry


def describe_providers(registry: Registry, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a mapping of plain values for each provider; of a key it has only whether it is set."""
    return [_describe(name, row, registry, environ) for name, row in registry.rows.items()]


def _describe(name: str, row: Row, registry: Registry, environ: Mapping[str, str]) -> dict[str, Any]:
    used = next((variable for variable in row.api_key_env if environ.get(variable, "").strip()), None)
    return {
        "provider": name,
        "label": row.label,
        "aliases": list(row.aliases),
        "base_url": row.base_url,
        "key_variable": used or next(iter(row.api_key_env), None),
        "key_present": used is not None,
        "keyless": row.keyless,
        "yours": name in registry.own,
        "models": list(row.models),
    }


def list_models(name: str, registry: Registry, environ: Mapping[str, str]) -> list[str]:
    """Return the ids that a provider's GET /models lists.

    Raises:
        CompareError: there is no such provider, it has no key, or it does not list its models.

    """
    from runner.wire.client import Client, ProviderRefusal  # noqa: PLC0415 -- brings the SDK

    endpoint = find_endpoint(resolve_provider(name, registry), registry, environ)
    redactor = Redactor([endpoint.key] if endpoint.key is not None else [])

    async def request_models() -> list[str]:
        client = Client(endpoint)
        try:
            return await client.list_models()
        finally:
            await client.aclose()

    try:
        return run_async(request_models)
    except ProviderRefusal as refusal:
        status = f" {refusal.failed.http_status}" if refusal.failed.http_status else ""
        message = redactor.in_errors(refusal.failed.message)
        raise CompareError(f"{endpoint.provider}: {refusal.failed.outcome.value}{status}: {message}") from None

"""Load providers from plug-ins: entry points of `compare.providers`, each an id and its row.

The error of a broken plug-in is stored and raised only for its own provider, so that others stay usable.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError

from runner.errors import BrokenPlugin
from runner.plugins import broken, load_plugin, plugin_names
from runner.providers.provider_row import Row, Rows
from runner.providers.registry import Registry


def with_plugins(registry: Registry) -> Registry:
    """Return a registry with the rows of all plug-ins added; they replace no built-in row."""
    errors: dict[str, str] = {}
    for name in plugin_names("compare.providers"):
        try:
            registry = registry.with_plugin_row(name, _load_row(name, registry))
        except BrokenPlugin as error:
            errors[name] = str(error)
    return replace(registry, plugin_errors=MappingProxyType(errors)) if errors else registry


def _load_row(name: str, registry: Registry) -> Row:
    row = _validated(name, load_plugin("compare.providers", name))
    taken = [each for each in (name, *row.aliases) if registry.resolve(each) is not None]
    if taken:
        raise broken("compare.providers", name, f"is called {taken[0]}, as another provider is")
    return row


def _validated(name: str, data: object) -> Row:
    if not isinstance(data, Mapping):
        raise broken("compare.providers", name, f"is {type(data).__name__}, and no mapping with the keys of a row")
    try:
        return TypeAdapter(Rows).validate_python({name: dict(data)})[name]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"][1:])) or name
        raise broken("compare.providers", name, f"is not a row: {place}: {first['msg']}") from None

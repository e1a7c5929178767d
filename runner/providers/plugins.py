"""Providers that other distributions bring: entry points of `compare.providers`, each an id and its row.

What is wrong with one plug-in is kept as a sentence about it alone: whoever asks another provider must not fail by it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError

from runner.errors import BrokenPlugin
from runner.plugins import broken, load_plugin, plugin_names
from runner.providers.registry import Registry
from runner.providers.row import Row, Rows


def with_plugins(registry: Registry) -> Registry:
    """Add the rows that plug-ins bring to the built-in ones; none of these is replaced."""
    faults: dict[str, str] = {}
    for name in plugin_names("compare.providers"):
        try:
            registry = registry.with_foreign_row(name, _row(name, registry))
        except BrokenPlugin as error:
            faults[name] = str(error)
    return registry.with_faults(MappingProxyType(faults)) if faults else registry


def _row(name: str, registry: Registry) -> Row:
    row = _read(name, load_plugin("compare.providers", name))
    taken = [each for each in (name, *row.aliases) if registry.resolve(each) is not None]
    if taken:
        raise broken("compare.providers", name, f"is called {taken[0]}, as another provider is")
    return row


def _read(name: str, data: object) -> Row:
    if not isinstance(data, Mapping):
        raise broken("compare.providers", name, f"is {type(data).__name__}, and no mapping with the keys of a row")
    try:
        return TypeAdapter(Rows).validate_python({name: dict(data)})[name]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"][1:])) or name
        raise broken("compare.providers", name, f"is no row: {place}: {first['msg']}") from None

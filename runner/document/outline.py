"""Which keys a model knows at each place, read off its JSON Schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from runner.document.nodes import Route

Schema = Mapping[str, Any]


class Outline:
    """The keys of a model and what they are for, by the route that leads to them from a document's top."""

    def __init__(self, schema: Schema, at: Route = ()) -> None:
        self._schema = schema
        self._at = at

    def keys(self, route: Route) -> tuple[str, ...]:
        """Return the keys known at a route."""
        return tuple(key for schema in self._at_route(route) for key in schema.get("properties", {}))

    def description(self, route: Route) -> str | None:
        """Return what the key at the end of a route is for."""
        for schema in self._at_route(route[:-1]):
            described = schema.get("properties", {}).get(route[-1], {}).get("description")
            if described is not None:
                return str(described)
        return None

    def home(self, key: str) -> str | None:
        """Return the top key that holds a mapping in which a key is known."""
        tops = self.keys(self._at)
        return next((top for top in tops if key in self.keys((*self._at, top))), None)

    def _at_route(self, route: Route) -> list[Schema]:
        schemas = list(self._branches(self._schema))
        for step in route[len(self._at) :]:
            schemas = [branch for schema in schemas for branch in self._below(schema, step)]
        return schemas

    def _below(self, schema: Schema, step: str | int) -> Iterator[Schema]:
        if isinstance(step, int):
            yield from self._branches(schema.get("items", {}))
        elif step in schema.get("properties", {}):
            yield from self._branches(schema["properties"][step])
        elif isinstance(schema.get("additionalProperties"), Mapping):
            yield from self._branches(schema["additionalProperties"])

    def _branches(self, schema: Schema) -> Iterator[Schema]:
        if "$ref" in schema:
            yield from self._branches(self._schema["$defs"][schema["$ref"].rpartition("/")[2]])
        for branch in schema.get("anyOf", ()):
            yield from self._branches(branch)
        yield schema

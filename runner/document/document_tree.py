"""The tree of a document: values with their positions in the file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runner.errors import InvalidFile, Problem

MAX_DEPTH = 32
SURROGATE = re.compile("[\ud800-\udfff]")
"""A lone surrogate: an escape can express it, but UTF-8 cannot encode it."""

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
Route = tuple[str | int, ...]
"""Keys and indices from the top of a document to a value."""


@dataclass(frozen=True, slots=True)
class Position:
    """A line and column of a file, counted from 1."""

    line: int
    column: int


START = Position(1, 1)
"""Place of a problem with a file as a whole."""

NOWHERE = Position(0, 0)
"""Place of a problem with a file that cannot be read, and so has no position."""


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A scalar; `written` is its text in the file, such as `1.10`, if the value is not a string."""

    value: str | float | bool | None
    position: Position
    written: str | None = None


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A sequence of nodes."""

    nodes: Sequence["Node"]
    position: Position


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping of keys to nodes, with the position of each key."""

    nodes: Mapping[str, "Node"]
    keys: Mapping[str, Position]
    position: Position


Node = ScalarNode | SequenceNode | MappingNode


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data with the position of each value; `problems` are those that did not prevent parsing."""

    path: str
    data: Json
    root: Node
    problems: tuple[Problem, ...] = ()

    def require_valid(self) -> "Document":
        """Return the document itself.

        Raises:
            InvalidFile: it has problems.

        """
        if self.problems:
            raise InvalidFile(self.problems)
        return self

    def value(self, route: Route) -> Json:
        """Return the value at the end of a route, which must exist."""
        data = self.data
        for step in route:
            assert isinstance(data, dict | list)
            data = data[step]  # type: ignore[index]
        return data

    def node(self, route: Route) -> Node | None:
        """Return the node at the end of a route."""
        node: Node | None = self.root
        for step in route:
            node = _child(node, step)
        return node

    def position(self, route: Route, *, of_key: bool = False) -> Position:
        """Return the position of a value, or of its key; if there is none, that of the innermost value around it."""
        node = self.root
        for depth, step in enumerate(route, 1):
            if of_key and depth == len(route) and isinstance(node, MappingNode) and step in node.keys:
                return node.keys[str(step)]
            following = _child(node, step)
            if following is None:
                break
            node = following
        return node.position

    def with_renamed_key(self, route: Route, key: str) -> "Document":
        """Return the document with the last key of a route renamed; all positions stay the same."""
        root = _renamed(self.root, route, key)
        return replace(self, data=_value_of(root), root=root)

    def problem(self, route: Route, what: str, hint: str, *, of_key: bool = False) -> Problem:
        """Return a problem at the position of a value, or of its key."""
        position = self.position(route, of_key=of_key)
        return Problem(self.path, position.line, position.column, what, hint)


def _renamed(node: Node, route: Route, key: str) -> Node:
    first, *rest = route
    if isinstance(node, SequenceNode):
        items = [_renamed(item, tuple(rest), key) if at == first else item for at, item in enumerate(node.nodes)]
        return replace(node, nodes=items)
    assert isinstance(node, MappingNode)
    if rest:
        return replace(node, nodes={**node.nodes, str(first): _renamed(node.nodes[str(first)], tuple(rest), key)})
    names = {name: key if name == first else name for name in node.nodes}
    return replace(
        node,
        nodes={names[name]: item for name, item in node.nodes.items()},
        keys={names[name]: position for name, position in node.keys.items()},
    )


def _value_of(node: Node) -> Json:
    if isinstance(node, MappingNode):
        return {name: _value_of(item) for name, item in node.nodes.items()}
    return [_value_of(item) for item in node.nodes] if isinstance(node, SequenceNode) else node.value


def document_of(data: Json, path: str, line: int, column: int = 1) -> Document:
    """Return data from another source, such as a line of JSON, as a document whose values all have one position.

    Raises:
        InvalidFile: the data is nested too deeply, or contains a lone surrogate.

    """
    return Document(path, data, _node_of(data, path, Position(line, column), 0))


def _node_of(value: Json, path: str, position: Position, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise invalid_file(path, position, f"values are nested deeper than {MAX_DEPTH} levels", "Flatten them")
    if isinstance(value, dict):
        nodes = {key: _node_of(item, path, position, depth + 1) for key, item in value.items()}
        return MappingNode(nodes, {}, position)
    if isinstance(value, list):
        return SequenceNode([_node_of(item, path, position, depth + 1) for item in value], position)
    if isinstance(value, str) and SURROGATE.search(value):
        raise invalid_file(path, position, "half of a character stands alone here", "Write the whole character")
    return ScalarNode(value, position, str(value) if type(value) is int else None)


def _child(node: Node | None, step: str | int) -> Node | None:
    if isinstance(node, MappingNode) and isinstance(step, str):
        return node.nodes.get(step)
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.nodes):
        return node.nodes[step]
    return None


def invalid_file(path: str, position: Position, what: str, hint: str) -> InvalidFile:
    """Return an error with one problem."""
    return InvalidFile([Problem(path, position.line, position.column, what, hint)])

"""Parse YAML text into a document, strictly and within bounds, from the events of PyYAML's parser."""

import re
from collections.abc import Iterator
from contextlib import suppress
from math import isfinite

import yaml

from runner.document.document_tree import (
    MAX_DEPTH,
    START,
    SURROGATE,
    Document,
    Json,
    MappingNode,
    Node,
    Position,
    ScalarNode,
    SequenceNode,
    invalid_file,
)
from runner.document.yaml_errors import QUOTE_BRACES, explain
from runner.errors import InvalidFile, Problem

MAX_YAML_BYTES = 1 << 20
MAX_VALUES = 100_000
FOREIGN_FACTOR = 64
"""Factor on the limits for a file of another tool."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader of libyaml where it is installed, twenty times faster than PyYAML's own."""

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,99}|(0|[1-9][0-9]{0,99})(\.[0-9]{0,99})?)([eE][-+]?[0-9]{1,3})?")
"""Bounded so that matching is fast; longer numbers stay text."""

_ValueEvent = yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent


def parse(text: str, path: str, *, foreign: bool = False) -> Document:
    """Return the document in YAML text; `path` is its name in messages.

    A `foreign` file is one of another tool: merge keys (`<<`) are resolved, and its limit is 64 MiB.

    Raises:
        InvalidFile: the text is empty, too large, or not valid.

    """
    max_bytes = MAX_YAML_BYTES * (FOREIGN_FACTOR if foreign else 1)
    if len(text) > max_bytes:
        hint = "Split it" if foreign else "Move the cases into a .yaml, .jsonl or .csv file that `cases_from` names"
        raise invalid_file(path, START, f"the text is larger than {max_bytes >> 20} MiB", hint)
    composer = _compose(text, path, foreign=foreign)
    if composer.root is None:
        raise invalid_file(path, START, "the file is empty", "Write at least one key")
    data = data_of(composer.root, path, foreign=foreign)
    return Document(path, data, composer.root, tuple(composer.problems))


def data_of(root: Node, path: str, *, foreign: bool = False) -> Json:
    """Return the value of a node with all values below it.

    Raises:
        InvalidFile: aliases expand beyond the bounds.

    """
    return _Expansion(path, FOREIGN_FACTOR if foreign else 1).data(root, 0)


def _compose(text: str, path: str, *, foreign: bool) -> "Composer":
    """Compose with the faster parser; take errors from PyYAML's own."""
    with suppress(yaml.YAMLError):
        return Composer(yaml.parse(text, Loader=LOADER), path, foreign=foreign).composed()
    try:
        return Composer(yaml.parse(text, Loader=yaml.SafeLoader), path, foreign=foreign).composed()
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise InvalidFile([explain(error, text, path)]) from None


class Composer:
    """Builds nodes from the parser's events; `root` is None if no document, or an empty one, was composed."""

    def __init__(self, events: Iterator[yaml.Event], path: str, *, foreign: bool = False) -> None:
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.is_complete = False
        """Whether all events of the item have been read."""
        self._path = path
        self._foreign = foreign
        self._max_values = MAX_VALUES * (FOREIGN_FACTOR if foreign else 1)
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._values = 0

    def composed(self) -> "Composer":
        """Return the composer itself, after it composed the document of all events.

        Raises:
            InvalidFile: it is not valid.

        """
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._compose_document(event)
        return self

    def item(self, event: yaml.Event) -> Node:
        """Return the node that begins with an event, and read the events up to its end.

        Raises:
            InvalidFile: it is not valid.

        """
        node = self._node(event, 0)
        self.is_complete = True
        return node

    def _compose_document(self, event: yaml.DocumentStartEvent) -> None:
        if self.root is not None:
            raise self._refuse(event, "a second document starts here", "Keep one document in a file, without `---`")
        root = self._node(next(self._events), 0)
        self.root = None if isinstance(root, ScalarNode) and root.written == "" else root

    def _refuse(self, event: yaml.Event, what: str, hint: str) -> InvalidFile:
        self._note(position_of(event), what, hint)
        return InvalidFile(self.problems)

    def _note(self, position: Position, what: str, hint: str) -> None:
        self.problems.append(Problem(self._path, position.line, position.column, what, hint))

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._values += 1
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"values are nested deeper than {MAX_DEPTH} levels", "Flatten them")
        if self._values > self._max_values:
            raise self._refuse(event, f"the file holds more than {self._max_values} values", "Split it")
        if isinstance(event, yaml.AliasEvent):
            return self._node_of_alias(event)
        assert isinstance(event, _ValueEvent)
        if event.tag is not None:
            self._note_tag(event)
        node = self._value(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _node_of_alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self._anchors:
            what = f"`*{event.anchor}` repeats a value, and none before it is named `&{event.anchor}`"
            raise self._refuse(event, what, "Put the text in quotes, if the asterisk belongs to it")
        return self._anchors[event.anchor]

    def _note_tag(self, event: _ValueEvent) -> None:
        tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
        hint = "Put the value in quotes, if the exclamation mark belongs to it; else remove it"
        self._note(position_of(event), f"the tag `{tag}` has no meaning here", hint)

    def _value(self, event: _ValueEvent, depth: int) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(position_of(event), depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(position_of(event), depth)
        if SURROGATE.search(event.value):
            raise self._refuse(event, "half of a character stands alone here", "Write the whole character")
        return _scalar(event)

    def _sequence(self, position: Position, depth: int) -> SequenceNode:
        nodes: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, depth + 1))
        return SequenceNode(nodes, position)

    def _mapping(self, position: Position, depth: int) -> MappingNode:
        nodes: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        merged: list[MappingNode] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if self._is_merge_key(event):
                merged += self._merged_mappings(event, self._node(next(self._events), depth + 1))
                continue
            key = self._key(event, depth)
            node = self._node(next(self._events), depth + 1)
            if key in keys:
                first = f"line {keys[key].line}, column {keys[key].column}"
                self._note(
                    position_of(event), f"the key `{key}` is repeated; it stands at {first} too", "Keep one of them"
                )
                continue
            nodes[key], keys[key] = node, position_of(event)
        for fields in merged:
            nodes = {**fields.nodes, **nodes}
            keys = {**fields.keys, **keys}
        return MappingNode(nodes, keys, position)

    def _is_merge_key(self, event: yaml.Event) -> bool:
        return self._foreign and isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]

    def _merged_mappings(self, event: yaml.Event, node: Node) -> list[MappingNode]:
        """Return the mappings that a merge key names; if two have the same key, the value of the first one counts."""
        named = [*node.nodes] if isinstance(node, SequenceNode) else [node]
        mappings = [each for each in named if isinstance(each, MappingNode)]
        if len(mappings) < len(named):
            self._note(
                position_of(event), "`<<` merges something that is not a mapping", "Name mappings, such as *defaults"
            )
        return mappings

    def _key(self, event: yaml.Event, depth: int) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            kind = "an alias" if isinstance(event, yaml.AliasEvent) else "a list or mapping"
            raise self._refuse(event, f"{kind} stands where a key belongs", QUOTE_BRACES)
        if event.value == "<<" and event.implicit[0]:
            raise self._refuse(event, "`<<` does not merge mappings here", "Write the keys out, or use `defaults`")
        self._node(event, depth)
        return event.value


class _Expansion:
    """Converts nodes to data, and refuses aliases that expand beyond the bounds."""

    def __init__(self, path: str, factor: int) -> None:
        self._path = path
        self._max_values, self._max_characters = MAX_VALUES * factor, MAX_YAML_BYTES * factor
        self._values = 0
        self._characters = 0

    def data(self, node: Node, depth: int) -> Json:
        """Return a node's value with all values below it.

        Raises:
            InvalidFile: aliases expand beyond the bounds.

        """
        self._values += 1
        if self._values > self._max_values or self._characters > self._max_characters or depth > MAX_DEPTH:
            raise invalid_file(self._path, node.position, "aliases repeat too much", "Write the values out")
        if isinstance(node, MappingNode):
            self._characters += sum(map(len, node.nodes))
            return {key: self.data(value, depth + 1) for key, value in node.nodes.items()}
        if isinstance(node, SequenceNode):
            return [self.data(value, depth + 1) for value in node.nodes]
        self._characters += len(node.value) if isinstance(node.value, str) else 0
        return node.value


def position_of(event: yaml.Event) -> Position:
    """Return where an event begins."""
    assert event.start_mark is not None
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _scalar(event: yaml.ScalarEvent) -> ScalarNode:
    text, position = event.value, position_of(event)
    if not event.implicit[0] or reads_as_text(text):
        return ScalarNode(text, position)
    return ScalarNode(_plain_value(text), position, text)


def reads_as_text(text: str) -> bool:
    """Return whether a scalar without quotes is text, and not a number, a truth value or null."""
    return type(_plain_value(text)) is str


def _plain_value(text: str) -> str | float | bool | None:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and isfinite(float(text)):
        return float(text)
    return text

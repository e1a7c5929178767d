"""Resolve the `$ref` of a promptfoo configuration: each stands for another part of the same file."""

from collections.abc import Mapping

from runner.document import Document, data_of
from runner.document.document_tree import MappingNode, Node, ScalarNode, SequenceNode, invalid_file

REFERENCE = "$ref"
MAX_NODES = 1_000_000


def resolve_references(document: Document) -> tuple[Document, frozenset[str]]:
    """Return a document with its local references resolved, and the top keys that contain their targets.

    A reference into another file, to nothing or to itself stays, so that the part with it is listed as not imported.

    Raises:
        InvalidFile: the references expand beyond the bounds of a file.

    """
    resolver = _Resolver(document)
    root = resolver.resolved(document.root, ())
    if not resolver.used:
        return document, frozenset()
    data = data_of(root, document.path, foreign=True)
    return Document(document.path, data, root, document.problems), frozenset(resolver.used)


class _Resolver:
    def __init__(self, document: Document) -> None:
        self.used: set[str] = set()
        self._root, self._path = document.root, document.path
        self._count = 0

    def resolved(self, node: Node, inside: tuple[str, ...]) -> Node:
        """Return a node with the references in it resolved; `inside` has the references that led to it.

        Raises:
            InvalidFile: the references expand beyond the bounds of a file.

        """
        self._count += 1
        if self._count > MAX_NODES:
            raise invalid_file(self._path, node.position, "references repeat too much", "Write the values out")
        if isinstance(node, SequenceNode):
            return SequenceNode([self.resolved(each, inside) for each in node.nodes], node.position)
        if not isinstance(node, MappingNode):
            return node
        pointer = _pointer(node.nodes)
        target = self._target(pointer) if pointer is not None and pointer not in inside else None
        if pointer is None or target is None:
            return MappingNode(
                {key: self.resolved(each, inside) for key, each in node.nodes.items()}, node.keys, node.position
            )
        self.used.add(pointer.split("/")[1])
        whole = self.resolved(target, (*inside, pointer))
        own = {key: self.resolved(each, inside) for key, each in node.nodes.items() if key != REFERENCE}
        if isinstance(whole, MappingNode) and own:
            return MappingNode({**whole.nodes, **own}, {**whole.keys, **node.keys}, node.position)
        return whole

    def _target(self, pointer: str) -> Node | None:
        node: Node | None = self._root
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, MappingNode):
                node = node.nodes.get(key)
            elif isinstance(node, SequenceNode) and key.isdecimal() and int(key) < len(node.nodes):
                node = node.nodes[int(key)]
            else:
                return None
        return node


def _pointer(nodes: Mapping[str, Node]) -> str | None:
    """Return the target of a mapping's reference within the file; None if it has none, or one into another file."""
    node = nodes.get(REFERENCE)
    written = node.value if isinstance(node, ScalarNode) else None
    return written if isinstance(written, str) and written.startswith("#/") else None

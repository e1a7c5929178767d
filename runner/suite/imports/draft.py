"""What the readers of foreign files have in common: a suite in the making, and the things it does without."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from runner.document import Document, Json, Route, document_of, validate
from runner.document.nodes import Scalar
from runner.errors import InvalidFile, Problem
from runner.suite.cases import Site, lay_out
from runner.suite.conversation import NotTaken
from runner.suite.schema import WrittenCase, WrittenDefaults

LONGEST_ID = 60


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A part of a foreign file: its document, and the route to it."""

    document: Document
    route: Route = ()

    @property
    def data(self) -> Json:
        """What is written there."""
        data = self.document.data
        for step in self.route:
            assert isinstance(data, dict | list)
            data = data[step]  # type: ignore[index]
        return data

    def at(self, *steps: str | int) -> "ImportSource":
        """Return a part of this part."""
        return ImportSource(self.document, (*self.route, *steps))

    def items(self) -> list["ImportSource"]:
        """Return the items of a list, or this part alone where it is none."""
        return [self.at(index) for index in range(len(self.data))] if isinstance(self.data, list) else [self]

    def problem(self, what: str, hint: str) -> Problem:
        """Return a problem at this place: at the key that leads to it, if one does."""
        return self.document.problem(self.route, what, hint, of_key=True)


@dataclass(slots=True)
class Draft:
    """A suite in the making; `left` are the things that were not taken, each with its place."""

    folder: Path
    head: dict[str, Json] = field(default_factory=dict)
    """Its top keys, the cases apart."""
    cases: list[dict[str, Json]] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def leave(self, source: ImportSource, fault: NotTaken) -> None:
        """Note that a part is not taken."""
        self.left.append(source.problem(fault.what, fault.hint))

    def leave_keys(self, source: ImportSource, keys: Iterable[str], taken: Iterable[str], hint: str) -> None:
        """Note every key of a mapping that has no counterpart."""
        for key in keys:
            if key not in {*taken}:
                self.left.append(source.at(key).problem(f"`{key}` has no counterpart", hint))

    def add(self, case: dict[str, Json], wanted_id: str, source: ImportSource) -> None:
        """Add a case under a name that is free, unless a suite would refuse it."""
        named: dict[str, Json] = {"id": self._free_id(wanted_id), **case}
        faults = faults_of(named, self.folder)
        self.left += [source.problem(f"no case of this: {fault.what}", fault.hint) for fault in faults]
        if not faults:
            self._ids.add(str(named["id"]))
            self.cases.append(named)

    def suite(self) -> dict[str, Json]:
        """Return the whole suite as data."""
        return {"version": 1, **self.head, "cases": [*self.cases]}

    def _free_id(self, wanted: str) -> str:
        id_, number = wanted, 2
        while id_ in self._ids:
            id_, number = f"{wanted}-{number}", number + 1
        return id_


def faults_of(case: dict[str, Json], folder: Path) -> tuple[Problem, ...]:
    """Return what a suite in a folder would say against a case."""
    try:
        document = document_of(case, "", 1)
        written = validate(document, WrittenCase)
        lay_out(written, Site(document, (), folder, in_suite=True), 1, WrittenDefaults())
    except InvalidFile as error:
        return error.problems
    return ()


def text_of(source: ImportSource) -> str | None:
    """Return a single value as it is written: 1.10 stays 1.10; None where there is none, or several."""
    node = source.document.node(source.route)
    if not isinstance(node, Scalar) or node.value is None:
        return None
    if isinstance(node.value, str):
        return node.value
    return node.written or ("true" if node.value is True else "false" if node.value is False else str(node.value))


def short_name(text: str) -> str:
    """Make a case's id of words: letters and digits of any language, joined by dashes; empty where there are none."""
    return "-".join(re.findall(r"\w+", text.lower()))[:LONGEST_ID].strip("-_")

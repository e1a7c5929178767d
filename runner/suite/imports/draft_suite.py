"""The suite that an import builds up, with the parts of the source file that it skips."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from runner.document import Document, Json, Route, document_of, validate
from runner.document.document_tree import ScalarNode
from runner.errors import InvalidFile, Problem
from runner.suite.cases import CaseLocation, expand_case
from runner.suite.errors import NotImportable
from runner.suite.schema import CaseSchema, DefaultsSchema
from runner.suite.suite_files import SuiteFiles

LONGEST_ID = 60


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A part of the file to import: its document, and the route to it."""

    document: Document
    route: Route = ()

    @property
    def data(self) -> Json:
        """The value at this place."""
        return self.document.value(self.route)

    @property
    def text(self) -> str | None:
        """A scalar as it is written, so that 1.10 stays 1.10; None for null, lists and mappings."""
        node = self.document.node(self.route)
        if not isinstance(node, ScalarNode) or node.value is None:
            return None
        if isinstance(node.value, str):
            return node.value
        return node.written or ("true" if node.value is True else "false" if node.value is False else str(node.value))

    def get(self, key: str) -> Json:
        """Return a member of a mapping; None if there is no such member, or the value is not a mapping."""
        return self.data.get(key) if isinstance(self.data, dict) else None

    def at(self, *steps: str | int) -> "ImportSource":
        """Return the part below this one at the given keys and indices."""
        return ImportSource(self.document, (*self.route, *steps))

    def items(self) -> list["ImportSource"]:
        """Return the items of a list; of any other value, this part alone."""
        return [self.at(index) for index in range(len(self.data))] if isinstance(self.data, list) else [self]

    def problem(self, what: str, hint: str) -> Problem:
        """Return a problem at this place, or at its key if it has one."""
        return self.document.problem(self.route, what, hint, of_key=True)


@dataclass(slots=True)
class Draft:
    """A suite under construction; `skipped` lists the parts that were not imported, each with its place."""

    folder: Path
    head: dict[str, Json] = field(default_factory=dict)
    """The suite's top keys, without the cases."""
    cases: list[dict[str, Json]] = field(default_factory=list)
    skipped: list[Problem] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def skip(self, source: ImportSource, reason: NotImportable) -> None:
        """Note that a part is not imported."""
        self.skipped.append(source.problem(reason.what, reason.hint))

    @contextmanager
    def skipping(self, source: ImportSource) -> Iterator[None]:
        """Note that a part is not imported if the body of the `with` raises NotImportable."""
        try:
            yield
        except NotImportable as reason:
            self.skip(source, reason)

    def skip_keys(self, source: ImportSource, known: Collection[str], hint: str) -> None:
        """Note every unknown key of a mapping as skipped."""
        for key in source.data if isinstance(source.data, dict) else ():
            if key not in known:
                self.skipped.append(source.at(key).problem(f"`{key}` has no counterpart", hint))

    def add(self, case: dict[str, Json], wanted_id: str, source: ImportSource) -> None:
        """Add a case under an unused id, or note why a suite would refuse the case."""
        named: dict[str, Json] = {"id": self._free_id(wanted_id), **case}
        problems = case_problems(named, self.folder)
        self.skipped += [source.problem(f"no case of this: {each.what}", each.hint) for each in problems]
        if not problems:
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


def case_problems(case: dict[str, Json], folder: Path) -> tuple[Problem, ...]:
    """Return the problems that a case would have in a suite of this folder."""
    try:
        document = document_of(case, "", 1)
        location = CaseLocation(document, (), SuiteFiles(folder), in_suite=True)
        expand_case(validate(document, CaseSchema), location, 1, DefaultsSchema())
    except InvalidFile as error:
        return error.problems
    return ()


def short_name(text: str) -> str:
    """Return an id made of a text's letters and digits, in any language, joined by dashes; empty if it has none."""
    return "-".join(re.findall(r"\w+", text.lower()))[:LONGEST_ID].strip("-_")


def refuse_unfit(data: Json, model: type[BaseModel], where: str = "") -> None:
    """Refuse data that do not fit the schema of a part of a suite.

    Raises:
        NotImportable: the first mistake, with `where` in front of the message.

    """
    try:
        validate(document_of(data, "", 1), model)
    except InvalidFile as error:
        raise NotImportable.of(error, where) from None


def parameter_fault(name: str, value: Json) -> NotImportable | None:
    """Return why a suite's parameter cannot have a value; None if it can."""
    try:
        refuse_unfit({name: value}, DefaultsSchema)
    except NotImportable as fault:
        return fault
    return None

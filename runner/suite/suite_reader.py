"""Read the parts of a suite, whether they come from a file or from Python data, and gather all of their problems."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from runner.core.suite import Case, Parameters, Suite, SuiteTarget
from runner.document import Document, Route, validate
from runner.errors import InvalidFile, Problem
from runner.providers.provider_row import ProviderRow
from runner.suite.cases import CaseLocation, expand_case
from runner.suite.digest import digest_of
from runner.suite.expectations import default_problems
from runner.suite.schema import CaseSchema, DefaultsSchema, JudgeSchema, ParametersSchema, TargetSchema
from runner.suite.suite_files import SuiteFiles
from runner.suite.suite_targets import KnownTargets, parameter_problems, read_judge
from runner.suite.tool_references import reference_problems, unused_results

MAX_CASES = 1_000_000
MAX_SUITE_CHARACTERS = 512 << 20

Layer = TypeVar("Layer", ParametersSchema, DefaultsSchema, TargetSchema, JudgeSchema)
Part = TypeVar("Part", bound=BaseModel)


class SuiteReader:
    """Reads parts of a suite that fit the schema; a problem is added to `problems`, and reading goes on.

    Args:
        folder: where the files that the suite names are.
        known: what its targets and its judge may name.

    """

    def __init__(self, folder: Path, known: KnownTargets) -> None:
        self.defaults = DefaultsSchema()
        self.folder = folder
        self.known = known
        self.files = SuiteFiles(folder)
        self.problems: list[Problem] = []
        self._characters = 0
        self._defaults_document: Document | None = None
        self._ids: dict[str, str] = {}

    def validated(self, document: Document, model: type[Part]) -> Part | None:
        """Return a document as a part of a suite; None, with its problems noted, if it does not fit the schema."""
        try:
            return validate(document, model)
        except InvalidFile as error:
            self.problems += error.problems
            return None

    def filled(self, layer: Layer, document: Document, route: Route) -> Layer:
        """Return parameters with the contents of the files that they name."""
        filled, problems = self.files.fill_in(layer, document, route)
        self.problems += problems
        return filled

    def read_defaults(self, defaults: DefaultsSchema, document: Document, route: Route) -> None:
        """Set the defaults, which hold for the cases that are read afterwards."""
        self.defaults, self._defaults_document = self.filled(defaults, document, route), document
        self.problems += parameter_problems(self.defaults, document, route)
        self.problems += default_problems(self.defaults, document, self.folder)

    def read_judge(self, judge: JudgeSchema | str, document: Document, route: Route) -> SuiteTarget:
        """Return the judge with its parameters."""
        written = JudgeSchema(target=judge) if isinstance(judge, str) else judge
        target = read_judge(self.filled(written, document, route))
        at = (*route, "target")
        self.problems += self.known.problems(target.provider, {at: target.models[0]}, document, at)
        self.problems += parameter_problems(written, document, route)
        return target

    def read_case(self, case: CaseSchema, location: CaseLocation, line: int) -> Iterator[Case]:
        """Yield the cases that a case stands for; `line` is as for `expand_case`.

        Raises:
            InvalidFile: the suite has too many cases or too much text.

        """
        if case.input is not None and case.input.text is not None:
            self.files.names[str(self.folder / case.input.text)] = None
        try:
            cases = expand_case(case, location, line, self.defaults)
        except InvalidFile as error:
            self.problems += error.problems
            cases = []
        if not cases and not case.matrix:
            self._check_id(case.id, location)
        for each in cases:
            self._check_id(each.id, location)
            self._check_size(each, location)
            self.files.names |= {file.path: None for file in each.attachments if file.path is not None}
            yield each

    def _check_id(self, id_: str, location: CaseLocation) -> None:
        position = location.document.position((*location.route, "id"))
        if id_ in self._ids:
            what = f"the id `{id_}` is taken by the case at {self._ids[id_]}"
            self.problems.append(location.problem(("id",), what, "Choose another"))
        self._ids.setdefault(id_, f"{location.document.path}:{position.line}")

    def _check_size(self, case: Case, location: CaseLocation) -> None:
        self._characters += sum(map(len, case.turns)) + sum(len(message.content) for message in case.history)
        if len(self._ids) > MAX_CASES or self._characters > MAX_SUITE_CHARACTERS:
            what = f"the suite holds more than {MAX_CASES} cases or {MAX_SUITE_CHARACTERS >> 20} MiB of text"
            raise InvalidFile([*self.problems, location.problem((), what, "Split it")])

    def refuse_problems(self) -> None:
        """Raise InvalidFile if anything that was read has problems."""
        if self.problems:
            raise InvalidFile(list(dict.fromkeys(self.problems)))

    def finished(self, suite: Suite, path: str, rows: Mapping[str, ProviderRow] | None = None) -> Suite:
        """Return a suite of the parts that were read, with its files and its digest; `rows` are its providers.

        Raises:
            InvalidFile: a case names a tool that its requests do not have; `path` is the place in the message.

        """
        targets = [*_parameters_of(suite)]
        problems = [*reference_problems(suite.cases, targets, path)]
        for name in unused_results(self.defaults.tool_results or {}, suite.cases, targets):
            assert self._defaults_document is not None
            what, hint = f"`tool_results` names `{name}`, a tool that no case has", "Correct the name, or remove it"
            problems.append(self._defaults_document.problem(("defaults", "tool_results", name), what, hint))
        if problems:
            raise InvalidFile(problems)
        plain = {id_: row.model_dump(mode="json", exclude_unset=True) for id_, row in (rows or {}).items()}
        return replace(suite, files=tuple(self.files.names), digest=digest_of(suite, plain))


def _parameters_of(suite: Suite) -> Iterator[Parameters]:
    """Yield the parameters of every listed target, or those of unlisted targets if none is listed."""
    for row in suite.targets:
        yield from (variant.parameters for variant in row.variants) if row.variants else (row.parameters,)
    if not suite.targets:
        yield from (variant.parameters for variant in suite.variants) if suite.variants else (suite.parameters,)

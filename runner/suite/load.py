"""Build a `Suite` from a YAML file.

Everything wrong with the input is reported in one error.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import RootModel

from runner.core.slo import parse_slo
from runner.core.suite import Case, Suite, SuiteTarget
from runner.document import Document, Json, Route, read, validate
from runner.errors import InvalidFile, Problem
from runner.providers.provider_row import ProviderRow
from runner.suite.cases import CaseLocation
from runner.suite.errors import UnusableFile
from runner.suite.recognise_columns import ColumnNames
from runner.suite.row_files import read_case_documents
from runner.suite.schema import (
    CaseSchema,
    CasesFromSchema,
    DefaultsSchema,
    JudgeName,
    JudgeSchema,
    ParametersSchema,
    SuiteSchema,
    TargetNameText,
    TargetSchema,
)
from runner.suite.suite_reader import Part, SuiteReader
from runner.suite.suite_targets import (
    KnownTargets,
    ModelFault,
    cross_variants,
    merge_parameters,
    no_model_fault,
    parameter_problems,
    suite_target,
    target_problems,
)

MISSING = "Check the path, or write a first suite with `compare init`"
TOO_LARGE = "Move the cases into a .yaml, .jsonl or .csv file that `cases_from` names"
MAX_FAULTY_ROWS = 20
"""Reading a case file stops after this many faulty rows."""

_Target = RootModel[TargetSchema | TargetNameText]
_Judge = RootModel[JudgeSchema | JudgeName]


def load(
    path: Path, known_providers: Collection[str], model_fault: ModelFault = no_model_fault
) -> tuple[Suite, Mapping[str, ProviderRow]]:
    """Return the suite in a file, and the provider rows in it.

    Args:
        path: the suite's file.
        known_providers: the ids and aliases that the suite may use, beside those of its own rows.
        model_fault: returns why a model cannot be asked.

    Raises:
        InvalidFile: the file, or a file that it names, has problems; the error lists all of them.

    """
    document = read(path, if_missing=MISSING, if_too_large=TOO_LARGE)
    return load_document(document, path, known_providers, model_fault)


def load_document(
    document: Document, path: Path, known_providers: Collection[str], model_fault: ModelFault = no_model_fault
) -> tuple[Suite, Mapping[str, ProviderRow]]:
    """Return the suite in a document, and its provider rows, as if the file `path` contained the document.

    Raises:
        InvalidFile: as for `load`.

    """
    return _FileReader(document, path, known_providers, model_fault).result()


class _FileReader(SuiteReader):
    """Reads one suite file: the whole file by the schema, then each part that is valid by itself."""

    def __init__(
        self, document: Document, path: Path, known_providers: Collection[str], model_fault: ModelFault
    ) -> None:
        self._document = document
        self._path = path
        super().__init__(path.parent, KnownTargets([*known_providers, *self._own_providers()], model_fault))

    def result(self) -> tuple[Suite, Mapping[str, ProviderRow]]:
        """Return the suite and its provider rows.

        Raises:
            InvalidFile: the file has problems; the error lists all of them.

        """
        whole = self.validated(self._document, SuiteSchema)
        if defaults := self._valid_part(DefaultsSchema, ("defaults",)):
            self.read_defaults(defaults, self._document, ("defaults",))
        variants = dict(self._valid_variants())
        cases = [*self._own_cases(), *self._cases_from_file()]
        if not cases and not self.problems:
            self.problems.append(self._nothing_to_ask())
        targets = dict(self._valid_targets())
        judge = self._own_judge()
        self._check_parameters(targets, variants)
        self._check_judge(cases)
        self.refuse_problems()
        assert whole is not None
        suite = Suite(
            name=whole.name or self._path.stem,
            cases=tuple(cases),
            digest="",
            description=whole.description,
            path=str(self._path),
            targets=tuple(suite_target(target, self.defaults, variants) for target in targets.values()),
            parameters=merge_parameters(self.defaults),
            variants=cross_variants((), merge_parameters(self.defaults), variants),
            repeat=self.defaults.repeat,
            slo=None if whole.slo is None else parse_slo(whole.slo),
            judge=judge,
        )
        return self.finished(suite, self._document.path, whole.providers), whole.providers

    def _nothing_to_ask(self) -> Problem:
        if self._value_at_top("cases_from"):
            return self._document.problem(("cases_from",), "this file holds no cases", "Add a row for each")
        return self._document.problem(("cases",), "there is nothing to ask", "Add `cases` or `cases_from`")

    def _valid_part(self, model: type[Part], route: Route) -> Part | None:
        """Return the part at a route if it is valid by itself, so that it is checked further even if others are not."""
        if self._document.node(route) is None:
            return None
        try:
            return validate(self._document, model, route)
        except InvalidFile:
            return None

    def _value_at_top(self, key: str) -> Json:
        return self._document.data.get(key) if isinstance(self._document.data, dict) else None

    def _valid_items(self, key: str, model: type[Part]) -> Iterator[tuple[Route, Part]]:
        items = self._value_at_top(key)
        for index in range(len(items) if isinstance(items, list) else 0):
            part = self._valid_part(model, (key, index))
            if part is not None:
                yield (key, index), part

    def _valid_variants(self) -> Iterator[tuple[str, ParametersSchema]]:
        written = self._value_at_top("variants")
        for name in written if isinstance(written, dict) else ():
            route = ("variants", name)
            part = self._valid_part(ParametersSchema, route) or ParametersSchema()  # its name is known all the same
            yield name, self.filled(part, self._document, route)

    def _valid_targets(self) -> Iterator[tuple[Route, TargetSchema | str]]:
        for route, part in self._valid_items("targets", _Target):
            target = part.root
            yield route, self.filled(target, self._document, route) if isinstance(target, TargetSchema) else target

    def _own_judge(self) -> SuiteTarget | None:
        part = self._valid_part(_Judge, ("judge",))
        return None if part is None else self.read_judge(part.root, self._document, ("judge",))

    def _own_cases(self) -> Iterator[Case]:
        for route, case in self._valid_items("cases", CaseSchema):
            location = CaseLocation(self._document, route, self.files, in_suite=True)
            yield from self.read_case(case, location, self._document.position(route).line)

    def _cases_from_file(self) -> Iterator[Case]:
        named = self._cases_from()
        if named is None:
            return
        line = self._document.position(("cases_from",), of_key=True).line
        hint = f"name the column: `cases_from: {{file: {named.file}, prompt: COLUMN}}`"
        names = ColumnNames(named.prompt, named.expected, named.image, named.attached_file, named.audio, hint)
        try:
            rows = read_case_documents(self.folder, named.file, names, self.defaults)
        except UnusableFile as error:
            self.problems.append(self._document.problem(("cases_from",), error.what, error.hint))
            return
        self.files.names[str(self.folder / named.file)] = None
        faulty_before = len(self.problems)
        for row in rows:
            yield from self._cases_of_row(row, line)
            if len(self.problems) - faulty_before >= MAX_FAULTY_ROWS:
                return

    def _cases_from(self) -> CasesFromSchema | None:
        """Return the file with cases and its columns; None if there is none, or if they are not valid."""
        written = self._value_at_top("cases_from")
        if isinstance(written, str | int | float) and written != "":
            return CasesFromSchema(file=str(written))
        return self._valid_part(CasesFromSchema, ("cases_from",)) if isinstance(written, dict) else None

    def _cases_of_row(self, row: Document | Problem, line: int) -> Iterator[Case]:
        if isinstance(row, Problem):
            self.problems.append(row)
        elif case := self.validated(row, CaseSchema):
            yield from self.read_case(case, CaseLocation(row, (), self.files, in_suite=False), line)

    def _check_parameters(
        self, targets: Mapping[Route, TargetSchema | str], variants: Mapping[str, ParametersSchema]
    ) -> None:
        """Note the problems of the targets and of all variants."""
        self.problems += target_problems(targets, variants, self.known, self._document)
        of_suite = ((("variants", name), variant) for name, variant in variants.items())
        for route, parameters in (*_with_variants(targets), *of_suite):
            self.problems += parameter_problems(parameters, self._document, route)

    def _own_providers(self) -> list[str]:
        """Return the ids and aliases of the file's own provider rows."""
        rows = self._value_at_top("providers")
        own = rows if isinstance(rows, dict) else {}
        listed = [row.get("aliases") for row in own.values() if isinstance(row, dict)]
        aliases = [alias for each in listed if isinstance(each, list) for alias in each if isinstance(alias, str)]
        return [*own, *aliases]

    def _check_judge(self, cases: Sequence[Case]) -> None:
        """Note a problem at the first rubric of a suite that names no judge."""
        if self._value_at_top("judge") is not None or not any("rubric" in case.expectations.checks for case in cases):
            return
        what, hint = "`rubric` is decided by a model, and the suite names none", "Add `judge: provider/model`"
        own = [at for at, case in self._valid_items("cases", CaseSchema) if case.checks and case.checks.rubric]
        if self.defaults.checks and self.defaults.checks.rubric:
            route: Route = ("defaults", "checks", "rubric")
        else:
            route = (*own[0], "checks", "rubric") if own else ("cases_from",)
        self.problems.append(self._document.problem(route, what, hint))


def _with_variants(targets: Mapping[Route, TargetSchema | str]) -> Iterator[tuple[Route, ParametersSchema]]:
    """Yield the parameters of targets and of their variants, each with its route."""
    for route, target in targets.items():
        if isinstance(target, TargetSchema):
            yield route, target
            yield from (((*route, "variants", name), each) for name, each in (target.variants or {}).items())

"""Build a `Suite` from a YAML file.

Everything wrong with the input is reported in one error.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, RootModel

from runner.core.slo import parse_slo
from runner.core.suite import Case, Parameters, Suite
from runner.document import Document, Json, Route, read, validate
from runner.errors import InvalidFile, Problem
from runner.providers.provider_row import Row
from runner.suite.cases import CaseLocation, expand_case
from runner.suite.digest import digest_of
from runner.suite.errors import UnusableFile
from runner.suite.expectations import default_problems
from runner.suite.named_files import NamedFiles
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
from runner.suite.suite_targets import (
    cross_variants,
    judge_problems,
    merge_parameters,
    parameter_problems,
    read_judge,
    suite_target,
    target_problems,
)
from runner.suite.tool_references import reference_problems, unused_results

TOO_LARGE = "Move the cases into a .yaml, .jsonl or .csv file that `cases_from` names"
MAX_FAULTY_ROWS = 20
"""Reading a case file stops after this many faulty rows."""

MAX_CASES = 1_000_000
MAX_CHARACTERS = 512 << 20

_Target = RootModel[TargetSchema | TargetNameText]
_Judge = RootModel[JudgeSchema | JudgeName]

Part = TypeVar("Part", bound=BaseModel)
Layer = TypeVar("Layer", ParametersSchema, DefaultsSchema, TargetSchema, JudgeSchema)


def load(path: Path, known_providers: Collection[str]) -> tuple[Suite, Mapping[str, Row]]:
    """Return the suite in a file, and the provider rows in it.

    `known_providers` are ids and aliases; the suite may use these and those of its own rows.

    Raises:
        InvalidFile: the file, or a file that it names, has problems; the error lists all of them.

    """
    return load_document(read(path, if_too_large=TOO_LARGE), path, known_providers)


def load_document(document: Document, path: Path, known_providers: Collection[str]) -> tuple[Suite, Mapping[str, Row]]:
    """Return the suite in a document, and its provider rows, as if the file `path` contained the document.

    Raises:
        InvalidFile: as for `load`.

    """
    return _SuiteReader(document, path.parent).result(known_providers, path)


class _SuiteReader:
    """Reads one suite file and gathers its problems instead of stopping at the first."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document = document
        self._folder = folder
        self._named = NamedFiles(folder)
        self._problems: list[Problem] = []
        self._defaults = self._valid_defaults()
        self._variants = dict(self._valid_variants())
        self._ids: dict[str, str] = {}
        self._characters = 0
        self._files: dict[str, None] = {}

    def result(self, known_providers: Collection[str], path: Path) -> tuple[Suite, Mapping[str, Row]]:
        """Return the suite and its provider rows.

        Raises:
            InvalidFile: the file has problems; the error lists all of them.

        """
        whole = self._valid_whole()
        cases = [*self._own_cases(), *self._cases_from_file()]
        if not cases and not self._problems:
            self._note(self._nothing_to_ask())
        self._targets = dict(self._valid_targets())
        judge = self._valid_judge()
        self._check_parameters(known_providers, judge)
        self._check_judge(cases)
        if self._problems or whole is None:
            raise InvalidFile(list(dict.fromkeys(self._problems)))
        suite = Suite(
            name=whole.name or path.stem,
            cases=tuple(cases),
            digest="",
            description=whole.description,
            path=str(path),
            targets=tuple(suite_target(target, self._defaults, self._variants) for target in self._targets.values()),
            parameters=merge_parameters(self._defaults),
            variants=cross_variants((), merge_parameters(self._defaults), self._variants),
            repeat=self._defaults.repeat,
            files=tuple({**self._files, **self._named.names}),
            slo=None if whole.slo is None else parse_slo(whole.slo),
            judge=None if judge is None else read_judge(judge),
        )
        self._refuse_unknown_tools(suite)
        rows = {id_: row.model_dump(mode="json", exclude_unset=True) for id_, row in whole.providers.items()}
        return replace(suite, digest=digest_of(suite, rows)), whole.providers

    def _refuse_unknown_tools(self, suite: Suite) -> None:
        """Raise InvalidFile if a case names a tool that its requests do not have."""
        targets = [*_parameters_of(suite)]
        problems = [*reference_problems(suite.cases, targets, self._document.path)]
        for name in unused_results(self._defaults.tool_results or {}, suite.cases, targets):
            what, hint = f"`tool_results` names `{name}`, a tool that no case has", "Correct the name, or remove it"
            problems.append(self._document.problem(("defaults", "tool_results", name), what, hint))
        if problems:
            raise InvalidFile(problems)

    def _note(self, *problems: Problem) -> None:
        self._problems.extend(problems)

    def _nothing_to_ask(self) -> Problem:
        if self._value_at_top("cases_from"):
            return self._document.problem(("cases_from",), "this file holds no cases", "Add a row for each")
        return self._document.problem(("cases",), "there is nothing to ask", "Add `cases` or `cases_from`")

    def _valid_whole(self) -> SuiteSchema | None:
        try:
            return validate(self._document, SuiteSchema)
        except InvalidFile as error:
            self._note(*error.problems)
            return None

    def _valid_part(self, model: type[Part], route: Route) -> Part | None:
        """Return the part at a route if it is valid by itself, so that it is checked further even if others are not."""
        try:
            return validate(self._document, model, route)
        except InvalidFile:
            return None

    def _value_at_top(self, key: str) -> Json:
        return self._document.data.get(key) if isinstance(self._document.data, dict) else None

    def _valid_defaults(self) -> DefaultsSchema:
        defaults = self._valid_part(DefaultsSchema, ("defaults",)) if self._value_at_top("defaults") else None
        return self._filled(defaults, ("defaults",)) if defaults else DefaultsSchema()

    def _filled(self, layer: Layer, route: Route) -> Layer:
        """Return parameters with the contents of the files that they name; note the problems with the files."""
        filled, problems = self._named.fill_in(layer, self._document, route)
        self._note(*problems)
        return filled

    def _valid_items(self, key: str, model: type[Part]) -> Iterator[tuple[Route, Part]]:
        items = self._value_at_top(key)
        for index in range(len(items) if isinstance(items, list) else 0):
            part = self._valid_part(model, (key, index))
            if part is not None:
                yield (key, index), part

    def _valid_variants(self) -> Iterator[tuple[str, ParametersSchema]]:
        written = self._value_at_top("variants")
        for name in written if isinstance(written, dict) else ():
            part = self._valid_part(ParametersSchema, ("variants", name))
            if part is not None:
                yield name, self._filled(part, ("variants", name))

    def _valid_targets(self) -> Iterator[tuple[Route, TargetSchema | str]]:
        for route, part in self._valid_items("targets", _Target):
            yield route, self._filled(part.root, route) if isinstance(part.root, TargetSchema) else part.root

    def _own_cases(self) -> Iterator[Case]:
        for route, case in self._valid_items("cases", CaseSchema):
            location = CaseLocation(self._document, route, self._named, in_suite=True)
            yield from self._expanded(case, location, self._document.place(route).line)

    def _cases_from_file(self) -> Iterator[Case]:
        named = self._cases_from()
        if named is None:
            return
        line = self._document.place(("cases_from",), of_key=True).line
        hint = f"name the column: `cases_from: {{file: {named.file}, prompt: COLUMN}}`"
        names = ColumnNames(named.prompt, named.expected, named.image, named.attached_file, named.audio, hint)
        try:
            rows = read_case_documents(self._folder, named.file, names, self._defaults)
        except UnusableFile as error:
            self._note(self._document.problem(("cases_from",), error.what, error.hint))
            return
        self._files[str(self._folder / named.file)] = None
        faulty_before = len(self._problems)
        for row in rows:
            yield from self._cases_of_row(row, line)
            if len(self._problems) - faulty_before >= MAX_FAULTY_ROWS:
                return

    def _cases_from(self) -> CasesFromSchema | None:
        """Return the file with cases and its columns; None if there is none, or if they are not valid."""
        written = self._value_at_top("cases_from")
        if isinstance(written, str | int | float) and written != "":
            return CasesFromSchema(file=str(written))
        return self._valid_part(CasesFromSchema, ("cases_from",)) if isinstance(written, dict) else None

    def _cases_of_row(self, row: Document | Problem, line: int) -> Iterator[Case]:
        if isinstance(row, Problem):
            self._note(row)
            return
        try:
            case = validate(row, CaseSchema)
        except InvalidFile as error:
            self._note(*error.problems)
            return
        yield from self._expanded(case, CaseLocation(row, (), self._named, in_suite=False), line)

    def _expanded(self, case: CaseSchema, location: CaseLocation, line: int) -> Iterator[Case]:
        if case.input is not None and case.input.text is not None:
            self._files[str(self._folder / case.input.text)] = None
        try:
            cases = expand_case(case, location, line, self._defaults)
        except InvalidFile as error:
            self._note(*error.problems)
            cases = []
        if not cases and not case.matrix:
            self._check_id(case.id, location)
        for each in cases:
            self._check_id(each.id, location)
            self._check_size(each, location)
            self._files |= {file.path: None for file in each.attachments if file.path is not None}
            yield each

    def _check_id(self, id_: str, location: CaseLocation) -> None:
        place = location.document.place((*location.route, "id"))
        if id_ in self._ids:
            what = f"the id `{id_}` is taken by the case at {self._ids[id_]}"
            self._note(location.problem(("id",), what, "Choose another"))
        self._ids.setdefault(id_, f"{location.document.path}:{place.line}")

    def _check_size(self, case: Case, location: CaseLocation) -> None:
        self._characters += sum(map(len, case.turns)) + sum(len(message.content) for message in case.history)
        if len(self._ids) > MAX_CASES or self._characters > MAX_CHARACTERS:
            what = f"the suite holds more than {MAX_CASES} cases or {MAX_CHARACTERS >> 20} MiB of text"
            raise InvalidFile([*self._problems, location.problem((), what, "Split it")])

    def _check_parameters(self, known_providers: Collection[str], judge: JudgeSchema | str | None) -> None:
        targets = self._targets
        known = self._known_providers(known_providers)
        variants = ((("variants", name), variant) for name, variant in self._variants.items())
        self._note(*target_problems(targets, self._variants, known, self._document))
        if judge is not None:
            self._note(*judge_problems(judge, known, self._document, ("judge",)))
        for route, parameters in [*_with_variants(targets), (("defaults",), self._defaults), *variants]:
            self._note(*parameter_problems(parameters, self._document, route))
        self._note(*default_problems(self._defaults, self._document, self._folder))

    def _known_providers(self, known: Collection[str]) -> list[str]:
        rows = self._value_at_top("providers")
        own = rows if isinstance(rows, dict) else {}
        aliases = [alias for row in own.values() if isinstance(row, dict) for alias in _strings_in(row.get("aliases"))]
        return [*known, *own, *aliases]

    def _valid_judge(self) -> JudgeSchema | str | None:
        part = None if self._value_at_top("judge") is None else self._valid_part(_Judge, ("judge",))
        judge = None if part is None else part.root
        return self._filled(judge, ("judge",)) if isinstance(judge, JudgeSchema) else judge

    def _check_judge(self, cases: Sequence[Case]) -> None:
        """Note a problem at the first rubric of a suite that names no judge."""
        if self._value_at_top("judge") is not None or not any("rubric" in case.expectations.checks for case in cases):
            return
        what, hint = "`rubric` is decided by a model, and the suite names none", "Add `judge: provider/model`"
        own = [route for route, case in self._valid_items("cases", CaseSchema) if case.checks and case.checks.rubric]
        if self._defaults.checks and self._defaults.checks.rubric:
            place: Route = ("defaults", "checks", "rubric")
        else:
            place = (*own[0], "checks", "rubric") if own else ("cases_from",)
        self._note(self._document.problem(place, what, hint))


def _with_variants(targets: Mapping[Route, TargetSchema | str]) -> Iterator[tuple[Route, ParametersSchema]]:
    """Yield the parameters of targets and of their variants, each with its route."""
    for route, target in targets.items():
        if isinstance(target, TargetSchema):
            yield route, target
            yield from (((*route, "variants", name), each) for name, each in (target.variants or {}).items())


def _parameters_of(suite: Suite) -> Iterator[Parameters]:
    """Yield the parameters of every listed target, or those of unlisted targets if none is listed."""
    for row in suite.targets:
        yield from (variant.parameters for variant in row.variants) if row.variants else (row.parameters,)
    if not suite.targets:
        yield from (variant.parameters for variant in suite.variants) if suite.variants else (suite.parameters,)


def _strings_in(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

"""A suite file becomes a `Suite`, or one error that names everything wrong with it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from runner.core.suite import Case, Parameters, Suite
from runner.document import Document, Json, Route, read, validate
from runner.errors import CompareError, InvalidFile, Problem
from runner.providers.row import Row
from runner.suite.cases import Site, lay_out
from runner.suite.digest import digest_of
from runner.suite.expectations import default_problems
from runner.suite.files import BadName, read_rows
from runner.suite.schema import WrittenCase, WrittenDefaults, WrittenSuite, WrittenTarget
from runner.suite.targets import lay_over, parameter_problems, suite_target, target_problems

MAX_FAULTY_ROWS = 20
"""After so many faulty rows of a case file the rest is not looked at."""

MAX_CASES = 1_000_000
MAX_CHARACTERS = 512 << 20

Part = TypeVar("Part", bound=BaseModel)


def load(path: Path, known_providers: Collection[str]) -> tuple[Suite, Mapping[str, Row]]:
    """Read a suite file; return the suite and the provider rows it brings.

    `known_providers` are ids and aliases; the suite may use these and those of its own rows.

    Raises:
        InvalidFile: something is wrong with the file, or with a file that it names; all of it is in the error.

    """
    return load_document(read(path), path, known_providers)


def load_document(document: Document, path: Path, known_providers: Collection[str]) -> tuple[Suite, Mapping[str, Row]]:
    """Read a suite as if it stood in a file; see `load`."""
    return _Reading(document, path.parent).result(known_providers, path)


def suite_from_prompts(
    prompts: Sequence[str], *, name: str = "ask", parameters: Parameters | None = None, repeat: int = 1
) -> Suite:
    """Return a suite that asks each prompt as it stands; raise `CompareError` where there is nothing to ask."""
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise CompareError("A prompt is empty. Write what to ask.")
    cases = tuple(Case(id=f"prompt-{number}", turns=(prompt,)) for number, prompt in enumerate(prompts, 1))
    suite = Suite(name=name, cases=cases, digest="", parameters=parameters or Parameters(), repeat=repeat)
    return replace(suite, digest=digest_of(suite, {}))


class _Reading:
    """The reading of one suite file, which gathers problems instead of stopping at the first."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document = document
        self._folder = folder
        self._problems: list[Problem] = []
        self._defaults = self._well_formed_defaults()
        self._ids: dict[str, str] = {}
        self._characters = 0

    def result(self, known_providers: Collection[str], path: Path) -> tuple[Suite, Mapping[str, Row]]:
        """Return what the file means; raise `InvalidFile` with every problem."""
        written = self._whole()
        cases = [*self._own_cases(), *self._cases_from_file()]
        if not cases and not self._problems:
            self._note(self._nothing_to_ask())
        self._check_parameters(known_providers)
        if self._problems or written is None:
            raise InvalidFile(list(dict.fromkeys(self._problems)))
        suite = Suite(
            name=written.name or path.stem,
            cases=tuple(cases),
            digest="",
            description=written.description,
            path=str(path),
            targets=tuple(suite_target(target, self._defaults) for target in written.targets or ()),
            parameters=lay_over(self._defaults),
            repeat=self._defaults.repeat,
        )
        rows = {id_: row.model_dump(mode="json", exclude_unset=True) for id_, row in written.providers.items()}
        return replace(suite, digest=digest_of(suite, rows)), written.providers

    def _note(self, *problems: Problem) -> None:
        self._problems.extend(problems)

    def _nothing_to_ask(self) -> Problem:
        if self._top("cases_from"):
            return self._document.problem(("cases_from",), "this file holds no cases", "Add a row for each")
        return self._document.problem((), "there is nothing to ask", "Add `cases` or `cases_from`")

    def _whole(self) -> WrittenSuite | None:
        try:
            return validate(self._document, WrittenSuite)
        except InvalidFile as error:
            self._note(*error.problems)
            return None

    def _part(self, model: type[Part], route: Route) -> Part | None:
        """Return a part that is well-formed by itself, so that it can be judged even if others are not."""
        try:
            return validate(self._document, model, route)
        except InvalidFile:
            return None

    def _top(self, key: str) -> Json:
        return self._document.data.get(key) if isinstance(self._document.data, dict) else None

    def _well_formed_defaults(self) -> WrittenDefaults:
        written = self._part(WrittenDefaults, ("defaults",)) if self._top("defaults") else None
        return written or WrittenDefaults()

    def _items(self, key: str, model: type[Part]) -> Iterator[tuple[Route, Part]]:
        items = self._top(key)
        for index in range(len(items) if isinstance(items, list) else 0):
            part = self._part(model, (key, index))
            if part is not None:
                yield (key, index), part

    def _own_cases(self) -> Iterator[Case]:
        for route, written in self._items("cases", WrittenCase):
            site = Site(self._document, route, self._folder, in_suite=True)
            yield from self._laid_out(written, site, self._document.place(route).line)

    def _cases_from_file(self) -> Iterator[Case]:
        name = self._top("cases_from")
        if not isinstance(name, str) or not name:
            return
        line = self._document.place(("cases_from",), of_key=True).line
        try:
            rows = read_rows(self._folder, name)
        except BadName as error:
            self._note(self._document.problem(("cases_from",), error.what, error.hint))
            return
        faulty_before = len(self._problems)
        for row in rows:
            yield from self._row(row, line)
            if len(self._problems) - faulty_before >= MAX_FAULTY_ROWS:
                return

    def _row(self, row: Document | Problem, line: int) -> Iterator[Case]:
        if isinstance(row, Problem):
            self._note(row)
            return
        try:
            written = validate(row, WrittenCase)
        except InvalidFile as error:
            self._note(*error.problems)
            return
        yield from self._laid_out(written, Site(row, (), self._folder, in_suite=False), line)

    def _laid_out(self, written: WrittenCase, site: Site, line: int) -> Iterator[Case]:
        try:
            cases = lay_out(written, site, line, self._defaults)
        except InvalidFile as error:
            self._note(*error.problems)
            cases = []
        if not cases and not written.matrix:
            self._check_id(written.id, site)
        for case in cases:
            self._check_id(case.id, site)
            self._check_size(case, site)
            yield case

    def _check_id(self, id_: str, site: Site) -> None:
        place = site.document.place((*site.route, "id"))
        if id_ in self._ids:
            what = f"the id `{id_}` is taken by the case at {self._ids[id_]}"
            self._note(site.problem(("id",), what, "Choose another"))
        self._ids.setdefault(id_, f"{site.document.path}:{place.line}")

    def _check_size(self, case: Case, site: Site) -> None:
        self._characters += sum(map(len, case.turns)) + sum(len(message.content) for message in case.history)
        if len(self._ids) > MAX_CASES or self._characters > MAX_CHARACTERS:
            what = f"the suite holds more than {MAX_CASES} cases or {MAX_CHARACTERS >> 20} MiB of text"
            raise InvalidFile([*self._problems, site.problem((), what, "Split it")])

    def _check_parameters(self, known_providers: Collection[str]) -> None:
        targets = dict(self._items("targets", WrittenTarget))
        rows = self._top("providers")
        own = rows if isinstance(rows, dict) else {}
        aliases = [alias for row in own.values() if isinstance(row, dict) for alias in _texts_in(row.get("aliases"))]
        self._note(*target_problems(targets, [*known_providers, *own, *aliases], self._document))
        for route, parameters in [*targets.items(), (("defaults",), self._defaults)]:
            self._note(*parameter_problems(parameters, self._document, route))
        self._note(*default_problems(self._defaults, self._document, self._folder))


def _texts_in(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

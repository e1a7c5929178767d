"""A suite made of data that a program hands over, held to the same rules as a suite file.

A problem's place is the number of the case, counted from 1, in the line of what would else be a file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.core.suite import Case, Suite
from runner.document import Json, document_of, validate
from runner.errors import InvalidFile, Problem
from runner.suite.cases import Site, lay_out
from runner.suite.digest import digest_of
from runner.suite.expectations import default_problems
from runner.suite.schema import WrittenCase, WrittenDefaults
from runner.suite.targets import lay_over, parameter_problems


def suite_of(cases: Sequence[Mapping[str, Json]], defaults: Mapping[str, Json], *, name: str) -> Suite:
    """Return the suite that would be read from a file with these `cases` and `defaults`.

    A text is a template only in a case that has `vars` or a `matrix`.

    Raises:
        InvalidFile: something is wrong with a case or with the defaults; all of it is in the error.

    """
    written = _read_defaults(defaults)
    problems: list[Problem] = []
    laid_out: list[Case] = []
    for number, case in enumerate(cases, 1):
        try:
            laid_out += _lay_out(case, number, name, written)
        except InvalidFile as error:
            problems += error.problems
    problems += [*_repeated(laid_out, name), *_functions(laid_out, name)]
    if not cases:
        problems.append(Problem(name, 1, 1, "there is nothing to ask", "Give one prompt at least"))
    if problems:
        raise InvalidFile(problems)
    suite = Suite(name=name, cases=tuple(laid_out), digest="", parameters=lay_over(written), repeat=written.repeat)
    return replace(suite, digest=digest_of(suite, {}))


def _read_defaults(defaults: Mapping[str, Json]) -> WrittenDefaults:
    document = document_of(dict(defaults), "defaults", 1)
    written = validate(document, WrittenDefaults)
    problems = [*parameter_problems(written, document, ()), *default_problems(written, document, Path.cwd())]
    if problems:
        raise InvalidFile(problems)
    return written


def _lay_out(case: Mapping[str, Json], number: int, name: str, defaults: WrittenDefaults) -> list[Case]:
    document = document_of(dict(case), name, number)
    written = validate(document, WrittenCase)
    return lay_out(written, Site(document, (), Path.cwd(), in_suite=False), number, defaults)


def _repeated(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for case in cases:
        number = case.line or 0
        if case.id in seen:
            what = f"the id `{case.id}` is taken by case {seen[case.id]}"
            yield Problem(name, number, 1, what, "Choose another")
        seen.setdefault(case.id, number)


def _functions(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    """Yield a problem for each check by a function: those are looked for beside a suite's file."""
    for case in cases:
        if "python" in case.demands.checks:
            what = f"the case `{case.id}` is checked by a function, which only a suite file can name"
            yield Problem(name, case.line or 0, 1, what, "Write the suite to a file")

"""Build a `Suite` from Python data or from bare prompts.

Everything wrong with the input is reported in one error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.core.parts import shown_text
from runner.core.suite import Case, Parameters, Suite
from runner.document import Json, document_of, validate
from runner.errors import CompareError, InvalidFile, Problem
from runner.suite.attachments import attach
from runner.suite.cases import CaseLocation, expand_case
from runner.suite.digest import digest_of
from runner.suite.expectations import default_problems
from runner.suite.named_files import NamedFiles
from runner.suite.schema import CaseSchema, DefaultsSchema
from runner.suite.targets import merge_parameters, parameter_problems
from runner.suite.tool_references import reference_problems


def suite_from_data(cases: Sequence[Mapping[str, Json]], defaults: Mapping[str, Json], *, name: str) -> Suite:
    """Return the suite that a file with these `cases` and `defaults` would give.

    A text is a template only in a case that has `vars` or a `matrix`. The line of a case, and of a problem with it,
    is the number of the case, counted from 1.

    Raises:
        InvalidFile: a case or the defaults have problems; the error lists all of them.

    """
    parameters = _defaults_from_data(defaults)
    problems: list[Problem] = []
    expanded: list[Case] = []
    for number, case in enumerate(cases, 1):
        try:
            expanded += _cases_from_data(case, number, name, parameters)
        except InvalidFile as error:
            problems += error.problems
    merged = merge_parameters(parameters)
    problems += [*_repeated_ids(expanded, name), *_named_functions(expanded, name)]
    problems += reference_problems(expanded, [merged], name)
    if not cases:
        problems.append(Problem(name, 1, 1, "there is nothing to ask", "Give one prompt at least"))
    if problems:
        raise InvalidFile(problems)
    return _with_digest(Suite(name, tuple(expanded), digest="", parameters=merged, repeat=parameters.repeat))


def suite_from_prompts(
    prompts: Sequence[str],
    *,
    name: str = "ask",
    parameters: Parameters | None = None,
    repeat: int = 1,
    attached: Sequence[Path] = (),
) -> Suite:
    """Return a suite that sends each prompt as it is, without templating, behind the attached files if there are any.

    Raises:
        CompareError: there is no prompt, or a blank one, or a file cannot be attached.

    """
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise CompareError("A prompt is empty. Write what to ask.")
    files = [attach(path) for path in attached]
    cases = tuple(
        Case(f"prompt-{number}", (shown_text([*files, prompt]),), parts=((*files, prompt),) if files else ())
        for number, prompt in enumerate(prompts, 1)
    )
    return _with_digest(Suite(name, cases, digest="", parameters=parameters or Parameters(), repeat=repeat))


def _with_digest(suite: Suite) -> Suite:
    return replace(suite, digest=digest_of(suite, {}))


def _defaults_from_data(data: Mapping[str, Json]) -> DefaultsSchema:
    document = document_of(dict(data), "defaults", 1)
    defaults, unusable = NamedFiles(Path.cwd()).fill_in(validate(document, DefaultsSchema), document, ())
    problems = [*unusable, *parameter_problems(defaults, document, ())]
    problems += default_problems(defaults, document, Path.cwd())
    if problems:
        raise InvalidFile(problems)
    return defaults


def _cases_from_data(data: Mapping[str, Json], number: int, name: str, defaults: DefaultsSchema) -> list[Case]:
    document = document_of(dict(data), name, number)
    case = validate(document, CaseSchema)
    return expand_case(case, CaseLocation(document, (), NamedFiles(Path.cwd()), in_suite=False), number, defaults)


def _repeated_ids(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for case in cases:
        number = case.line or 0
        if case.id in seen:
            what = f"the id `{case.id}` is taken by case {seen[case.id]}"
            yield Problem(name, number, 1, what, "Choose another")
        seen.setdefault(case.id, number)


def _named_functions(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    """Yield a problem for each check that names a function, since functions are read from beside a suite file."""
    for case in cases:
        for check, by in (("python", "a function"), ("rubric", "a judge")):
            if check in case.expectations.checks:
                what = f"the case `{case.id}` is checked by {by}, which only a suite file can name"
                yield Problem(name, case.line or 0, 1, what, "Write the suite to a file")

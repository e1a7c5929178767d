"""Build a `Suite` from Python data or from bare prompts.

Everything wrong with the input is reported in one error.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.core.attachment_parts import Attachment
from runner.core.suite import Case, Parameters, Suite, SuiteTarget
from runner.document import Json, document_of, validate
from runner.errors import CompareError, InvalidFile, Problem
from runner.suite.cases import CaseLocation, expand_case
from runner.suite.digest import digest_of
from runner.suite.expectations import default_problems
from runner.suite.named_files import NamedFiles
from runner.suite.schema import CaseSchema, DefaultsSchema, JudgeSchema
from runner.suite.suite_targets import judge_problems, merge_parameters, parameter_problems, read_judge
from runner.suite.tool_references import reference_problems


def suite_from_data(
    cases: Sequence[Mapping[str, Json]],
    defaults: Mapping[str, Json],
    *,
    name: str,
    judge: Mapping[str, Json] | str | None = None,
    known_providers: Collection[str] = (),
) -> Suite:
    """Return the suite that a file with these `cases`, `defaults` and `judge` would give.

    A text is a template only in a case that has `vars` or a `matrix`. The line of a case, and of a problem with it,
    is the number of the case, counted from 1. Files that are named, functions of checks among them, are looked up in
    the working directory. The judge's provider must be among `known_providers`, ids and aliases.

    Raises:
        InvalidFile: a case, the defaults or the judge have problems; the error lists all of them.

    """
    parameters, problems = _defaults_from_data(defaults)
    judging, of_judge = _judge_from_data(judge, known_providers)
    problems += of_judge
    expanded: list[Case] = []
    for number, case in enumerate(cases, 1):
        try:
            expanded += _cases_from_data(case, number, name, parameters)
        except InvalidFile as error:
            problems += error.problems
    merged = merge_parameters(parameters)
    problems += _repeated_ids(expanded, name)
    if judge is None:
        problems += _rubrics_without_judge(expanded, name)
    problems += reference_problems(expanded, [merged], name)
    if not cases:
        problems.append(Problem(name, 1, 1, "there is nothing to ask", "Give one prompt at least"))
    if problems:
        raise InvalidFile(problems)
    suite = Suite(name, tuple(expanded), digest="", parameters=merged, repeat=parameters.repeat, judge=judging)
    return _with_digest(suite)


def suite_from_prompts(
    prompts: Sequence[str],
    *,
    name: str = "ask",
    parameters: Parameters | None = None,
    attached: Sequence[Attachment] = (),
) -> Suite:
    """Return a suite that sends each prompt as it is, without templating, after the attachments if there are any.

    Raises:
        CompareError: there is no prompt, or a blank one.

    """
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise CompareError("A prompt is empty. Write what to ask.")
    numbered = enumerate(prompts, 1)
    cases = tuple(Case(f"prompt-{number}", (prompt,)).with_attached([attached]) for number, prompt in numbered)
    return _with_digest(Suite(name, cases, digest="", parameters=parameters or Parameters()))


def suite_from_turns(
    turns: Sequence[str],
    attached: Sequence[Sequence[Attachment]],
    parameters: Mapping[str, Json],
    *,
    name: str,
) -> Suite:
    """Return a suite of one conversation, with the attachments of each turn, and parameters as in a suite file.

    Raises:
        InvalidFile: a turn is blank, or the parameters have problems.

    """
    asked: dict[str, Json] = {"prompt": turns[0]} if len(turns) == 1 else {"turns": list(turns)}
    suite = suite_from_data([{"id": name, **asked}], parameters, name=name)
    (case,) = suite.cases
    return _with_digest(replace(suite, cases=(case.with_attached(attached),)))


def _with_digest(suite: Suite) -> Suite:
    return replace(suite, digest=digest_of(suite, {}))


def _defaults_from_data(data: Mapping[str, Json]) -> tuple[DefaultsSchema, list[Problem]]:
    """Return the defaults and the problems with them; defaults that do not fit the schema are replaced by its own."""
    document = document_of(dict(data), "defaults", 1)
    try:
        defaults, unusable = NamedFiles(Path()).fill_in(validate(document, DefaultsSchema), document, ())
    except InvalidFile as error:
        return DefaultsSchema(), list(error.problems)
    problems = [*unusable, *parameter_problems(defaults, document, ())]
    return defaults, [*problems, *default_problems(defaults, document, Path())]


def _judge_from_data(
    judge: Mapping[str, Json] | str | None, known: Collection[str]
) -> tuple[SuiteTarget | None, list[Problem]]:
    """Return the judge and the problems with it; None for a judge that is missing or cannot be used."""
    if judge is None:
        return None, []
    document = document_of({"target": judge} if isinstance(judge, str) else dict(judge), "judge", 1)
    try:
        written, unusable = NamedFiles(Path()).fill_in(validate(document, JudgeSchema), document, ())
    except InvalidFile as error:
        return None, list(error.problems)
    return read_judge(written), [*unusable, *judge_problems(written, known, document, ())]


def _cases_from_data(data: Mapping[str, Json], number: int, name: str, defaults: DefaultsSchema) -> list[Case]:
    document = document_of(dict(data), name, number)
    case = validate(document, CaseSchema)
    return expand_case(case, CaseLocation(document, (), NamedFiles(Path()), in_suite=False), number, defaults)


def _repeated_ids(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for case in cases:
        number = case.line or 0
        if case.id in seen:
            what = f"the id `{case.id}` is taken by case {seen[case.id]}"
            yield Problem(name, number, 1, what, "Choose another")
        seen.setdefault(case.id, number)


def _rubrics_without_judge(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    """Yield a problem for each case with a rubric, since there is no judge."""
    for case in cases:
        if "rubric" in case.expectations.checks:
            what = f"the case `{case.id}` has a rubric, which a model decides, and none is named"
            yield Problem(name, case.line or 0, 1, what, 'Name one: judge="provider/model"')

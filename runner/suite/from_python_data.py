"""Build a `Suite` from Python data or from bare prompts.

Everything wrong with the input is reported in one error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.core.attachment_parts import Attachment
from runner.core.suite import Case, Parameters, Suite
from runner.document import Document, Json, document_of, validate
from runner.errors import CompareError, InvalidFile, Problem
from runner.suite.cases import CaseLocation
from runner.suite.digest import digest_of
from runner.suite.schema import CaseSchema, DefaultsSchema, JudgeSchema
from runner.suite.suite_reader import Part, SuiteReader
from runner.suite.suite_targets import KnownTargets, merge_parameters


def suite_from_data(
    cases: Sequence[Mapping[str, Json]],
    defaults: Mapping[str, Json],
    *,
    name: str,
    judge: Mapping[str, Json] | str | None = None,
    known: KnownTargets | None = None,
) -> Suite:
    """Return the suite that a file with these `cases`, `defaults` and `judge` would give.

    A text is a template only in a case that has `vars` or a `matrix`. The line of a case, and of a problem with it,
    is the number of the case, counted from 1. Files that are named, functions of checks among them, are looked up in
    the working directory. The judge must be among those that are `known`.

    Raises:
        InvalidFile: a case, the defaults or the judge have problems; the error lists all of them.

    """
    reader = _DataReader(Path(), known or KnownTargets(()))
    if found := reader.valid(defaults, "defaults", 1, DefaultsSchema):
        reader.read_defaults(*found, ())
    named = {"target": judge} if isinstance(judge, str) else judge
    found_judge = None if named is None else reader.valid(named, "judge", 1, JudgeSchema)
    judging = reader.read_judge(*found_judge, ()) if found_judge else None
    expanded = [case for number, data in enumerate(cases, 1) for case in reader.cases_of(data, name, number)]
    if judge is None:
        reader.problems += _rubrics_without_judge(expanded, name)
    if not cases:
        reader.problems.append(Problem(name, 1, 1, "there is nothing to ask", "Give one prompt at least"))
    reader.refuse_problems()
    merged = merge_parameters(reader.defaults)
    suite = Suite(name, tuple(expanded), digest="", parameters=merged, repeat=reader.defaults.repeat, judge=judging)
    return reader.finished(suite, name)


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


class _DataReader(SuiteReader):
    """Reads each part of a suite as a document of its own."""

    def valid(self, data: Mapping[str, Json], path: str, line: int, model: type[Part]) -> tuple[Part, Document] | None:
        """Return data as a part of a suite and as a document; None, with its problems noted, if it does not fit."""
        try:
            document = document_of(dict(data), path, line)
            return validate(document, model), document
        except InvalidFile as error:
            self.problems += error.problems
            return None

    def cases_of(self, data: Mapping[str, Json], name: str, number: int) -> Iterator[Case]:
        """Yield the cases that the case of this number stands for."""
        if found := self.valid(data, name, number, CaseSchema):
            case, document = found
            yield from self.read_case(case, CaseLocation(document, (), self.files, in_suite=False), number)


def _rubrics_without_judge(cases: Sequence[Case], name: str) -> Iterator[Problem]:
    """Yield a problem for each case with a rubric, since there is no judge."""
    for case in cases:
        if "rubric" in case.expectations.checks:
            what = f"the case `{case.id}` has a rubric, which a model decides, and none is named"
            yield Problem(name, case.line or 0, 1, what, 'Name one: judge="provider/model"')

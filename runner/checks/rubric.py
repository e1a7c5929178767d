"""The check `rubric`: the stored answers of the suite's judge, a model that was asked after the run.

Reading a journal sends no request. If the judge's request failed, or its answer says neither pass nor fail, the check
does not decide.
"""

from dataclasses import dataclass

from runner.checks.answer_text import answer_of, as_tuple, quote
from runner.checks.check_finding import PASSED, CheckFinding, CheckVerdict, failed, undecided
from runner.core.failure_kinds import NO_MESSAGE
from runner.core.judge_prompt import read_verdict, write_reply
from runner.core.record import Record
from runner.core.record_fields import JudgeAnswer


def rubrics_met(record: Record, wanted: object) -> CheckFinding:
    """Pass if the judge says that the reply meets every rubric; fail with its reason for the first that is not met."""
    answers = record.judgements or {}
    findings = [find_verdict(answers.get(rubric)) for rubric in as_tuple(wanted)]
    worst = (CheckVerdict.FAILED, CheckVerdict.UNDECIDED)
    return next((each for verdict in worst for each in findings if each.verdict is verdict), PASSED)


def judged_text(record: Record) -> str | None:
    """Return a reply as it is shown to a judge, with its tool calls; None if the answer was not stored."""
    answer = answer_of(record)
    return None if answer is None else write_reply(answer, record.calls)


@dataclass(frozen=True, slots=True)
class RubricVerdict:
    """A judge's verdict on a reply by one rubric, and its reason."""

    rubric: str
    verdict: CheckVerdict
    why: str | None


def rubric_verdicts(record: Record, wanted: object) -> list[RubricVerdict]:
    """Return the verdict on each rubric that a judge was asked about a record, with its reason, also for a pass."""
    found, answers = [], record.judgements or {}
    for rubric, answer in ((each, answers[each]) for each in as_tuple(wanted) if each in answers):
        finding = find_verdict(answer)
        read = None if answer.text is None else read_verdict(answer.text)
        found.append(RubricVerdict(rubric, finding.verdict, finding.why if read is None else read[1]))
    return found


def find_verdict(answer: JudgeAnswer | None) -> CheckFinding:
    """Return what a judge's answer says on one rubric."""
    if answer is None:
        return undecided("the judge was not asked")
    if answer.text is None:
        return undecided(f"{answer.judge}, the judge, did not answer: {answer.error or NO_MESSAGE}")
    found = read_verdict(answer.text)
    if found is None:
        return undecided(f"{answer.judge}, the judge, gave no clear verdict: {quote(answer.text)}")
    passed, reason = found
    return PASSED if passed else failed(f"{answer.judge}: {reason or 'no reason given'}")

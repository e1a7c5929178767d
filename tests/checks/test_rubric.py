"""The check `rubric`, which reads a judge's stored answers."""

import pytest

from runner.checks.apply_checks import apply_checks
from runner.checks.check_finding import CheckVerdict
from runner.checks.rubric import rubric_verdicts
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, JudgeAnswer, Timestamps

YES, NO = '{"reason": "it does", "pass": true}', '{"reason": "it does not", "pass": false}'
BY = "acme/judge"


def record(**answers: JudgeAnswer) -> Record:
    """Return a record with a judge's answers, by rubric."""
    identity = Identity("k", "case", 1, 1, 1, "p", "m", "hi", simulated=False)
    return Record(identity, Timestamps(), Outcome.OK, reply="hello", judgements=answers or None)


@pytest.mark.parametrize(
    ("answers", "verdict", "why"),
    [
        ({"kind": YES, "short": YES}, CheckVerdict.PASSED, None),
        ({"kind": YES, "short": NO}, CheckVerdict.FAILED, "acme/judge: it does not"),
        ({"kind": "Hm.", "short": NO}, CheckVerdict.FAILED, "acme/judge: it does not"),
        ({"kind": "Hm.", "short": YES}, CheckVerdict.UNDECIDED, "acme/judge, the judge, gave no clear verdict: “Hm.”"),
        ({"kind": YES}, CheckVerdict.UNDECIDED, "the judge was not asked"),
        ({}, CheckVerdict.UNDECIDED, "the judge was not asked"),
    ],
)
def test_a_reply_passes_if_the_judge_finds_every_rubric_met(
    answers: dict[str, str], verdict: CheckVerdict, why: str | None
) -> None:
    """One unmet rubric fails it, and one without a clear answer leaves it undecided."""
    judged = record(**{rubric: JudgeAnswer(BY, text) for rubric, text in answers.items()})
    found = apply_checks({"rubric": ["kind", "short"]}, judged, cost=None, is_last_turn=True)["rubric"]
    assert (found.verdict, found.why) == (verdict, why)


def test_a_judge_that_failed_decides_nothing() -> None:
    """The reason names the judge and its error."""
    judged = record(kind=JudgeAnswer(BY, None, "503 overloaded"))
    found = apply_checks({"rubric": "kind"}, judged, cost=None, is_last_turn=True)["rubric"]
    assert (found.verdict, found.why) == (
        CheckVerdict.UNDECIDED,
        "acme/judge, the judge, did not answer: 503 overloaded",
    )


def test_the_reason_of_a_pass_is_kept() -> None:
    """Verdicts are in the suite's order; a rubric that is no longer in the suite is left out."""
    judged = record(b=JudgeAnswer(BY, YES), old=JudgeAnswer(BY, NO), a=JudgeAnswer(BY, NO))
    found = [(each.rubric, each.verdict, each.why) for each in rubric_verdicts(judged, ["a", "b"])]
    assert found == [("a", CheckVerdict.FAILED, "it does not"), ("b", CheckVerdict.PASSED, "it does")]

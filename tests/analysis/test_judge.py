"""Judged pairs: flips and equal replies are ties, and biases of order and length are reported."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.analysis.judge import JudgedPairs, judged_pairs, list_pairs
from runner.analysis.judge_costs import rubric_costs
from runner.checks.rubric import judged_text
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.core.tool_call import ToolCall
from runner.storage import journal
from runner.storage.journal import Header, JournalWriter
from runner.storage.journal.writer import JudgeLog

A, B, TIE, VAGUE, FAILED = '{"winner": "A"}', '{"winner": "B"}', '{"winner": "tie"}', "Hm.", None


def record(target: str, case: str = "c", reply: str = "x", repeat: int = 1, **more: Any) -> Record:
    """Return a good reply of a target of the provider p."""
    turn = more.pop("turn", 1)
    identity = Identity(
        f"{target}/{case}/{turn}/{repeat}", case, turn, repeat, repeat, "p", target, "hi", simulated=False
    )
    return Record(identity, Timestamps(), Outcome.OK, reply=reply, **more)


def judgement(key: str, answer: str | None) -> Record:
    """Return a judge's request with its answer; None is a failure."""
    identity = Identity(key, "about", 1, 1, 1, "p", "gpt-judge", "prompt", simulated=False)
    if answer is None:
        return Record(identity, Timestamps(), Outcome.PROVIDER_ERROR, error="503")
    return Record(identity, Timestamps(), Outcome.OK, reply=answer, input_tokens=10, output_tokens=5)


Answers = tuple[str | None, str | None]


def judged(folder: Path, records: Sequence[Record], answers: Sequence[Answers], **line: Any) -> JudgedPairs:
    """Return the figures of a journal in which each pair, in order, was answered in both orders like this."""
    header = Header("run", "suite", "0" * 64, 1, "2026-11-30T12:00:00+00:00", False, 1, ("p/m",), ("c",), None)
    pairs, _ = list_pairs(records, {})
    with JournalWriter(folder) as writer:
        writer.append_header(header)
        for each in records:
            writer.append_record(each)
        plain: dict[str, Any] = {"id": "j", "target": "p/gpt-judge", "settings": {}, "price": None, "criteria": "clear"}
        writer.append({"kind": "judge", **plain, "prompt_version": 1, "at": header.started_at, **line})
        for number, (pair, both) in enumerate(zip(pairs, answers, strict=True)):
            keys = (pair.first.identity.key, pair.second.identity.key)
            for order, answer in ((keys, both[0]), (keys[::-1], both[1])):
                by = f"{number}/{order[0]}"
                link = {"kind": "preference", "judge": "j", "first": order[0], "second": order[1], "by": by}
                JudgeLog(writer, {by: [link]}).append_record(judgement(by, answer))
    (found,) = judged_pairs(journal.read(folder))
    return found


def two(*cases: str, replies: tuple[str, str] = ("short", "a longer one")) -> list[Record]:
    """Return a reply of `gpt-x` and a longer one of `other` to each case."""
    return [
        record(target, case, text) for case in cases for target, text in zip(("gpt-x", "other"), replies, strict=True)
    ]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((A, B), (1, 0, 0, 0)),
        ((B, A), (0, 0, 0, 0)),
        ((A, A), (0, 1, 1, 0)),
        ((B, B), (0, 1, 1, 0)),
        ((TIE, TIE), (0, 1, 0, 0)),
        ((A, TIE), (0, 1, 0, 0)),
        ((TIE, A), (0, 1, 0, 0)),
        ((A, VAGUE), (0, 0, 0, 1)),
        ((FAILED, B), (0, 0, 0, 1)),
    ],
)
def test_a_win_is_one_in_both_orders(tmp_path: Path, answers: Answers, expected: tuple[int, int, int, int]) -> None:
    """The answer `A` names the first of the pair in one order, and the second in the other."""
    wins, ties, flips, undecided = expected
    found = judged(tmp_path, two("a"), [answers])
    assert (found.pairs, found.of_pairs, found.undecided, found.flips.count) == (1, 1, undecided, flips)
    assert found.flips.n == 1 - undecided
    rates = {rate.target: (rate.wins, rate.ties) for rate in found.rates.targets}
    assert rates == ({} if undecided else {"p/gpt-x": (wins, ties), "p/other": (1 - wins - ties, ties)})


def test_biases_of_order_and_length_have_their_samples(tmp_path: Path) -> None:
    """Shares have an interval by case from two cases on; a tie has no winner whose length counts."""
    found = judged(tmp_path, two("a", "b", "c", "d"), [(A, B), (B, A), (B, A), (A, A)])
    assert (found.flips.count, found.flips.n) == (1, 4)
    assert (found.first_named.count, found.first_named.n) == (5, 8)
    assert (found.longer_won.count, found.longer_won.n) == (2, 3)
    for share in (found.flips, found.first_named, found.longer_won):
        assert share.interval is not None
        assert share.value is not None
        assert share.value in share.interval


def test_equal_replies_are_ties_and_no_flips(tmp_path: Path) -> None:
    """They are a tie for any answer of the judge."""
    found = judged(tmp_path, two("a", replies=("same", "same")), [(A, A)])
    assert (found.equal, found.flips.n, found.undecided) == (1, 0, 0)
    assert [rate.ties for rate in found.rates.targets] == [1, 1]


def test_a_judge_of_the_same_family_and_its_failures_are_reported(tmp_path: Path) -> None:
    """Families follow from model names; requests without an answer or verdict are counted."""
    found = judged(tmp_path, two("a", "b"), [(FAILED, B), (VAGUE, A)])
    assert found.relatives == ("p/gpt-x",)
    assert (found.cost.requests, found.cost.failed, found.cost.unclear, found.cost.spent) == (4, 1, 1, ())


def test_a_judge_is_paid_by_the_price_in_its_line(tmp_path: Path) -> None:
    """The price is that at the time of the request."""
    found = judged(tmp_path, two("a"), [(A, FAILED)], price=priced("1000000"))
    assert [(str(money), found.cost.priced) for money in found.cost.spent] == [("10.00 USD", 1)]


def priced(amount: str) -> dict[str, Any]:
    """Return a price for a million input tokens, as in a journal."""
    return {"currency": "USD", "rates": [{"input": amount, "output": "0"}], "source": "test"}


def test_a_request_is_paid_by_the_price_at_its_time(tmp_path: Path) -> None:
    """Though a judge that was asked again later, after a resumption, has another price by then."""
    judged(tmp_path, two("a"), [(A, B)], price=priced("1000000"))
    later = {"id": "j", "target": "p/gpt-judge", "settings": {}, "price": priced("2000000"), "criteria": "clear"}
    link = {"kind": "preference", "judge": "j", "first": "gpt-x/a/1/1", "second": "other/a/1/1", "by": "again"}
    with JournalWriter(tmp_path) as writer:
        writer.append({"kind": "judge", **later, "prompt_version": 1, "at": "2026-11-30T13:00:00+00:00"})
        JudgeLog(writer, {"again": [link]}).append_record(judgement("again", A))
    (found,) = judged_pairs(journal.read(tmp_path))
    assert [str(money) for money in found.cost.spent] == ["30.00 USD"]


def test_a_request_about_a_rubric_is_paid_by_the_price_at_its_time(tmp_path: Path) -> None:
    """A run's judge of rubrics is asked again when the run is resumed."""
    header = Header("run", "suite", "0" * 64, 1, "2026-11-30T12:00:00+00:00", False, 1, ("p/m",), ("c",), None)
    plain: dict[str, Any] = {"id": "j", "target": "p/gpt-judge", "settings": {}, "criteria": None, "prompt_version": 1}
    with JournalWriter(tmp_path) as writer:
        writer.append_header(replace(header, checks={"c": {"checks": {"rubric": ["is short"]}}}))
        for each, amount in zip(two("a"), ("1000000", "2000000"), strict=True):
            writer.append_record(each)
            writer.append({"kind": "judge", **plain, "price": priced(amount), "at": header.started_at})
            link = {"kind": "judgement", "key": each.identity.key, "rubric": "is short", "by": amount}
            JudgeLog(writer, {amount: [link]}).append_record(judgement(amount, '{"pass": true}'))
    (cost,) = rubric_costs(journal.read(tmp_path))
    assert (cost.requests, [str(money) for money in cost.spent]) == (2, ["30.00 USD"])


def test_a_reply_that_was_asked_for_again_is_judged_again(tmp_path: Path) -> None:
    """A resumption that repeats one of two replies removes the pair from the figures."""
    records = two("a")
    judged(tmp_path, records, [(A, B)])
    with JournalWriter(tmp_path) as writer:
        writer.append_resume({}, [records[0].identity.key], [])
        writer.append_record(records[0])
    assert judged_pairs(journal.read(tmp_path)) == ()


places = st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(1, 2), st.sampled_from("xyz"))


@settings(deadline=None)
@given(st.lists(places, unique=True, max_size=16), st.integers(0, 12), st.integers(0, 3))
def test_pairs_are_of_one_turn_and_a_sample_grows(
    found: list[tuple[str, int, int, str]], limit: int, seed: int
) -> None:
    """Each pair has two targets and one question; a larger sample with the same seed includes a smaller one."""
    records = [record(target, case, turn=turn, repeat=repeat) for case, turn, repeat, target in found]
    pairs, of_all = list_pairs(records, {})
    assert len(pairs) == of_all
    for pair in pairs:
        one, other = pair.first.identity, pair.second.identity
        assert (one.case, one.turn, one.repeat) == (other.case, other.turn, other.repeat)
        assert one.target < other.target
    sample, counted = list_pairs(records, {}, limit, seed)
    assert (len(sample), counted) == (min(limit, of_all), of_all)
    larger = list_pairs(records, {}, limit + 1, seed)[0]
    assert all(each in larger for each in sample)
    assert list_pairs(list(reversed(records)), {}, limit, seed)[0] == sample


def test_failed_replies_and_warm_ups_are_in_no_pair() -> None:
    """Neither is a reply whose text was not stored."""
    records = [record("a"), record("b", warmup=True), record("c", reply="x")]
    failed = Record(records[1].identity, Timestamps(), Outcome.TIMEOUT)
    assert list_pairs([records[0], records[1], failed], {})[0] == []
    assert len(list_pairs(records, {})[0]) == 1


def test_of_a_turn_with_tools_the_reply_to_the_last_step_is_compared() -> None:
    """Targets may take different numbers of steps; a turn whose last step failed has no reply."""
    steps = {"c": {"turns": 2, "max_steps": 3, "answered": ["look"]}}
    calls = (ToolCall("look", "{}"),)
    one = [record("a", turn=1, calls=calls), record("a", turn=2), record("a", turn=4)]
    other = [record("b", turn=1, calls=calls), record("b", turn=2, calls=calls), record("b", turn=3, reply="longer")]
    failed = replace(record("b", turn=4), outcome=Outcome.TIMEOUT)
    pairs, of_all = list_pairs([*one, *other, failed], steps)
    assert [(pair.first.identity.turn, pair.second.identity.turn) for pair in pairs] == [(2, 3)]
    assert of_all == 1
    assert judged_text(one[0]) == "x\n[calls look] {}"

"""Differences between two runs, and between two targets of one run, from crafted journals to outputs and exit codes."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from itertools import chain
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from runner.analysis.diff import Difference, diff_runs, diff_within
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_verdict import Decision, Rule, UndecidedReason, Verdict
from runner.analysis.reply_diff import ReplySimilarity
from runner.analysis.run_results import Run
from runner.cli import commands
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.tool_call import ToolCall
from runner.errors import CompareError
from runner.outputs import DIFFERENCE_WRITERS
from runner.outputs.diff.markdown import MAX_CHARACTERS
from runner.outputs.diff.terminal import render_difference, write_plain
from runner.outputs.report.diff_section import compose_diff
from runner.outputs.text.diff_sentences import headline
from runner.outputs.text.undecided_reasons import describe_doubt
from tests.support.crafted_runs import BASE, NEW, answered, failed, jittered, run_of, simulated, write_run


def finding(difference: Difference, measure: str = "ttft_s") -> DiffFinding:
    """Return the finding on a measure of the only target."""
    (found,) = (each for each in difference.findings if each.measure.name == measure)
    return found


def drifting(block: int) -> float:
    """Return the factor by which everything is slower in a round, up to ten in the last one."""
    return math.exp(block / 9)


# Within one run


def test_slower_target_of_one_run_is_regressed() -> None:
    """The ratio lies in its interval, n is the number of rounds, and the opposite comparison has the inverse ratio."""
    run = run_of([*jittered(BASE, 20), *jittered(NEW, 20, slower=1.3)])
    forth, back = diff_within(run, BASE, NEW), diff_within(run, NEW, BASE)
    found = finding(forth)
    assert (found.verdict, found.units, found.n) == (Verdict.REGRESSED, 20, (40, 40))
    assert found.interval is not None
    assert 1.3 in found.interval
    assert finding(back).verdict is Verdict.IMPROVED
    assert found.change is not None
    assert finding(back).change == pytest.approx(1 / found.change)


def test_drift_within_a_run_is_no_change() -> None:
    """Latencies that grow tenfold during the run, for both targets alike, are unchanged."""
    records = [
        answered(each.identity.target, each.identity.case, each.identity.block, ttft_s)
        for each in chain(jittered(BASE, 20, sigma=0.02), jittered(NEW, 20, sigma=0.02))
        if (ttft_s := (each.ttft_s or 0) * drifting(each.identity.block))
    ]
    found = finding(diff_within(run_of(records), BASE, NEW))
    assert found.verdict is Verdict.UNCHANGED
    assert found.change == pytest.approx(1, abs=0.03)


def test_the_page_gives_a_change_and_its_interval_in_one_unit() -> None:
    """Both are in percent, or both are factors if one is about 11 or more."""
    percent, factor = r"[+-]\d+", r"\d+\.\dx"
    for slower, change, interval in (
        (1.9, f"{percent} %", rf"\[{percent}, {percent}\] %"),
        (40.0, factor, rf"\[{factor}, {factor}\]"),
    ):
        run = run_of([*jittered(BASE, 30), *jittered(NEW, 30, slower=slower)])
        (compared,) = compose_diff(diff_within(run, BASE, NEW)).targets
        line = next(each for each in compared.lines if each.measure == "TTFT")
        assert re.fullmatch(f"↑ {change}", line.delta.text), line
        assert re.fullmatch(interval, line.interval or ""), line


def test_estimate_is_the_mean_log_ratio_of_pairs() -> None:
    """Two rounds, 2 and 8 times slower, are 4 times slower; rows without a partner do not count."""
    records = [answered(BASE, "one", block, 0.1) for block in (1, 2, 3)]
    records += [answered(NEW, "one", 1, 0.2), answered(NEW, "one", 2, 0.8), answered(NEW, "two", 3, 9.0)]
    found = finding(diff_within(run_of(records), BASE, NEW))
    assert found.change == pytest.approx(4)
    assert (found.n, found.units) == ((2, 2), 2)
    assert [found.base_level, found.new_level] == pytest.approx([0.1, 0.4])


def test_few_rounds_are_undecided_and_name_the_number_needed() -> None:
    """Three rounds of a tenfold slowdown cannot be significant; eight can."""
    run = run_of([*jittered(BASE, 3), *jittered(NEW, 3, slower=10)])
    decision = finding(diff_within(run, BASE, NEW, Rule(measures=("ttft",)))).decision
    assert (decision.verdict, decision.reason, decision.needed) == (Verdict.UNDECIDED, UndecidedReason.TOO_FEW, 8)


def test_the_first_line_counts_verdicts_only_where_there_are_several() -> None:
    """`undecided: 7 undecided (7 rows)` would repeat itself."""
    few = diff_within(run_of([*jittered(BASE, 3), *jittered(NEW, 3, slower=10)]), BASE, NEW)
    undecided = replace(few, findings=few.having(Verdict.UNDECIDED))
    assert headline(undecided) == f"undecided (all {len(undecided.findings)} rows)"
    assert headline(replace(few, findings=undecided.findings[:1])) == "undecided (1 row)"
    many = diff_within(run_of([*jittered(BASE, 20), *jittered(NEW, 20, slower=10)]), BASE, NEW)
    assert ": 1 more often slow, 2 slower, " in headline(many)
    assert headline(many).endswith(f" ({len(many.findings)} rows)")


def test_too_few_rounds_without_a_number_that_would_do_name_none() -> None:
    """A measure whose number of rounds cannot be estimated promises nothing."""
    found = diff_within(run_of([*jittered(BASE, 3), *jittered(NEW, 3)]), BASE, NEW, Rule(measures=("ttft",)))
    unknown = replace(finding(found), decision=Decision(Verdict.UNDECIDED, UndecidedReason.TOO_FEW, None))
    assert describe_doubt(unknown, found) == "no result can be significant with 3 rounds"
    known = replace(unknown, decision=replace(unknown.decision, needed=8))
    assert (describe_doubt(known, found) or "").endswith("with 3 rounds; about 8 rounds should be enough (--repeat)")


def test_a_change_within_the_clock_error_is_undecided() -> None:
    """A TTFT of 3 ms after 2 ms is within the error of two clocks."""
    records = [
        answered(target, "one", block, ttft_s + block / 1e6)
        for target, ttft_s in ((BASE, 0.002), (NEW, 0.003))
        for block in range(1, 21)
    ]
    found = finding(diff_within(run_of(records), BASE, NEW))
    assert (found.verdict, found.decision.reason, found.floor) == (Verdict.UNDECIDED, UndecidedReason.CLOCK, 0.002)


def test_the_first_tool_call_is_tested_where_it_is_neither_first_text_nor_total() -> None:
    """Replies without calls have none; for replies of calls alone it equals the total."""

    def measures(end_ns: int | None, *wanted: str) -> set[str]:
        """Return the measures of replies whose first call ended this long before the end."""
        records = [
            replace(each, timestamps=replace(each.timestamps, first_call=(each.timestamps.last_event or 0) - end_ns))
            if end_ns is not None
            else each
            for name in (BASE, NEW)
            for each in jittered(name, 8)
        ]
        found = diff_within(run_of(records), BASE, NEW, Rule(measures=wanted)).findings
        return {each.measure.name for each in found}

    assert "tool_call_s" not in measures(None)
    assert "tool_call_s" not in measures(0)
    assert "tool_call_s" in measures(100_000_000)
    assert measures(0, "tool_call") == {"tool_call_s"}


def test_ttfa_is_not_tested_where_it_equals_ttft() -> None:
    """Without reasoning both measures are equal, and a second test would only reduce the power."""
    run = run_of([*jittered(BASE, 8), *jittered(NEW, 8)])
    assert "ttfa_s" not in {each.measure.name for each in diff_within(run, BASE, NEW).findings}
    assert finding(diff_within(run, BASE, NEW, Rule(measures=("ttfa",))), "ttfa_s").units == 8


def test_a_slow_spell_of_one_target_is_undecided() -> None:
    """A slow stretch of one target might not recur in another hour; the reason says so."""
    slow = [answered(NEW, "one", block, 0.3 * (3 if block > 10 else 1.2) + block / 1e4) for block in range(1, 21)]
    fast = [answered(BASE, "one", block, 0.3) for block in range(1, 21)]
    difference = diff_within(run_of([*fast, *slow]), BASE, NEW, Rule(measures=("ttft",)))
    assert finding(difference).decision.reason is UndecidedReason.SPELLS
    assert "slow spells last longer than a round" in write_plain(difference)


def test_a_spell_does_not_make_a_run_unchanged() -> None:
    """Rounds that drift together within the minimum effect might also drift out of it."""
    wander = [1.07 if (block // 8) % 2 else 0.94 for block in range(1, 25)]
    new = [answered(NEW, "one", block, 0.3 * wander[block - 1] + block / 1e6) for block in range(1, 25)]
    base = [answered(BASE, "one", block, 0.3) for block in range(1, 25)]
    found = finding(diff_within(run_of([*base, *new]), BASE, NEW, Rule(measures=("ttft",))))
    assert (found.verdict, found.decision.reason) == (Verdict.UNDECIDED, UndecidedReason.SPELLS)


def test_one_round_gives_a_scoped_claim_and_an_undecided_verdict() -> None:
    """If 13 of 13 pairs are slower, every output has the claim, and the gate stays undecided."""
    cases = [f"case-{number}" for number in range(13)]
    run = run_of([*jittered(BASE, 1, cases=cases), *jittered(NEW, 1, slower=1.9, cases=cases)])
    difference = diff_within(run, BASE, NEW, Rule(measures=("ttft",)))
    claim = finding(difference).this_run
    assert claim is not None
    assert (claim.agreeing, claim.pairs, claim.questions) == (13, 13, 13)
    assert claim.p <= 0.01
    assert claim.interval is not None
    assert claim.change in claim.interval
    assert difference.verdict is Verdict.UNDECIDED
    said = "in this run, on these 13 questions, acme/new was slower in 13 of 13 pairs (TTFT"
    for text in (write_plain(difference), DIFFERENCE_WRITERS[".md"](difference)):
        assert said in " ".join(text.split())
    assert json.loads(DIFFERENCE_WRITERS[".json"](difference))["findings"][0]["this_run"]["agreeing"] == 13
    alike = run_of([*jittered(BASE, 1, cases=cases), *jittered(NEW, 1, seed=2, cases=cases)])
    assert finding(diff_within(alike, BASE, NEW, Rule(measures=("ttft",)))).this_run is None


def test_a_change_that_may_be_smaller_than_the_minimum_is_undecided() -> None:
    """A significant change of 12 % with an interval from 7 % may be below the 10 % that a gate requires."""
    records = [answered(BASE, "one", block, 0.3) for block in range(1, 21)]
    records += [answered(NEW, "one", block, 0.3 * (1.12 + (0.1 if block % 2 else -0.1))) for block in range(1, 21)]
    found = finding(diff_within(run_of(records), BASE, NEW, Rule(measures=("ttft",))))
    assert (found.verdict, found.decision.reason) == (Verdict.UNDECIDED, UndecidedReason.SIZE)
    assert found.p <= 0.01


def with_a_tail(target: str, blocks: int, share: float, run: int = 1) -> Iterator[Record]:
    """Yield records of 13 questions, of which a random share takes five times as long."""
    random = Random(f"{target}{run}")
    for block in range(1, blocks + 1):
        for number in range(13):
            slower = 5 if random.random() < share else 1
            yield answered(target, f"case-{number}", block, 0.3 * slower * random.lognormvariate(0, 0.1))


def test_a_tail_is_found_although_medians_are_equal() -> None:
    """One request in twenty takes five times as long: more slow requests, and no longer TTFT."""
    records = [*with_a_tail(BASE, 40, 0.0), *with_a_tail(NEW, 40, 0.05)]
    difference = diff_within(run_of(records), BASE, NEW, Rule(measures=("ttft", "slow")))
    slow = finding(difference, "slow")
    assert (slow.verdict, slow.units, slow.n, slow.base_level) == (Verdict.REGRESSED, 40, (520, 520), 0.0)
    assert (slow.new_level, slow.change) == pytest.approx((0.05, 0.05), abs=0.02)
    assert slow.interval is not None
    assert slow.change is not None
    assert slow.change in slow.interval
    assert finding(difference).verdict is not Verdict.REGRESSED
    shown = f"slow requests       0.0 %  {100 * slow.new_level:.1f} %"
    assert " ".join(shown.split()) in " ".join(write_plain(difference).split())


def test_a_tail_that_is_common_to_both_sides_is_no_difference() -> None:
    """One request in twenty is slow on either side, within one run and between two."""
    old, now = list(with_a_tail(BASE, 40, 0.05)), list(with_a_tail(NEW, 40, 0.05))
    assert finding(diff_within(run_of([*old, *now]), BASE, NEW), "slow").verdict is Verdict.UNDECIDED
    again = run_of(with_a_tail(BASE, 40, 0.05, run=2), "new")
    assert finding(diff_runs(run_of(old), again), "slow").verdict is Verdict.UNDECIDED


def test_a_tail_is_found_across_runs() -> None:
    """The unit is the round of either run; the levels are means over the questions of both."""
    base, new = run_of(with_a_tail(BASE, 40, 0.0)), run_of(with_a_tail(BASE, 40, 0.06, run=2), "new")
    slow = finding(diff_runs(base, new, Rule(measures=("slow",))), "slow")
    assert (slow.verdict, slow.units, slow.n, slow.base_level) == (Verdict.REGRESSED, 40, (520, 520), 0.0)


def test_where_nothing_is_slow_requests_narrow_the_interval() -> None:
    """With none of 20 slow on either side the interval is wide.

    189 requests show that it is not two points more. Some of the next ones may be slow, so a larger number is
    named.
    """
    few = diff_within(run_of([*jittered(BASE, 10), *jittered(NEW, 10)]), BASE, NEW, Rule(measures=("slow",)))
    slow = finding(few, "slow")
    assert (slow.verdict, slow.decision.needed, slow.tested) == (Verdict.UNDECIDED, 153, False)
    assert "about 153 rounds should be enough " in write_plain(few)
    many = run_of([*jittered(BASE, 95), *jittered(NEW, 95)])
    assert finding(diff_within(many, BASE, NEW), "slow").verdict is Verdict.UNCHANGED


def test_a_doubled_time_within_the_clock_error_is_not_slow() -> None:
    """A TTFT of 2.5 ms instead of 1 ms is no tail, because the clocks may be wrong by 2 ms."""
    records = [
        answered(target, "one", block, 0.0025 if target == NEW and block % 2 else 0.001)
        for target in (BASE, NEW)
        for block in range(1, 41)
    ]
    assert finding(diff_within(run_of(records), BASE, NEW), "slow").new_level == 0


@pytest.mark.parametrize(
    ("a", "b", "message"), [("acme/odl", NEW, "Did you mean `acme/old`"), (BASE, BASE, "named twice")]
)
def test_targets_that_cannot_be_compared_are_refused(a: str, b: str, message: str) -> None:
    """The error suggests the target that was probably meant, or says that one target was named twice."""
    with pytest.raises(CompareError, match=message):
        diff_within(run_of([*jittered(BASE, 2), *jittered(NEW, 2)]), a, b)


# Across two runs


def test_slower_run_is_regressed_and_not_paired() -> None:
    """Two runs are compared by case."""
    difference = diff_runs(run_of(jittered(BASE, 20)), run_of(jittered(BASE, 20, slower=1.3, seed=2), "new"))
    assert finding(difference).verdict is Verdict.REGRESSED
    assert not difference.paired


def test_runs_are_matched_by_case() -> None:
    """A run with more requests of the slow case is not slower because of it."""
    base = [answered(BASE, "one", block, 0.1 + block / 1e4) for block in range(1, 11)]
    base += [answered(BASE, "two", block, 5.0 + block / 1e4) for block in range(1, 11)]
    new = [each for each in base if each.identity.case == "two" or each.identity.block < 4]
    found = finding(diff_runs(run_of(base), run_of(new, "new")))
    assert found.change == pytest.approx(1, abs=0.002)
    assert found.verdict is Verdict.UNCHANGED


def test_questions_of_only_one_run_are_left_out_and_named() -> None:
    """Targets and cases of one run, and questions with another prompt, are not compared."""
    reworded = [
        replace(each, identity=replace(each.identity, prompt="Something else")) if each.identity.case == "two" else each
        for each in jittered(BASE, 6, seed=2)
    ]
    new = [*reworded, *jittered("x/y", 6), *jittered(BASE, 6, cases=("three",))]
    difference = diff_runs(run_of(jittered(BASE, 6)), run_of(new, "new"))
    warnings = " | ".join(difference.warnings)
    assert "only in new, not compared: x/y" in warnings
    assert "only in new, not compared: three" in warnings
    assert "asked in other words, not compared: two" in warnings
    assert finding(difference).n == (6, 6)
    assert {change.case for change in difference.replies} == {"one"}


def test_costs_are_compared_and_shown_in_their_currency() -> None:
    """Twice the price is twice the cost, and every output names the currency."""
    cheap, dear = (priced("CNY", price, name) for price, name in (("2", "base"), ("4", "new")))
    difference = diff_runs(cheap, dear)
    found = finding(difference, "cost")
    assert (found.verdict, found.currency) == (Verdict.REGRESSED, "CNY")
    assert found.change == pytest.approx(2)
    assert finding(difference).currency is None
    for text in (write_plain(difference), DIFFERENCE_WRITERS[".md"](difference)):
        assert "cost, CNY" in text
    assert [each["currency"] for each in json.loads(DIFFERENCE_WRITERS[".json"](difference))["findings"]][-1] == "CNY"


def test_costs_in_two_currencies_are_not_compared() -> None:
    """There is no such finding, and a warning says why."""
    difference = diff_runs(priced("CNY", "2", "base"), priced("USD", "2", "new"))
    assert "cost" not in {each.measure.name for each in difference.findings}
    assert f"{BASE}: cost not compared: CNY in base, USD in new" in difference.warnings


def priced(currency: str, price: str, name: str) -> Run:
    """Return a run of 8 rounds with a price per million tokens."""
    rates = {"currency": currency, "source": "x", "rates": [{"input": price, "output": price}]}
    records = [replace(each, input_tokens=10) for each in jittered(BASE, 8)]
    return run_of(records, name, prices={BASE: rates})


def test_differing_circumstances_are_warned_of() -> None:
    """Machine, versions, clock, suite, concurrency, region and response model have one warning each."""
    base = run_of(jittered(BASE, 2))
    new = run_of(
        [replace(each, region="eu", response_model="other") for each in jittered(BASE, 2)],
        platform="macOS",
        clock="poll",
        digest="d2",
        concurrency=9,
        versions={"compare": "2", "python": "3.11"},
    )
    old = run_of([replace(each, response_model="one") for each in jittered(BASE, 2)])
    warnings = diff_runs(old, new).warnings
    subjects = ("suites", "machines", "clocks", "concurrencies", "regions", "versions of compare", "another model")
    assert [sum(subject in warning for warning in warnings) for subject in subjects] == [1] * len(subjects)
    assert diff_runs(base, base).warnings == ("base and new are the same run, base",)


def test_simulated_is_never_compared_with_real() -> None:
    """A simulated run and a real one are refused."""
    pretended = [simulated(each) for each in jittered(BASE, 3)]
    with pytest.raises(CompareError, match="base is simulated and acme/old in new is real"):
        diff_runs(run_of(pretended, simulated=True), run_of(jittered(BASE, 3), "new"))


def test_runs_with_nothing_in_common_are_refused() -> None:
    """Other targets, other cases, or failures on both sides alone are an error, not unchanged."""
    base = run_of(jittered(BASE, 3))
    for new in (
        run_of(jittered("x/y", 3), "new"),
        run_of(jittered(BASE, 3, cases=("three",)), "new"),
        run_of([failed(BASE, "one", block) for block in range(1, 3)], "new"),
        run_of([], "new"),
    ):
        with pytest.raises(CompareError, match=r"in common|nothing to compare"):
            diff_runs(base, new)


# Failures


def test_more_failures_are_regressed_though_replies_are_as_fast() -> None:
    """Failures regress if half of the requests fail, although the others are as fast as before."""
    new = [
        failed(BASE, each.identity.case, each.identity.block) if i % 2 else each
        for i, each in enumerate(jittered(BASE, 20))
    ]
    difference = diff_runs(run_of(jittered(BASE, 20)), run_of(new, "new"))
    assert finding(difference, "failures").verdict is Verdict.REGRESSED
    assert finding(difference, "failures").change == 0.5
    assert finding(difference).verdict is not Verdict.REGRESSED


def test_warnings_stand_before_the_figures() -> None:
    """They come first on a terminal and in Markdown."""
    run = run_of(jittered(BASE, 6))
    difference = diff_runs(run, run)
    for text in (write_plain(difference), DIFFERENCE_WRITERS[".md"](difference)):
        assert 0 < text.index("the same run") < text.index("TTFT")


def test_a_run_of_failures_only_is_regressed() -> None:
    """Without any figure to compare, the failures decide, and a warning says so."""
    new = run_of([failed(BASE, each.identity.case, each.identity.block) for each in jittered(BASE, 6)], "new")
    difference = diff_runs(run_of(jittered(BASE, 6)), new)
    assert difference.verdict is Verdict.REGRESSED
    assert any("no figures to compare" in warning for warning in difference.warnings)


@pytest.mark.parametrize("requests", [4, 24, 48, 72])
def test_number_of_requests_needed_without_failures_is_enough(requests: int) -> None:
    """73 without a failure are unchanged, 72 undecided; a larger number is named, because some of the next may fail."""
    needed = finding(of_failures(requests, 0, 0), "failures").decision.needed
    assert needed is not None
    assert 73 < needed < 160
    assert finding(of_failures(needed, 0, 0), "failures").verdict is Verdict.UNCHANGED
    assert finding(of_failures(73, 0, 0), "failures").verdict is Verdict.UNCHANGED
    assert finding(of_failures(72, 0, 0), "failures").verdict is Verdict.UNDECIDED


def test_number_of_requests_needed_finds_a_rise_of_failures() -> None:
    """2 failures in 10 are undecided; the same share of the number needed is regressed."""
    few = finding(of_failures(10, 0, 2), "failures")
    assert few.decision.reason is UndecidedReason.NOISY
    assert few.decision.needed is not None
    enough = of_failures(few.decision.needed, 0, round(few.decision.needed / 5))
    assert finding(enough, "failures").verdict is Verdict.REGRESSED


def test_undecided_names_the_smaller_side() -> None:
    """For runs of different size, the reason has the size of the smaller side, and the number needed is per side."""
    difference = diff_runs(run_of(jittered(BASE, 12)), run_of(jittered(BASE, 6, seed=2), "new"))
    text = write_plain(difference)
    needed = finding(difference, "failures").decision.needed
    assert f"inconclusive with 12 requests on the smaller side; about {needed} requests on each side" in text
    assert "12 requests on each side" not in text
    assert "24/12" in text


def of_failures(requests: int, before: int, after: int) -> Difference:
    """Return the difference in failures of two runs of this many requests, given the failures of each."""

    def failing(count: int, name: str) -> Run:
        rounds = range(1, requests + 1)
        failing = set(Random(3).sample(rounds, count))
        return run_of([failed(block=each) if each in failing else answered(block=each) for each in rounds], name)

    return diff_runs(failing(before, "base"), failing(after, "new"), Rule(measures=("failures",)))


# Replies


@pytest.mark.parametrize(
    ("reply", "similarity"),
    [
        ("Hello  world\n", ReplySimilarity.SAME),
        ("Hello, brave world", ReplySimilarity.REWORDED),
        ("完全不同的回答", ReplySimilarity.CHANGED),
    ],
)
def test_replies_are_same_reworded_or_changed(reply: str, similarity: ReplySimilarity) -> None:
    """Blanks do not count; three common words of five are a rewording; none in common is a change."""
    new = [answered(BASE, "one", block, reply=reply) for block in (1, 2)]
    (change,) = diff_runs(run_of(jittered(BASE, 2, cases=("one",))), run_of(new, "new")).replies
    assert (change.similarity, change.base.shown, change.new.shown) == (similarity, "Hello world", reply)
    assert (change.new.n, change.new.agreement, change.new.length) == (2, 1, len(reply))


def test_replies_that_vary_within_the_base_are_at_most_reworded() -> None:
    """Base replies share as few words with each other as with the new ones."""
    base = [answered(BASE, "one", block, reply=f"word{block} said once") for block in (1, 2, 3)]
    new = [answered(BASE, "one", block, reply=f"term{block} said once") for block in (1, 2, 3)]
    (change,) = diff_runs(run_of(base), run_of(new, "new")).replies
    assert change.similarity is ReplySimilarity.REWORDED
    assert change.base.agreement == pytest.approx(1 / 3)


PARIS = ToolCall("get_weather", '{"city": "Paris", "unit": "celsius", "days": 3}', "call_1")


@pytest.mark.parametrize(
    ("calls", "similarity"),
    [
        ((ToolCall("get_weather", '{"days":3.0,"unit":"celsius","city":"Paris"}', "call_2"),), ReplySimilarity.SAME),
        (
            (ToolCall("get_weather", '{"city": "Rome", "unit": "celsius", "days": 3}'),),
            ReplySimilarity.CHANGED,
        ),
        ((ToolCall("get_time", PARIS.arguments),), ReplySimilarity.CHANGED),
        ((PARIS, PARIS), ReplySimilarity.CHANGED),
        ((), ReplySimilarity.CHANGED),
    ],
)
@pytest.mark.parametrize("text", ["I shall look that up in the forecast for you.", None])
def test_replies_that_make_other_calls_are_changed(
    text: str | None, calls: tuple[ToolCall, ...], similarity: ReplySimilarity
) -> None:
    """Calls are compared by name and by the values of their arguments.

    Other calls are a change despite similar words.
    """
    base, new = (
        [replace(answered(BASE, "one", block), reply=text, calls=made) for block in (1, 2)]
        for made in ((PARIS,), calls)
    )
    difference = diff_runs(run_of(base), run_of(new, "new"))
    (change,) = difference.replies
    assert change.similarity is (similarity if text or calls else ReplySimilarity.NOT_COMPARED)
    assert change.base.shown.splitlines()[-1] == 'get_weather({"city": "Paris", "days": 3, "unit": "celsius"})'
    plain = json.loads(DIFFERENCE_WRITERS[".json"](difference))["replies"][0]
    assert plain["base"]["text"] == text
    assert plain["base"]["tool_calls"] == [{"name": "get_weather", "arguments": json.loads(PARIS.arguments)}]
    if similarity is ReplySimilarity.CHANGED and calls and calls[0].name == "get_weather" and len(calls) == 1:
        assert "Rome" in write_plain(difference)


def test_refusals_are_counted() -> None:
    """They are recognised by words in two languages, by a field and by a content filter; an apology alone is none."""
    replies = (
        "I'm sorry, but I can't help with that.",
        "抱歉，我无法回答这个问题。",
        "Sorry for the wait. Hello!",
        "Hello",
    )
    new = [answered(BASE, "one", block, reply=reply) for block, reply in enumerate(replies, 1)]
    new += [answered(BASE, "one", 5, noted=("refusal",)), answered(BASE, "one", 6, outcome=Outcome.FILTERED)]
    (change,) = diff_runs(run_of(jittered(BASE, 6, cases=("one",))), run_of(new, "new")).replies
    assert (change.base.refusals, change.new.refusals) == (0, 4)
    assert "4 refusals" in write_plain(diff_runs(run_of(jittered(BASE, 6, cases=("one",))), run_of(new, "new")))


def stripped(record: Record) -> Record:
    """Return a record as in a committed baseline, with figures and without texts."""
    return replace(record, reply=None, identity=replace(record.identity, prompt=""))


def test_a_stripped_baseline_compares_times_and_no_replies() -> None:
    """Figures are compared as usual, and replies are marked as not compared."""
    base = run_of([stripped(each) for each in jittered(BASE, 20)])
    difference = diff_runs(base, run_of(jittered(BASE, 20, slower=1.3, seed=2), "new"))
    assert finding(difference).verdict is Verdict.REGRESSED
    assert {change.similarity for change in difference.replies} == {ReplySimilarity.NOT_COMPARED}


# Outputs

HOSTILE = "<script>alert(1)</script> | @everyone `x` [a](javascript:b) \x1b[31m \0 \ud83d"


def hostile() -> Difference:
    """Return a difference whose replies contain syntax of every format."""
    base = [answered(BASE, "one", block, 0.3 + block / 1e3, HOSTILE) for block in range(1, 11)]
    new = [answered(BASE, "one", block, 0.6 + block / 1e3, f"new {HOSTILE}") for block in range(1, 11)]
    return diff_runs(run_of(base), run_of(new, "new"))


def test_markdown_shows_the_word_diff_and_escapes_replies() -> None:
    """Added text is in <ins>; no tag, link or mention of a reply remains."""
    text = DIFFERENCE_WRITERS[".md"](hostile())
    assert "<ins>new </ins>" in text
    assert "| regressed |" in text
    for harmful in ("<script", "@everyone", "[a](", "\x1b", "\0"):
        assert harmful not in text
    text.encode()


def test_markdown_fits_a_comment_and_counts_what_it_left_out() -> None:
    """Many long changes stay within the size limit of a comment."""
    cases = [f"case-{number}" for number in range(150)]
    base = [answered(BASE, case, 1, reply="old " + "<" * 300) for case in cases]
    new = [answered(BASE, case, 1, reply="new " + ">" * 300) for case in cases]
    text = DIFFERENCE_WRITERS[".md"](diff_runs(run_of(base), run_of(new, "new")))
    assert len(text) <= MAX_CHARACTERS
    assert "Left out: what changed in " in text


def test_junit_has_a_suite_per_target_and_a_test_per_measure() -> None:
    """Regressed is a failure, undecided is skipped, and the counts agree with the tests."""
    root = ET.fromstring(DIFFERENCE_WRITERS[".xml"](hostile()))
    (suite,) = root.findall("testsuite")
    cases = {case.attrib["name"]: case for case in suite.findall("testcase")}
    assert cases["ttft_s"].find("failure") is not None
    assert cases["failures"].find("skipped") is not None
    counts = [len(cases), len(suite.findall("testcase/failure")), len(suite.findall("testcase/skipped"))]
    assert [int(suite.attrib[name]) for name in ("tests", "failures", "skipped")] == counts


def test_json_has_unrounded_figures_and_whole_replies() -> None:
    """It parses strictly, with the documented keys."""
    difference = hostile()
    read = json.loads(DIFFERENCE_WRITERS[".json"](difference))
    (ttft,) = (each for each in read["findings"] if each["measure"] == "ttft_s")
    assert (ttft["verdict"], ttft["change"]) == ("regressed", finding(difference).change)
    assert read["replies"][0]["base"]["text"] == HOSTILE


def test_terminal_fits_80_columns() -> None:
    """The table does not fold, and control characters are escaped."""
    console = Console(file=StringIO(), width=80)
    console.print(render_difference(hostile()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    (row,) = (line for line in text.splitlines() if line.startswith("TTFT"))
    assert row.rstrip().endswith("regressed")
    assert "\x1b" not in text


# The command


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a few runs into the working directory."""
    write_run(tmp_path / "base", jittered(BASE, 10))
    write_run(tmp_path / "slow", jittered(BASE, 10, slower=2, seed=2))
    write_run(tmp_path / "short", jittered(BASE, 2, slower=2, seed=2))
    write_run(tmp_path / "both", [*jittered(BASE, 10), *jittered(NEW, 10, slower=2)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compare_diff(*arguments: str) -> Result:
    """Run `compare diff`."""
    return CliRunner().invoke(commands, ["diff", *arguments])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("base", "slow"), 0),
        (("base", "slow", "--gate"), 1),
        (("base", "slow", "--fail-undecided"), 1),
        (("slow", "base", "--gate"), 0),
        (("base", "short", "--gate"), 0),
        (("base", "short", "--fail-undecided"), 5),
        (("both", "--between", BASE, NEW, "--gate"), 1),
        (("base", "slow", "--gate", "--min-effect", "400%"), 0),
        (("base/journal.jsonl", "slow", "--gate", "--metric", "chars"), 0),
    ],
)
def test_diff_exits_with_1_for_a_regression_and_5_for_undecided_if_asked(
    runs: Path, arguments: tuple[str, ...], code: int
) -> None:
    """1 for a regression with --gate, 5 for undecided with --fail-undecided, else 0."""
    done = compare_diff(*arguments)
    assert (done.exit_code, runs.is_dir()) == (code, True), done.output


@pytest.mark.parametrize(("slower", "said"), [(1.9, "slower"), (1 / 1.9, "faster")])
def test_a_claim_of_one_round_does_not_decide_a_gate(tmp_path: Path, slower: float, said: str) -> None:
    """For 13 of 13 pairs of one round in either direction, the gate passes, and is undecided if asked."""
    cases = [f"case-{number}" for number in range(13)]
    both = [*jittered(BASE, 1, cases=cases), *jittered(NEW, 1, slower=slower, cases=cases)]
    write_run(tmp_path / "one", both)
    for option, code in (("--gate", 0), ("--fail-undecided", 5)):
        done = compare_diff(str(tmp_path / "one"), "--between", BASE, NEW, "--metric", "ttft", option)
        assert done.exit_code == code, done.output
        assert f"was {said} in 13 of 13 pairs" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("base",), "two of its targets with --between A B"),
        (("base", "nowhere"), "nowhere"),
        (("base", "slow", "--between", BASE, NEW), "more than two sides are given"),
        (("base", "slow", "--metric", "speed"), "not a measure"),
        (("base", "slow", "--min-effect", "much"), "'much' is not a share"),
        (("base", "slow", "--min-effect", "5"), "'5' is above 1 and has no percent sign; write 5% or 0.05"),
        (("base", "slow", "--alpha", "7"), "choose one above 0"),
        (("base", "slow", "-o", "report.pdf"), ".md, .json, .xml"),
    ],
)
def test_diff_refuses_wrong_arguments(runs: Path, arguments: tuple[str, ...], message: str) -> None:
    """The exit code is 2, and the message names the mistake."""
    done = compare_diff(*arguments)
    assert (done.exit_code, runs.is_dir()) == (2, True)
    assert message in done.output


def test_diff_writes_each_output(runs: Path) -> None:
    """Each -o is written in the format of its suffix; --json prints the same as the file."""
    done = compare_diff("base", "slow", "--json", "-o", "r.md", "-o", "r.json", "-o", "r.xml")
    assert done.exit_code == 0
    assert done.stdout == (runs / "r.json").read_text(encoding="utf-8")
    assert (runs / "r.md").read_text(encoding="utf-8").startswith("## regressed")
    assert (runs / "r.xml").read_text(encoding="utf-8").startswith("<?xml")


# Many targets


@pytest.mark.parametrize("targets", [23, 30, 50])
def test_ranking_of_many_targets_ends(targets: int) -> None:
    """A level divided by all pairs of targets is below the reach of 99,999 permutations, and is still named."""
    models = [f"acme/model-{number}" for number in range(targets)]
    records = chain.from_iterable(
        jittered(model, 3, slower=1 + at / 10, cases=("one",)) for at, model in enumerate(models)
    )
    pairs = targets * (targets - 1) // 2
    rule = Rule(alpha=0.01 / pairs, measures=("ttft", "total"))
    decision = finding(diff_within(run_of(list(records)), models[0], models[-1], rule)).decision
    assert decision.reason is UndecidedReason.TOO_FEW
    assert decision.needed is not None
    assert decision.needed >= math.ceil(math.log2(2 * 2 * pairs / 0.01))


def test_a_tiny_alpha_is_named_reachable_or_not() -> None:
    """For 1e-5 the needed rounds are named; 1e-9 cannot be reached, and the message says so."""
    run = run_of([*jittered(BASE, 3, cases=("one",)), *jittered(NEW, 3, slower=9, cases=("one",))])
    assert finding(diff_within(run, BASE, NEW, Rule(alpha=1e-5, measures=("ttft",)))).decision.needed == 18
    never = diff_within(run, BASE, NEW, Rule(alpha=1e-9, measures=("ttft",)))
    assert finding(never).decision.reason is UndecidedReason.UNREACHABLE
    assert "cannot be decided" in write_plain(never)

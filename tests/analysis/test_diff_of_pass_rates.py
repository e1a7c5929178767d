"""Pass rates in comparisons: between targets, between runs, with other measures, and if checks or cases differ."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runner import diff, load
from runner.analysis.diff import diff_places, diff_runs, diff_within
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_verdict import Rule, UndecidedReason, Verdict
from runner.analysis.judge_costs import JudgeCost
from runner.analysis.run_results import Run
from runner.checks.check_finding import CheckVerdict
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.tool_call import ToolCall
from runner.errors import CompareError
from runner.outputs.diff.terminal import write_plain
from tests.conftest import RunCli
from tests.support.checked_runs import CHECK, cases, checks_of, repeats
from tests.support.crafted_runs import BASE, NEW, answered, failed, run_of, write_run

ONLY = Rule(measures=("passes",))


def two_targets(base: Mapping[str, Sequence[int]], new: Mapping[str, Sequence[int]]) -> Run:
    """Return a run of two targets with these results."""
    records = [*repeats(base), *repeats(new, NEW)]
    return run_of(records, checks=checks_of([*base]))


def only_finding(run: Run, rule: Rule = ONLY) -> DiffFinding:
    """Return the finding on the pass rate of the second target."""
    (found,) = diff_within(run, BASE, NEW, rule).findings
    return found


def test_a_target_that_passes_less_is_worse() -> None:
    """If the second target fails all of ten cases, McNemar's p-value is 2/1024."""
    found = only_finding(two_targets(cases(10, 1), cases(10, 0)))
    assert (found.verdict, found.p, found.units, found.n) == (Verdict.REGRESSED, 2 / 1024, 10, (10, 10))
    assert (found.base_level, found.new_level, found.change) == (1.0, 0.0, -1.0)
    assert found.interval is not None
    assert found.interval.high < -0.5
    better = only_finding(two_targets(cases(10, 0), cases(10, 1)))
    assert better.verdict is Verdict.IMPROVED


def test_many_cases_that_both_pass_are_unchanged() -> None:
    """Without a failure, 100 cases are unchanged within five points; 20 are undecided, and more repeats do not help."""
    assert only_finding(two_targets(cases(100, 1), cases(100, 1))).verdict is Verdict.UNCHANGED
    run = two_targets(cases(20, 1, 1), cases(20, 1, 1))
    found = only_finding(run)
    assert (found.verdict, found.decision.reason) == (Verdict.UNDECIDED, UndecidedReason.FEW_CASES)
    assert "more repeats of the same cases would not decide; about" in write_plain(diff_within(run, BASE, NEW, ONLY))


def test_fewer_than_eight_cases_cannot_decide_whatever_the_repeats() -> None:
    """Seven cases that differ in all of twenty rounds are not enough."""
    run = two_targets(cases(7, *[1] * 20), cases(7, *[0] * 20))
    found = only_finding(run)
    assert (found.decision.reason, found.decision.needed, found.decision.rounds) == (UndecidedReason.FEW_CASES, 8, None)
    assert "inconclusive with 7 cases: more repeats" in write_plain(diff_within(run, BASE, NEW, ONLY))


def test_repeats_that_differ_name_rounds_as_well() -> None:
    """For forty cases that pass in two of four rounds on both sides, a number of rounds, or of cases, is named."""
    turned = [
        {case: of_rounds[at % 4 :] + of_rounds[: at % 4] for at, case in enumerate(cases(40))}
        for of_rounds in ([1, 0, 1, 0], [0, 1, 1, 0])
    ]
    run = two_targets(*turned)
    found = only_finding(run)
    assert found.decision.reason is UndecidedReason.NOISY
    assert found.decision.rounds is not None
    shown = " ".join(write_plain(diff_within(run, BASE, NEW, ONLY)).split())
    assert f"about {found.decision.rounds} rounds of the same cases (--repeat) should be enough, or about" in shown


def test_the_pass_rate_shares_the_level_with_all_other_rows() -> None:
    """Its p-value is adjusted with those of all other rows, and is smaller if it is the only measure."""
    run = two_targets(cases(10, 1), cases(10, 0))
    alone = only_finding(run)
    rows = diff_within(run, BASE, NEW).findings
    beside = next(each for each in rows if each.measure.name == "passes")
    assert beside.p == pytest.approx(alone.p * sum(each.tested for each in rows))
    assert [each.measure.name for each in rows][:2] == ["failures", "passes"]


def test_two_runs_are_paired_by_case() -> None:
    """Their numbers of repeats may differ: only what changed within a case counts."""
    before = run_of(repeats(cases(20, 1, 1, 1)), checks=checks_of([*cases(20)]))
    half = {case: [at % 2, 1 - at % 2] for at, case in enumerate(cases(20))}
    after = run_of(repeats(half), "new", checks=checks_of([*cases(20)]))
    (found,) = diff_runs(before, after, ONLY).findings
    assert (found.verdict, found.units, found.n) == (Verdict.REGRESSED, 20, (60, 40))
    assert found.change == pytest.approx(-0.5)


def test_a_case_with_other_checks_is_left_out_and_named() -> None:
    """Passing another check is not comparable; a check that only moved to another line is."""
    both = cases(20, 1)
    checks = checks_of([*both])
    old = run_of(repeats(both), checks=checks)
    other = {"case-003": {**CHECK, "checks": {"contains": "no"}}, "case-004": {**CHECK, "line": 9}}
    new = run_of(repeats(both), "new", checks={**checks, **other})
    found = diff_runs(old, new, ONLY)
    assert found.findings[0].units == 19
    assert f"{BASE}: checked by other checks, not in the pass rate: case-003" in found.warnings


def test_undecided_repeats_are_counted_beside() -> None:
    """A cancelled request leaves its repeat undecided, so its pair is in no share."""
    records = list(repeats(cases(10, 1, 1)))
    records[0] = replace(records[0], outcome=Outcome.CANCELLED)
    run = run_of([*records, *repeats(cases(10, 1, 1), NEW)], checks=checks_of([*cases(10)]))
    found = diff_within(run, BASE, NEW, ONLY)
    assert found.findings[0].n == (19, 19)
    assert f"{NEW}: repeats that the checks left undecided are in no pass rate: 1 and 0" in found.warnings


def test_a_failed_request_is_a_failed_repeat() -> None:
    """A target whose requests fail in hard cases does not pass them."""
    old = list(repeats(cases(10, 1)))
    new = [failed(NEW, case) for case in cases(10)]
    run = run_of([*old, *new], checks=checks_of([*cases(10)]))
    assert only_finding(run).verdict is Verdict.REGRESSED


def test_runs_without_checks_are_refused_by_name_only() -> None:
    """If the measure is requested by name, it needs checks; otherwise it has no row."""
    run = run_of([answered(), answered(NEW)])
    with pytest.raises(CompareError, match=r"passes is the share of repeats .*, and there are none"):
        diff_within(run, BASE, NEW, ONLY)
    with pytest.raises(CompareError, match=r"there is none: set it, --slo; passes is the share"):
        diff_within(run, BASE, NEW, Rule(measures=("slo", "passes")))
    assert "passes" not in {each.measure.name for each in diff_within(run, BASE, NEW).findings}


def test_nothing_decided_is_no_pass() -> None:
    """There is no comparison if the checks leave one side undecided."""
    cancelled = [replace(each, outcome=Outcome.CANCELLED) for each in repeats(cases(10, 1), NEW)]
    run = run_of([*repeats(cases(10, 1)), *cancelled], checks=checks_of([*cases(10)]))
    with pytest.raises(CompareError, match="has no pass rate on both sides"):
        diff_within(run, BASE, NEW, ONLY)


def test_places_are_compared_by_what_was_asked_from_each() -> None:
    """The repeats of a case from each node count separately."""
    nodes = {"north": "eu", "south": "us"}
    records = [
        replace(each, node=node) for node, passed in (("north", 1), ("south", 0)) for each in repeats(cases(10, passed))
    ]
    run = run_of(records, checks=checks_of([*cases(10)]), vantages=nodes)
    assert sum(cell.n for cell in run.checked) == 20
    (found,) = diff_places(run, "eu", "us", ONLY).findings
    assert (found.verdict, found.units) == (Verdict.REGRESSED, 10)


def test_each_repeat_has_its_verdict() -> None:
    """Pairs need the round and the verdict of each repeat."""
    run = run_of(repeats({"one": [1, 0]}), checks=checks_of(["one"]))
    (cell,) = run.checked
    assert [(each.block, each.verdict) for each in cell.repeats] == [
        (1, CheckVerdict.PASSED),
        (2, CheckVerdict.FAILED),
    ]


def test_the_smallest_change_of_a_pass_rate_is_chosen(tmp_path: Path, run_cli: RunCli) -> None:
    """The minimum change can be set on the command line and in Python; a smaller change does not regress."""
    half = {case: [at % 2] for at, case in enumerate(cases(40))}
    write_run(tmp_path / "run", [*repeats(cases(40, 1)), *repeats(half, NEW)], checks=checks_of([*half]))
    compared = ("diff", tmp_path / "run", "--between", BASE, NEW, "--metric", "passes", "--gate")
    assert run_cli(*compared).returncode == 1
    assert run_cli(*compared, "--min-pass-change", "80%").returncode == 0
    refused = run_cli(*compared, "--min-pass-change", "150%")
    assert refused.returncode == 2
    assert "'150%' is not a share above 0 and up to 100%" in refused.stderr
    table = load(tmp_path / "run")
    between, wide = (BASE, NEW), 0.8
    assert diff(table, between=between, metric="passes").verdict == "regressed"
    assert diff(table, between=between, metric="passes", min_pass_change=wide).verdict != "regressed"


STEPS = {"turns": 1, "max_steps": 5, "answered": ["get_weather"]}


def with_step(records: Iterable[Record], told: str) -> Iterator[Record]:
    """Yield each record as the second step of its conversation, after a step that calls a tool."""
    for record in records:
        call = ToolCall("get_weather", "{}", "c1")
        yield replace(record, reply="", calls=(call,), finish_reason="tool_calls")
        second = replace(record.identity, turn=2, key=f"{record.identity.key}-2", prompt=f"[get_weather] {told}")
        yield replace(record, identity=second, earlier_calls=(call,))


def test_targets_that_take_other_steps_are_compared_by_their_checks() -> None:
    """Checks judge the tool calls: no case is left out, but extra steps have no pair."""
    both = cases(10, 1)
    checks = {case: {**CHECK, **STEPS} for case in both}
    steps = with_step(repeats(both), "18 degrees")
    found = diff_within(run_of([*steps, *repeats(cases(10, 0), NEW)], checks=checks), BASE, NEW, ONLY)
    assert (found.findings[0].units, found.findings[0].verdict) == (10, Verdict.REGRESSED)
    named = ", ".join(f"{case} · step 2" for case in both)
    assert f"{NEW}: only in base, not compared: {named}" in found.warnings


@pytest.mark.parametrize(("digest", "units"), [("base", 20), ("other", 10)])
def test_other_results_of_tools_are_another_question(digest: str, units: int) -> None:
    """If suites differ in results of tools, cases that used them are left out, and others are compared."""
    called, plain = cases(10, 1), {f"plain-{case}": rounds for case, rounds in cases(10, 1).items()}
    checks = {case: {**CHECK, **STEPS} for case in (*called, *plain)}
    old, new = [
        run_of([*with_step(repeats(called), told), *records], told, digest=of_suite, checks=checks)
        for told, of_suite, records in (
            ("18 degrees", "base", [*repeats(plain)]),
            ("20 degrees", digest, [*with_step(repeats(plain), "20 degrees")]),
        )
    ]
    (found,) = diff_runs(old, new, ONLY).findings
    assert found.units == units


def judged_by(judge: str, id_: str) -> Run:
    """Return a run whose only case was judged by a judge with this id."""
    checks = {
        **checks_of([*cases(20)]),
        "case-003": {**CHECK, "checks": {"contains": "yes", "rubric": "It is polite."}},
    }
    cost = JudgeCost(judge, simulated=False, requests=1, failed=0, unclear=0, priced=0, spent=(), id=id_)
    return replace(run_of(repeats(cases(20, 1)), judge, checks=checks), judge_costs=(cost,))


def test_rubrics_that_a_judge_with_other_parameters_judged_are_left_out_and_named() -> None:
    """A temperature, a system message or another prompt may change its verdicts."""
    old, new = judged_by("sim/judge", "one"), judged_by("sim/judge", "other")
    why = "judged by sim/judge with other parameters, or by another prompt, in new"
    assert f"{BASE}: {why}, not in the pass rate: case-003" in diff_runs(old, new, ONLY).warnings
    assert not any("judged by" in each for each in diff_runs(old, judged_by("sim/judge", "one"), ONLY).warnings)


def test_rubrics_that_another_model_judged_are_left_out_and_named() -> None:
    """Its verdicts depend on the judge, too; cases without a rubric are compared."""
    old, new = judged_by("sim/judge", "one"), judged_by("acme/strict", "two")
    warning = f"{BASE}: judged by sim/judge in base and acme/strict in new, not in the pass rate: case-003"
    assert warning in diff_runs(old, new, ONLY).warnings
    assert not any("judged by" in each for each in diff_runs(old, replace(old), ONLY).warnings)


def test_a_gate_on_checks_that_all_differ_says_so() -> None:
    """The message does not ask for checks, because both runs have some."""
    old, new = (
        run_of(repeats(cases(3, 1)), name, checks={case: {**CHECK, "checks": {"contains": name}} for case in cases(3)})
        for name in ("old", "new")
    )
    with pytest.raises(CompareError, match=r"and none can be compared: .*checked by other checks, .* case-000"):
        diff_runs(old, new, ONLY)

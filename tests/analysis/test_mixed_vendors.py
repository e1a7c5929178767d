"""Targets that several vendors answered: findings, splits, and warnings of comparisons and histories."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner import summary
from runner.analysis.diff import diff_runs, diff_within
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.mixed_vendors import AnswerGroup, find_mixed_answers
from runner.core.events import Outcome
from runner.core.record import Record
from runner.errors import CompareError
from runner.outputs.text.run_remarks import describe_mixed
from runner.outputs.text.translation import in_language
from tests.support.crafted_runs import BASE, NEW, answered, failed, run_of, write_run


def served(*vendors: str | None, target: str = BASE, **names: Any) -> list[Record]:
    """Return a record of each vendor, a round each; the n-th vendor by name is n times as slow as the first."""
    order = sorted({vendor or "" for vendor in vendors})
    return [
        answered(target, block=block, ttft_s=0.1 * (1 + order.index(vendor or "")), served_by=vendor, **names)
        for block, vendor in enumerate(vendors, 1)
    ]


def answered_by(column: str, name: str, block: int) -> Record:
    """Return a record that names who answered in one column; each round takes longer by 100 ms."""
    names: dict[str, Any] = {column: name}
    return answered(block=block, ttft_s=0.1 * block, **names)


def test_a_target_of_two_vendors_has_a_median_and_n_of_each() -> None:
    """Failed requests are counted but enter no median; requests without a vendor are counted separately."""
    bad = replace(failed(block=9), served_by="B")
    run = run_of([*served("A", "A", "B", None), bad])
    (found,) = run.mixed_answers
    assert (found.target, found.column, found.unknown) == (MeasuredTarget(BASE), "served_by", 1)
    assert [(group.name, group.n) for group in found.groups] == [("A", 2), ("B", 2)]
    medians = [group.ttft_p50 for group in found.groups]
    assert [(each.value, each.n) for each in medians if each] == [(0.2, 2), (0.3, 1)]


def test_warm_ups_and_targets_of_one_vendor_are_no_finding() -> None:
    """Warm-ups are not counted."""
    warm = replace(answered(block=0, served_by="B"), warmup=True)
    assert run_of([warm, *served("A", "A")]).mixed_answers == ()
    assert run_of([*served("A"), *served("B", target=NEW)]).mixed_answers == ()


def test_fingerprints_are_a_finding_where_vendors_are_not() -> None:
    """Fingerprints are left out if vendors differ, because each vendor has its own."""
    prints = [replace(record, system_fingerprint=f"f{at}") for at, record in enumerate(served("A", "A"))]
    assert [found.column for found in run_of(prints).mixed_answers] == ["system_fingerprint"]
    prints = [replace(record, system_fingerprint=f"f{at}") for at, record in enumerate(served("A", "B"))]
    assert [found.column for found in run_of(prints).mixed_answers] == ["served_by"]


def test_tiers_are_a_finding_beside_vendors() -> None:
    """A tier may have another speed at the same vendor."""
    first, second = served("A", "B")
    records = [replace(first, service_tier="flex"), replace(second, service_tier="default")]
    assert [found.column for found in run_of(records).mixed_answers] == ["served_by", "service_tier"]


@pytest.mark.parametrize(
    ("column", "words", "chinese"),
    [
        ("served_by", "2 vendors answered", "由 2 家供应商回答"),
        ("system_fingerprint", "replies have 2 system fingerprints", "2 种 system_fingerprint"),
        ("service_tier", "replies came from 2 service tiers", "2 种服务等级"),
    ],
)
def test_the_sentence_names_vendors_with_their_counts_and_medians(column: str, words: str, chinese: str) -> None:
    """In both languages it says that figures mix the vendors, and names the option that splits them."""
    records = [answered_by(column, name, at) for at, name in enumerate("AB", 1)]
    (sentence,) = describe_mixed(find_mixed_answers(run_of(records).table))
    assert sentence == (
        f"{BASE}: {words}, and its figures mix them: A 1 request (median TTFT 100 ms, n 1), "
        f"B 1 request (median TTFT 200 ms, n 1); --by {column} splits them"
    )
    with in_language("zh"):
        (translated,) = describe_mixed(find_mixed_answers(run_of(records).table))
    assert chinese in translated
    assert f"--by {column}" in translated


def test_many_vendors_are_counted() -> None:
    """The sentence lists six and counts the others."""
    records = [answered(block=at, served_by=f"V{at}") for at in range(1, 10)]
    (sentence,) = describe_mixed(run_of([*records, replace(failed(block=10), served_by=None)]).mixed_answers)
    assert "V6" in sentence
    assert "V7" not in sentence
    assert "3 more, not known of 1" in sentence


def test_a_vendor_without_a_timed_reply_has_no_median() -> None:
    """Its requests are still counted."""
    run = run_of([*served("A"), replace(failed(block=2), served_by="B")])
    assert run.mixed_answers[0].groups[1] == AnswerGroup("B", 1, None)
    assert "B 1 request;" in describe_mixed(run.mixed_answers)[0]


# Split


def test_a_split_run_has_a_row_for_each_vendor() -> None:
    """Rows without a vendor, such as failures, are separate; a target that never names one stays whole."""
    run = replace(run_of([*served("B", "A", None), *served(None, target=NEW)]), by="served_by").split_by_place
    assert [str(each.target) for each in run.summary] == [f"{BASE} by A", f"{BASE} by B", f"{BASE} by unknown", NEW]
    assert [each.n for each in run.summary] == [1, 1, 1, 1]
    assert {str(run.split.target_of(record)) for record in run.records} == {str(each.target) for each in run.summary}
    assert run.mixed_answers == ()
    assert run.split_by_place is run


def test_a_run_is_split_by_place_and_vendor() -> None:
    """There is a row for each place and each vendor that answered there."""
    records = [
        replace(answered(block=at, served_by=vendor), node=node)
        for at, (vendor, node) in enumerate([("A", "north"), ("B", "north"), ("A", "south")], 1)
    ]
    run = replace(run_of(records, vantages={"north": None, "south": None}), by="served_by").split_by_place
    assert [str(each.target) for each in run.summary] == [
        f"{BASE} from north by A",
        f"{BASE} from north by B",
        f"{BASE} from south by A",
    ]


def test_replies_side_by_side_are_split_like_tables() -> None:
    """The grid has a column for each vendor."""
    run = replace(run_of(served("A", "B")), by="served_by").split_by_place
    (row,) = run.grid
    assert [str(target) for target in row.replies] == [f"{BASE} by A", f"{BASE} by B"]


def test_a_summary_by_an_unknown_column_is_refused(tmp_path: Path) -> None:
    """The message names the columns that exist, as for a wrong option."""
    folder = write_run(tmp_path / "run", served("A", "B"))
    with pytest.raises(CompareError, match="give one of served_by, system_fingerprint, service_tier, response_model"):
        summary(folder, by="vendor")  # type: ignore[arg-type]


# Comparisons


def test_a_comparison_warns_of_another_mix_of_vendors() -> None:
    """The warning has the counts of both sides; fingerprints that follow from the vendors are left out."""
    base, new = run_of(served("A", "A", "B", "B"), "base"), run_of(served("A", "B", "B", "B"), "new")
    (warning,) = (each for each in diff_runs(base, new).warnings if "vendors" in each)
    assert warning == f"{BASE}: the vendors that answered differ: A 2, B 2 in base, B 3, A 1 in new"


@pytest.mark.parametrize("column", ["system_fingerprint", "service_tier"])
def test_a_comparison_warns_of_other_fingerprints_and_tiers(column: str) -> None:
    """It does so even if each side has only one of them."""
    base, new = (run_of([answered_by(column, name, at) for at in (1, 2)], name) for name in ("x", "y"))
    (warning,) = (each for each in diff_runs(base, new).warnings if "differ: x 2 in base, y 2 in new" in each)
    assert warning.startswith(f"{BASE}: the s")


def test_the_same_mix_and_a_side_that_names_nobody_are_no_warning() -> None:
    """Columns that an older journal lacks give no warning."""
    mixed, silent = run_of(served("A", "B"), "mixed"), run_of(served(None, None), "silent")
    for base, new in ((mixed, run_of(served("B", "A"), "other")), (silent, mixed), (mixed, silent)):
        assert not [each for each in diff_runs(base, new).warnings if "vendors" in each]


def test_two_models_of_one_run_may_have_other_vendors() -> None:
    """At a router all models do; variants of one model should not."""
    run = run_of([*served("A", "A"), *served("B", "B", target=NEW)])
    assert not [each for each in diff_within(run, BASE, NEW).warnings if "vendors" in each]
    varied = [
        replace(record, identity=replace(record.identity, variant=name, key=f"{name}{record.identity.block}"))
        for name, vendor in (("x", "A"), ("y", "B"))
        for record in served(vendor, vendor)
    ]
    difference = diff_within(run_of(varied), f"{BASE}#x", f"{BASE}#y")
    assert [each for each in difference.warnings if "the vendors that answered differ" in each]


def test_outcomes_of_another_route_are_failures() -> None:
    """They are counted, and enter no median."""
    other = answered(block=2, served_by="B", outcome=Outcome.PROVIDER_ERROR, error_type="other_route")
    (found,) = run_of([*served("A"), other]).summary
    assert (found.failed, found.ttft_p50.n if found.ttft_p50 else 0) == (1, 1)

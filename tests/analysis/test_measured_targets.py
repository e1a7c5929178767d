"""Runs that each node of a cluster sends in full (`--vantage`): preparation, tables by place, differences of places."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from runner import diff, load
from runner.analysis.diff import Difference, diff_places, diff_runs, diff_within
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.measured_targets import MeasuredTarget, find_nodes, name_places
from runner.analysis.run_results import Run
from runner.cli import commands
from runner.commands.run.load_suite import load_suite
from runner.commands.run.options import RunOptions
from runner.commands.run.prepare import prepare
from runner.commands.run.prepared_run import PreparedRun
from runner.core.cluster_node import Node
from runner.core.events import Outcome
from runner.core.record import Record
from runner.errors import CompareError
from runner.outputs import WRITERS
from runner.outputs.terminal import render_summary
from runner.outputs.text.costs import describe_costs
from runner.outputs.text.summary import tabulate_summary
from runner.pricing.rates import Price, Rates
from tests.support.command import compare, write_yaml
from tests.support.crafted_runs import BASE, NEW, answered, failed, jittered, run_of, write_run
from tests.support.examples import FEWER
from tests.support.resumable_run import ResumableRun, open_run

CASES = [{"id": "one", "prompt": "one"}, {"id": "two", "prompt": "two"}]
NODES = {"alpha": "north", "beta": "north", "delta": "south"}
REGIONS = ("north", "south")
NORTH, SOUTH = Node("alpha", "north"), Node("beta", "south")


def prepared_run_of(place: Path) -> PreparedRun:
    """Return a run of two requests to the simulator, prepared to be sent from every node of a cluster."""
    suite = write_yaml(place / "suite.yaml", {"version": 1, "name": "suite", "cases": CASES})
    options = RunOptions(engine="ray", vantage=True, outputs=(place / "out",))
    return prepare(*load_suite(suite), options)


def give_vantages(run: ResumableRun, *nodes: Node) -> None:
    """Change a journal as if its run had been sent from these nodes."""
    first, *others = run.journal.read_text(encoding="utf-8").splitlines()
    header = {**json.loads(first), "vantages": {node.name: node.region for node in nodes}}
    run.journal.write_text("\n".join([json.dumps(header), *others, ""]), encoding="utf-8")


# Preparation


def test_a_prepared_run_counts_its_requests_once_per_node(tmp_path: Path) -> None:
    """They are counted once until the nodes are known; then a note names the nodes."""
    prepared = prepared_run_of(tmp_path)
    assert prepared.wants_vantages
    wide = prepared.with_vantages((NORTH, Node("gamma", None)))
    assert wide.planned_requests == wide.forecast.requests == 2 * (prepared.planned_requests or 0)
    assert wide.notes[-1] == "everything is asked from each of alpha (north), gamma"
    assert wide.limits == prepared.limits, "a limit is the provider's, however many nodes there are"


def test_a_resumed_run_keeps_its_vantages(tmp_path: Path) -> None:
    """New nodes are ignored, and a missing node is named in the error."""
    prepared = prepared_run_of(tmp_path).with_vantages((NORTH, SOUTH))
    assert prepared.with_vantages((SOUTH, Node("alpha", "moved"), Node("gamma", None))).plan.vantages == (NORTH, SOUTH)
    with pytest.raises(CompareError, match=r"asks from alpha, too, .* it has beta"):
        prepared.with_vantages((SOUTH,))


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResumableRun]:
    """Return a finished run of two requests, and the simulator that it was sent to."""
    with open_run(tmp_path_factory.mktemp("finished"), "quick") as run:
        run.write_suite(CASES)
        run.run()
        yield run


def test_a_run_with_vantages_cannot_be_resumed_without_a_cluster(finished_run: ResumableRun, tmp_path: Path) -> None:
    """Exit code 2, a message that names the option, and no request."""
    run = replace(finished_run, place=copytree(finished_run.place, tmp_path / "copy"))
    give_vantages(run, NORTH, SOUTH)
    requests = run.asked()
    resumed = run.run()
    assert (resumed.returncode, run.asked()) == (2, requests)
    assert "out sends every request from each of alpha, beta; add --engine ray" in resumed.stderr


def test_a_run_without_vantages_cannot_be_resumed_with_vantage(finished_run: ResumableRun, tmp_path: Path) -> None:
    """None of its rows would count; the error comes before a cluster is started."""
    place = copytree(finished_run.place, tmp_path / "copy")
    resumed = compare(place, "run", "--resume", "out", "--engine", "ray", "--vantage")
    assert resumed.returncode == 2
    assert "out was not started with --vantage" in resumed.stderr


# Places


VANTAGES = st.dictionaries(st.text(max_size=3), st.none() | st.sampled_from(["north", "south", ""]), max_size=4)


@given(VANTAGES)
def test_places_are_regions_where_these_differ(vantages: dict[str, str | None]) -> None:
    """Every node has a place: its region if all nodes have one and these differ, else the node itself."""
    places, regions = name_places(vantages), set(vantages.values())
    assert list(places) == list(vantages)
    by_region = len(regions) > 1 and None not in regions
    assert places == (vantages if by_region else {node: node for node in vantages})
    for node, region in vantages.items():
        assert node in find_nodes(vantages, places[node])
        assert region is None or region in places.values() or node in find_nodes(vantages, region)
        assert find_nodes(vantages, node)


def test_a_place_is_a_region_before_it_is_a_node() -> None:
    """A region means all its nodes, even if a node has the same name."""
    vantages = {"a": "north", "b": "north", "c": "a"}
    found = {name: find_nodes(vantages, name) for name in ("north", "a", "c", "d")}
    assert found == {"north": {"a", "b"}, "a": {"c"}, "c": {"c"}, "d": set()}


# Tables


def sent_from(node: str, *records: Record) -> list[Record]:
    """Return records as sent from a node of NODES, with the keys of the plan of such a run."""
    keys = (replace(record.identity, key=f"{record.identity.key}-{node}") for record in records)
    return [
        replace(record, identity=identity, node=node, region=NODES[node])
        for record, identity in zip(records, keys, strict=True)
    ]


def run_from(*records: Record, **details: Any) -> Run:
    """Return a run that all NODES sent in full."""
    return run_of(records, vantages=NODES, **details)


@settings(max_examples=FEWER)
@given(st.lists(st.tuples(st.sampled_from([BASE, NEW]), st.sampled_from([*NODES]), st.integers(1, 999)), min_size=1))
def test_summary_of_a_place_is_that_of_its_requests_alone(requests: list[tuple[str, str, int]]) -> None:
    """Each target and place has the summary of a run with only these requests, or only those from the place.

    The latter for slow requests: what is usual for a question is so for all targets.
    """
    records = [
        *(each for target, node, ms in requests for each in sent_from(node, answered(target, ttft_s=ms / 1000))),
        *(each for node in NODES for target in (BASE, NEW) for each in sent_from(node, failed(target))),
    ]
    summaries = {each.target: each for each in run_from(*records).split_by_place.summary}
    assert list(summaries) == [
        MeasuredTarget(target, region) for target in run_from(*records).header.targets for region in REGIONS
    ]
    for target in (BASE, NEW):
        for region in REGIONS:
            alone = run_of([each for each in records if (each.identity.target, each.region) == (target, region)])
            found = replace(summaries[MeasuredTarget(target, region)], target=MeasuredTarget(target))
            assert replace(found, slow=None) == replace(alone.summary[0], slow=None)
            from_there = run_of([each for each in records if each.region == region]).summary
            assert found.slow == next(each.slow for each in from_there if each.target == found.target)


def test_a_run_without_vantages_has_one_row_per_target() -> None:
    """Nodes that share the requests are not split."""
    run = run_of([*sent_from("alpha", answered(BASE)), *sent_from("beta", answered(BASE, block=2))])
    assert run.split_by_place is run
    assert [row[0] for row in tabulate_summary(run.split_by_place.summary).rows] == [BASE]


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_markdown_and_report_have_a_row_per_place(suffix: str) -> None:
    """Summary, failures, replies and columns are per target and place; data keeps the model's name."""
    run = run_from(
        *(each for node in NODES for each in sent_from(node, answered(BASE, reply=f"Hello {node}"), failed(NEW)))
    )
    text = WRITERS[suffix](run)
    assert "alpha (north), beta (north), delta (south)" in text
    for region in REGIONS:
        assert f"{BASE} from {region}" in text
        assert f"{NEW} from {region}" in text
    assert [row["model"] for row in csv.DictReader(StringIO(WRITERS[".csv"](run)))] == ["old", "new"] * len(NODES)


def test_terminal_has_a_row_per_place() -> None:
    """Each row has its own n."""
    run = run_from(
        *(each for node in NODES for block in (1, 2) for each in sent_from(node, answered(BASE, block=block)))
    )
    console = Console(width=200, file=StringIO())
    console.print(render_summary(run))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    rows = [line.split() for line in lines if " from " in line and "answered" not in line]
    assert [(row[:3], row[3]) for row in rows] == [([BASE, "from", "north"], "4"), ([BASE, "from", "south"], "2")]


def test_price_of_a_target_is_the_same_from_every_place() -> None:
    """Costs are per target and place."""
    price = Price("USD", (Rates(Decimal(1), Decimal(1)),), "test").to_plain()
    run = run_from(*sent_from("alpha", answered(BASE, input_tokens=1)), prices={BASE: price})
    assert [(str(each.target), each.spent.currency) for each in run.split_by_place.costs] == [
        (f"{BASE} from north", "USD")
    ]
    assert describe_costs(run.split_by_place) == [f"cost of {BASE} from north: 0.000004 USD, n 1; prices: test"]


# Differences


def jittered_from(
    node: str, blocks: int = 20, *, target: str = BASE, slower: float = 1.0, seed: int = 1
) -> list[Record]:
    """Return a target's replies, log-normal around 300 ms times `slower`, sent from a node."""
    return sent_from(node, *jittered(target, blocks, slower=slower, seed=seed))


def verdicts(difference: Difference, measure: str = "ttft_s") -> dict[str, Verdict]:
    """Return the verdict on a measure for each target."""
    return {each.target: each.verdict for each in difference.findings if each.measure.name == measure}


def test_a_target_that_is_slower_from_one_region_is_regressed_there() -> None:
    """Each target has its own findings; a target that is as fast from both is not affected."""
    far = jittered_from("delta", slower=1.4, seed=2) + jittered_from("delta", target=NEW, seed=2)
    run = run_from(*jittered_from("alpha"), *jittered_from("alpha", target=NEW), *far)
    there, back = diff_places(run, "north", "south"), diff_places(run, "south", "north")
    assert (verdicts(there)[BASE], verdicts(back)[BASE]) == (Verdict.REGRESSED, Verdict.IMPROVED)
    assert Verdict.REGRESSED not in {verdicts(there)[NEW], verdicts(back)[NEW]}
    assert (there.paired, there.base.place, there.new.place) == (True, "north", "south")
    (found,) = (each for each in there.findings if (each.target, each.measure.name) == (BASE, "ttft_s"))
    assert (found.units, found.interval is not None and 1.4 in found.interval) == (20, True)


def grow_slower(record: Record) -> Record:
    """Return a reply slowed down by its block, by a factor of ten in the end."""
    identity = record.identity
    late_s = (record.ttft_s or 0) * math.exp(identity.block / 5)
    return replace(answered(BASE, identity.case, identity.block, late_s), node=record.node, region=record.region)


@given(st.integers(0, 50), st.floats(0.01, 0.3))
def test_equal_regions_are_not_regressed(seed: int, sigma: float) -> None:
    """Two equal places do not differ, also with a drift by a factor of ten, which pairs cancel."""
    records = [
        each
        for node, own in (("alpha", 2 * seed), ("delta", 2 * seed + 1))
        for each in sent_from(node, *jittered(BASE, 12, sigma=sigma, seed=own))
    ]
    rule = Rule(measures=("ttft",))  # the only test has all of alpha
    for run in (run_from(*records), run_from(*map(grow_slower, records))):
        assert verdicts(diff_places(run, "north", "south", rule))[BASE] is not Verdict.REGRESSED


def test_a_region_is_the_mean_of_its_nodes() -> None:
    """A block is one unit of evidence, for any number of nodes."""
    run = run_from(*jittered_from("alpha"), *jittered_from("beta", slower=1.5, seed=3), *jittered_from("delta", seed=4))
    found = {each.measure.name: each for each in diff_places(run, "south", "north").findings}["ttft_s"]
    assert found.units == 20
    assert found.change == pytest.approx(math.sqrt(1.5), rel=0.06)
    nodes = diff_places(run, "alpha", "beta")
    assert (verdicts(nodes)[BASE], nodes.new.place) == (Verdict.REGRESSED, "beta")


def test_targets_are_paired_by_node() -> None:
    """A target that failed from the nearest node is not slower because of that."""
    near, far = jittered_from("alpha", target=NEW), jittered_from("delta", target=NEW, slower=3, seed=2)
    lost = [replace(each, outcome=Outcome.CONNECTION) if each.identity.block > 8 else each for each in near]
    run = run_from(*jittered_from("alpha", seed=5), *jittered_from("delta", slower=3, seed=6), *lost, *far)
    found = {each.measure.name: each for each in diff_within(run, BASE, NEW).findings}["ttft_s"]
    assert found.change == pytest.approx(1, abs=0.1)
    assert found.n == (56, 56)


def test_runs_are_matched_by_place() -> None:
    """A run that lost its nearest node is not slower because of that; a place of only one run is named."""
    base = run_from(*jittered_from("alpha"), *jittered_from("delta", slower=3, seed=2))
    fewer = {"alpha": "north", "delta": "south", "omega": "west"}
    later = [*jittered_from("alpha", 6, seed=3), *jittered_from("delta", slower=3, seed=4)]
    west = [replace(each, node="omega", region="west") for each in jittered(BASE, 20, slower=9)]
    difference = diff_runs(base, run_of([*later, *west], "new", vantages=fewer))
    assert verdicts(difference)[BASE] is not Verdict.REGRESSED
    assert f"{BASE}: only in new, not compared: from west" in difference.warnings


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("nroth", "south", "was not asked from nroth. Did you mean `north`?"),
        ("mars", "south", r"from mars\. It was asked from alpha \(north\), beta \(north\), delta \(south\)"),
        ("north", "north", "north and north are not two places: alpha, beta is in both"),
        ("north", "beta", "north and beta are not two places: beta is in both"),
    ],
)
def test_places_that_cannot_be_compared_are_refused(a: str, b: str, message: str) -> None:
    """The error names the places of the run, or suggests one."""
    with pytest.raises(CompareError, match=message):
        diff_places(run_from(*jittered_from("alpha", 2), *jittered_from("delta", 2)), a, b)


def test_a_run_without_vantages_has_no_places_to_compare() -> None:
    """Nodes that shared the requests sent different ones."""
    with pytest.raises(CompareError, match="--vantage"):
        diff_places(run_of([*jittered_from("alpha", 2), *jittered_from("delta", 2)]), "north", "south")


# The command, and Python


@pytest.fixture
def slow_south(tmp_path: Path) -> Path:
    """Write a run in which everything is slower from the south."""
    records = [*jittered_from("alpha"), *jittered_from("delta", slower=1.5, seed=2)]
    return write_run(tmp_path / "run", records, vantages=NODES)


def test_a_difference_between_regions_names_both_places_in_every_format(slow_south: Path, tmp_path: Path) -> None:
    """Terminal, Markdown, JSON and JUnit name the places; a regression fails a gate."""
    outputs = {suffix: tmp_path / f"report{suffix}" for suffix in (".md", ".json", ".xml")}
    named = [argument for path in outputs.values() for argument in ("-o", str(path))]
    asked = ["diff", str(slow_south), "--between-regions", "north", "south", "--gate", *named]
    result = CliRunner().invoke(commands, asked)
    assert result.exit_code == 1, result.output
    texts = {suffix: path.read_text(encoding="utf-8") for suffix, path in outputs.items()}
    for text in (result.output, texts[".md"], texts[".xml"]):
        assert "slower" in text
        assert "base: from north" in text
        assert "new: from south" in text
    document = json.loads(texts[".json"])
    assert (document["verdict"], document["base"]["place"], document["new"]["place"]) == ("regressed", "north", "south")
    back = CliRunner().invoke(commands, ["diff", str(slow_south), "--between-regions", "south", "north", "--gate"])
    assert back.exit_code == 0


@pytest.mark.parametrize(
    "more", [("latest", "--between-regions", "a", "b"), ("--between-regions", "a", "b", "--between", BASE, NEW)]
)
def test_diff_between_regions_excludes_other_comparisons(slow_south: Path, more: tuple[str, ...]) -> None:
    """Neither a second run nor two targets may be named with it."""
    result = CliRunner().invoke(commands, ["diff", str(slow_south), *more])
    assert (result.exit_code, "--between-regions" in result.output) == (2, True)


def test_python_diff_between_regions_of_part_of_a_table(slow_south: Path) -> None:
    """Rows that were removed from a table stay out, separately for each node."""
    table = load(slow_south)
    assert diff(table, between_regions=("north", "south")).verdict == "regressed"
    few = table[(table["region"] == "north") | (table["block"] <= 9)]
    comparison = diff(few, between_regions=("north", "south"), metric="ttft")
    assert comparison.frame["units"].tolist() == [9]
    assert "from north" in repr(comparison)
    with pytest.raises(CompareError, match="give two names"):
        diff(table, between_regions="ns")  # type: ignore[arg-type]
    with pytest.raises(CompareError, match=r"Name two runs\. For one run"):
        diff(table, between=(BASE, NEW), between_regions=("north", "south"))

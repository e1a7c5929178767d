"""A run asked from several nodes, each asking everything: what is refused before it, and what is made of it after."""

import csv
import json
import math
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner import diff, load
from runner.analysis.diff import Difference, diff_places, diff_runs, diff_within
from runner.analysis.places import MeasuredTarget, find_nodes, name_places
from runner.analysis.run import Run
from runner.analysis.verdict import Verdict
from runner.cli import commands
from runner.commands.run.job import PreparedRun, RunOptions
from runner.commands.run.prepare import load_suite, prepare
from runner.core.events import Outcome
from runner.core.nodes import ClusterOptions, Node
from runner.core.record import Record
from runner.errors import CompareError
from runner.outputs import WRITERS
from runner.outputs.terminal import render_summary
from runner.outputs.text.costs import describe_costs
from runner.outputs.text.overview import tabulate_summary
from runner.pricing.rates import Price, Rates
from tests.support.command import compare, write_yaml
from tests.support.crafted_runs import BASE, NEW, answered, failed, jittered, run_of, write_run
from tests.support.killed_runs import Lineage, begin

CASES = [{"id": "one", "prompt": "one"}, {"id": "two", "prompt": "two"}]
NODES = {"alpha": "north", "beta": "north", "delta": "south"}
REGIONS = ("north", "south")
NORTH, SOUTH = Node("alpha", "north"), Node("beta", "south")


def job_of(place: Path) -> PreparedRun:
    """Make a run of two requests to the simulator ready, to be asked from every node of a cluster."""
    suite = write_yaml(place / "suite.yaml", {"version": 1, "name": "suite", "cases": CASES})
    options = RunOptions(fleet=ClusterOptions(vantage=True), outputs=(place / "out",))
    return prepare(*load_suite(suite), options)


def give_vantages(run: Lineage, *nodes: Node) -> None:
    """Change a journal as if its run had been asked from these nodes."""
    first, *others = run.journal.read_text(encoding="utf-8").splitlines()
    header = {**json.loads(first), "vantages": {node.name: node.region for node in nodes}}
    run.journal.write_text("\n".join([json.dumps(header), *others, ""]), encoding="utf-8")


# Made ready


def test_a_job_is_as_large_as_its_nodes_are_many(tmp_path: Path) -> None:
    """Before the nodes are known it is counted once; then each counts, and its user is told who they are."""
    job = job_of(tmp_path)
    assert job.wants_vantages
    wide = job.seen_from((NORTH, Node("gamma", None)))
    assert wide.planned_requests == wide.forecast.requests == 2 * (job.planned_requests or 0)
    assert wide.notes[-1] == "everything is asked from each of alpha (north), gamma"
    assert wide.limits == job.limits, "a limit is the provider's, however many nodes there are"


def test_a_run_keeps_its_vantages(tmp_path: Path) -> None:
    """Resumed, it is asked from the nodes it was begun with, whoever else has come; one that is gone is named."""
    job = job_of(tmp_path).seen_from((NORTH, SOUTH))
    assert job.seen_from((SOUTH, Node("alpha", "moved"), Node("gamma", None))).plan.vantages == (NORTH, SOUTH)
    with pytest.raises(CompareError, match=r"asks from alpha, too, .* it has beta"):
        job.seen_from((SOUTH,))


def test_a_run_from_several_nodes_is_resumed_on_a_cluster(tmp_path: Path) -> None:
    """This machine alone cannot ask from elsewhere: one sentence, exit code 2, nobody is asked."""
    with begin(tmp_path, "quick") as run:
        run.write_suite(CASES)
        run.run()
        asked = run.log()
        give_vantages(run, NORTH, SOUTH)
        resumed = run.run()
        assert (resumed.returncode, run.log()) == (2, asked)
    assert "out asks everything from each of alpha, beta. Go on with --engine ray" in resumed.stderr


def test_a_run_from_anywhere_is_not_asked_anew_from_everywhere(tmp_path: Path) -> None:
    """No row of it would count: that is said before a cluster is looked for."""
    with begin(tmp_path, "quick") as run:
        run.write_suite(CASES)
        run.run()
        resumed = compare(tmp_path, "run", "--resume", "out", "--engine", "ray", "--vantage")
    assert resumed.returncode == 2
    assert "out was not begun with --vantage" in resumed.stderr


# Places


VANTAGES = st.dictionaries(st.text(max_size=3), st.none() | st.sampled_from(["north", "south", ""]), max_size=4)


@given(VANTAGES)
def test_places_are_regions_where_these_tell_nodes_apart(vantages: dict[str, str | None]) -> None:
    """Every node has a place; it is its region if all have one and not all the same, and else the node itself."""
    places, regions = name_places(vantages), set(vantages.values())
    assert list(places) == list(vantages)
    by_region = len(regions) > 1 and None not in regions
    assert places == (vantages if by_region else {node: node for node in vantages})
    for node, region in vantages.items():
        assert node in find_nodes(vantages, places[node])
        assert region is None or region in places.values() or node in find_nodes(vantages, region)
        assert find_nodes(vantages, node)


def test_a_place_is_a_region_or_else_a_node() -> None:
    """A region stands for all its nodes, also where it has the name of one."""
    vantages = {"a": "north", "b": "north", "c": "a"}
    found = {name: find_nodes(vantages, name) for name in ("north", "a", "c", "d")}
    assert found == {"north": {"a", "b"}, "a": {"c"}, "c": {"c"}, "d": set()}


# Tables


def seen(node: str, *records: Record) -> list[Record]:
    """Return records as this node of NODES would have them."""
    return [replace(record, node=node, region=NODES[node]) for record in records]


def run_from(*records: Record, **details: Any) -> Run:
    """Return a run that all of NODES asked in full."""
    return run_of(records, vantages=NODES, **details)


@given(st.lists(st.tuples(st.sampled_from([BASE, NEW]), st.sampled_from([*NODES]), st.integers(1, 999)), min_size=1))
def test_a_figure_of_a_place_rests_on_what_was_heard_there(heard: list[tuple[str, str, int]]) -> None:
    """Each target and place has the summary that a run of these requests alone would have."""
    records = [
        *(each for target, node, ms in heard for each in seen(node, answered(target, ttft_s=ms / 1000))),
        *(each for node in NODES for target in (BASE, NEW) for each in seen(node, failed(target))),
    ]
    summaries = {each.target: each for each in run_from(*records).by_place.summary}
    assert list(summaries) == [
        MeasuredTarget(target, region) for target in run_from(*records).header.targets for region in REGIONS
    ]
    for target in (BASE, NEW):
        for region in REGIONS:
            alone = run_of([each for each in records if (each.identity.target, each.region) == (target, region)])
            assert replace(summaries[MeasuredTarget(target, region)], target=MeasuredTarget(target)) == alone.summary[0]


def test_nodes_that_share_the_load_are_not_told_apart() -> None:
    """A run on a cluster without --vantage has a row for each target, as on one machine."""
    run = run_of([*seen("alpha", answered(BASE)), *seen("beta", answered(BASE, block=2))])
    assert run.by_place is run
    assert [row[0] for row in tabulate_summary(run.by_place.summary).rows] == [BASE]


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_what_people_read_has_a_row_for_each_place(suffix: str) -> None:
    """Summary, failures, replies and the report's columns go by target and place; data keep the model's own name."""
    run = run_from(*(each for node in NODES for each in seen(node, answered(BASE, reply=f"Hello {node}"), failed(NEW))))
    text = WRITERS[suffix](run)
    assert "alpha (north), beta (north), delta (south)" in text
    for region in REGIONS:
        assert f"{BASE} from {region}" in text
        assert f"{NEW} from {region}" in text
    assert [row["model"] for row in csv.DictReader(StringIO(WRITERS[".csv"](run)))] == ["old", "new"] * len(NODES)


def test_the_terminal_has_a_row_for_each_place() -> None:
    """Each figure with the n behind it."""
    run = run_from(*(each for node in NODES for block in (1, 2) for each in seen(node, answered(BASE, block=block))))
    console = Console(width=200, file=StringIO())
    console.print(render_summary(run))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    rows = [line.split() for line in lines if " from " in line]
    assert [(row[:3], row[3]) for row in rows] == [([BASE, "from", "north"], "4"), ([BASE, "from", "south"], "2")]


def test_a_price_is_the_models_from_wherever_it_was_asked() -> None:
    """What was spent is told for each target and place, by the same price."""
    price = Price("USD", (Rates(Decimal(1), Decimal(1)),), "test").to_plain()
    run = run_from(*seen("alpha", answered(BASE, input_tokens=1)), prices={BASE: price})
    assert [(str(each.target), each.spent.currency) for each in run.by_place.costs] == [(f"{BASE} from north", "USD")]
    assert describe_costs(run.by_place) == [f"cost of {BASE} from north: 0.000004 USD, n 1; prices: test"]


# Differences


def asked_from(node: str, blocks: int = 20, *, target: str = BASE, slower: float = 1.0, seed: int = 1) -> list[Record]:
    """Return a target's answers, log-normal about 300 ms times `slower`, as a node heard them."""
    return seen(node, *jittered(target, blocks, slower=slower, seed=seed))


def verdicts(difference: Difference, measure: str = "ttft_s") -> dict[str, Verdict]:
    """Return the verdict on a measure for each target."""
    return {each.target: each.verdict for each in difference.findings if each.measure.name == measure}


def test_a_target_that_is_slower_from_one_region_is_regressed_there() -> None:
    """Each target has rows of its own; the one that is as fast from both is not drawn in."""
    far = asked_from("delta", slower=1.4, seed=2) + asked_from("delta", target=NEW, seed=2)
    run = run_from(*asked_from("alpha"), *asked_from("alpha", target=NEW), *far)
    there, back = diff_places(run, "north", "south"), diff_places(run, "south", "north")
    assert (verdicts(there)[BASE], verdicts(back)[BASE]) == (Verdict.REGRESSED, Verdict.IMPROVED)
    assert Verdict.REGRESSED not in {verdicts(there)[NEW], verdicts(back)[NEW]}
    assert (there.paired, there.base.place, there.new.place) == (True, "north", "south")
    (found,) = (each for each in there.findings if (each.target, each.measure.name) == (BASE, "ttft_s"))
    assert (found.units, found.interval is not None and 1.4 in found.interval) == (20, True)


def grow_slower(record: Record) -> Record:
    """Return an answer as late as everything is by its block: ten times as late in the end."""
    identity = record.identity
    late_s = (record.ttft_s or 0) * math.exp(identity.block / 5)
    return replace(answered(BASE, identity.case, identity.block, late_s), node=record.node, region=record.region)


@given(st.integers(0, 50), st.floats(0.01, 0.3))
def test_equal_regions_are_not_told_apart(seed: int, sigma: float) -> None:
    """The same distribution from both, in a day that grows ten times as slow: in pairs, that is no difference."""
    records = [
        each
        for node, own in (("alpha", 2 * seed), ("delta", 2 * seed + 1))
        for each in seen(node, *jittered(BASE, 12, sigma=sigma, seed=own))
    ]
    for run in (run_from(*records), run_from(*map(grow_slower, records))):
        assert verdicts(diff_places(run, "north", "south"))[BASE] is not Verdict.REGRESSED


def test_a_region_is_all_its_nodes() -> None:
    """Of two nodes in one block the mean counts: a block is one unit of evidence, whoever asked."""
    run = run_from(*asked_from("alpha"), *asked_from("beta", slower=1.5, seed=3), *asked_from("delta", seed=4))
    found = {each.measure.name: each for each in diff_places(run, "south", "north").findings}["ttft_s"]
    assert found.units == 20
    assert found.change == pytest.approx(math.sqrt(1.5), rel=0.06)
    nodes = diff_places(run, "alpha", "beta")
    assert (verdicts(nodes)[BASE], nodes.new.place) == (Verdict.REGRESSED, "beta")


def test_targets_are_compared_as_seen_from_the_same_node() -> None:
    """A target that failed from the nearest node is not slower for what is left of it."""
    near, far = asked_from("alpha", target=NEW), asked_from("delta", target=NEW, slower=3, seed=2)
    lost = [replace(each, outcome=Outcome.CONNECTION) if each.identity.block > 8 else each for each in near]
    run = run_from(*asked_from("alpha", seed=5), *asked_from("delta", slower=3, seed=6), *lost, *far)
    found = {each.measure.name: each for each in diff_within(run, BASE, NEW).findings}["ttft_s"]
    assert found.change == pytest.approx(1, abs=0.1)
    assert found.n == (56, 56)


def test_runs_are_compared_place_by_place() -> None:
    """A run that lost its nearest node is not slower for that; what only one run has is named."""
    base = run_from(*asked_from("alpha"), *asked_from("delta", slower=3, seed=2))
    fewer = {"alpha": "north", "delta": "south", "omega": "west"}
    later = [*asked_from("alpha", 6, seed=3), *asked_from("delta", slower=3, seed=4)]
    west = [replace(each, node="omega", region="west") for each in jittered(BASE, 20, slower=9)]
    difference = diff_runs(base, run_of([*later, *west], "new", vantages=fewer))
    assert verdicts(difference)[BASE] is not Verdict.REGRESSED
    assert f"{BASE}: only in new, not compared: from west" in difference.warnings


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("nroth", "south", "was not asked from nroth; did you mean north?"),
        ("mars", "south", r"from mars; it was asked from alpha \(north\), beta \(north\), delta \(south\)"),
        ("north", "north", "north and north are not two places: alpha, beta is in both"),
        ("north", "beta", "north and beta are not two places: beta is in both"),
    ],
)
def test_places_that_cannot_be_compared_are_refused(a: str, b: str, said: str) -> None:
    """Who mistypes a place is told which there are."""
    with pytest.raises(CompareError, match=said):
        diff_places(run_from(*asked_from("alpha", 2), *asked_from("delta", 2)), a, b)


def test_a_run_from_anywhere_has_no_places() -> None:
    """Nodes that shared the load asked different things: that is not held against a region."""
    with pytest.raises(CompareError, match="--vantage"):
        diff_places(run_of([*asked_from("alpha", 2), *asked_from("delta", 2)]), "north", "south")


# The command, and Python


@pytest.fixture
def slow_south(tmp_path: Path) -> Path:
    """Return a run in which everything is slower from the south."""
    records = [*asked_from("alpha"), *asked_from("delta", slower=1.5, seed=2)]
    return write_run(tmp_path / "run", records, vantages=NODES)


def test_compare_diff_judges_regions(slow_south: Path, tmp_path: Path) -> None:
    """Terminal, Markdown, JSON and JUnit name the places; a regression fails a gate."""
    outputs = {suffix: tmp_path / f"report{suffix}" for suffix in (".md", ".json", ".xml")}
    named = [argument for path in outputs.values() for argument in ("-o", str(path))]
    asked = ["diff", str(slow_south), "--between-regions", "north", "south", "--gate", *named]
    result = CliRunner().invoke(commands, asked)
    assert result.exit_code == 1, result.output
    texts = {suffix: path.read_text(encoding="utf-8") for suffix, path in outputs.items()}
    for text in (result.output, texts[".md"], texts[".xml"]):
        assert "regressed" in text
        assert "base: from north" in text
        assert "new: from south" in text
    document = json.loads(texts[".json"])
    assert (document["verdict"], document["base"]["place"], document["new"]["place"]) == ("regressed", "north", "south")
    back = CliRunner().invoke(commands, ["diff", str(slow_south), "--between-regions", "south", "north", "--gate"])
    assert back.exit_code == 0


@pytest.mark.parametrize(
    "more", [("latest", "--between-regions", "a", "b"), ("--between-regions", "a", "b", "--between", BASE, NEW)]
)
def test_one_comparison_at_a_time(slow_south: Path, more: tuple[str, ...]) -> None:
    """Two runs, two targets or two places."""
    result = CliRunner().invoke(commands, ["diff", str(slow_south), *more])
    assert (result.exit_code, "--between-regions" in result.output) == (2, True)


def test_python_compares_regions_of_what_is_left_of_a_table(slow_south: Path) -> None:
    """Rows that were taken out of a table stay out, each node's own."""
    table = load(slow_south)
    assert diff(table, between_regions=("north", "south")).verdict == "regressed"
    few = table[(table["region"] == "north") | (table["block"] <= 9)]
    comparison = diff(few, between_regions=("north", "south"), metric="ttft")
    assert comparison.frame["units"].tolist() == [9]
    assert "from north" in repr(comparison)
    with pytest.raises(CompareError, match="give two names"):
        diff(table, between_regions="ns")  # type: ignore[arg-type]
    with pytest.raises(CompareError, match="takes two runs, or one run"):
        diff(table, between=(BASE, NEW), between_regions=("north", "south"))

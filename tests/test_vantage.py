"""A run asked from several nodes, each asking everything: what is refused before it, and what is made of it after."""

import json
from pathlib import Path

import pytest

from runner.errors import CompareError
from runner.fleet import Fleet, Node
from runner.job import Job, Options, load_suite, prepare
from tests.command import compare, write_yaml
from tests.lineage import Lineage, begin

CASES = [{"id": "one", "prompt": "one"}, {"id": "two", "prompt": "two"}]
NORTH, SOUTH = Node("alpha", "north"), Node("beta", "south")


def job_of(place: Path) -> Job:
    """Make a run of two requests to the simulator ready, to be asked from every node of a cluster."""
    suite = write_yaml(place / "suite.yaml", {"version": 1, "name": "suite", "cases": CASES})
    options = Options(fleet=Fleet(vantage=True), outputs=(place / "out",))
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

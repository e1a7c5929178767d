"""What a run on a cluster rests on, and what one machine has of it: no Ray, no nodes, and one sentence each."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.workers import summarize_workers
from runner.cluster.messages import WorkerStay, pack_keys, shift, unpack_keys
from runner.cluster.nodes import list_vantages, name_nodes
from runner.core.nodes import Node
from runner.outputs.text.workers import describe_workers
from runner.providers.endpoint import find_endpoint
from runner.providers.registry import builtin
from runner.wire.response_body import Phases
from tests.support.command import ROOT, compare, read_rows, write_yaml

SUITE = {"version": 1, "name": "suite", "cases": [{"id": "hello", "prompt": "Hello"}]}
NANOSECONDS = st.integers(0, 10**15)
CLOCKS = (
    "clock error (TTFT) of each worker at the start, 20 requests at a time: worker 1 on alpha 1.00 ms (p50) to 2.00 ms "
    "(p99), n 100; worker 2 on beta 1.00 ms (p50) to 20.00 ms (p99), n 100; worker 3 on beta unknown"
)
LATE = (
    "worker 2 on beta may be late: TTFT off by 1.00 ms (p50) to 20.00 ms (p99) at the start, n 100, which is above the "
    "bound"
)
MANY_CLOCKS = (
    "clock error (TTFT) of 9 workers at the start, 20 requests at a time: 0.01 ms to 0.09 ms (p50), 0.10 ms to 0.90 ms "
    "(p99), from the best worker to the worst, n at least 91 each"
)
KEY = "sk-none-of-Rays-business"
OBJECT_STORE_TAKES = 100 * 1024
"""Bytes of an argument from which on Ray does not send it from process to process."""


def node_row(
    name: str, number: int, *, alive: bool = True, labels: dict[str, str] | None = None, cpus: float = 2.0
) -> dict[str, object]:
    """Return what Ray tells of a node."""
    address = f"10.0.0.{number}"
    rest = {
        "Alive": alive,
        "NodeManagerAddress": address,
        "NodeManagerHostname": f"host-{number}",
        "Labels": labels or {},
        "Resources": {"CPU": cpus},
    }
    return {"NodeID": f"{number:056x}", "NodeName": name or address, **rest}


@pytest.fixture
def without_ray(tmp_path: Path) -> dict[str, str]:
    """Return variables of a process in which Ray cannot be imported."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "ray.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    return {"PYTHONPATH": f"{shadow}:{ROOT}"}


# One machine


def test_one_machine_needs_no_ray(tmp_path: Path, without_ray: dict[str, str]) -> None:
    """A run on this machine never imports it; its rows name no node, and its summary tells of no workers."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", "-m", "sim/quick", "-o", "out", variables=without_ray)
    assert ran.returncode == 0, ran.stderr
    assert {(row["node"], row["region"]) for row in read_rows(tmp_path / "out")} == {("", "")}
    assert "worker" not in ran.stdout


def test_an_absent_extra_is_one_sentence(tmp_path: Path, without_ray: dict[str, str]) -> None:
    """It names what to install; nothing is sent, and no folder is left behind."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", "--engine", "ray", "-o", "out", variables=without_ray)
    assert ran.returncode == 2
    assert "compare-runner[ray]" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--workers", "2"), ("--address", "auto"), ("--vantage",)])
def test_options_of_a_cluster_need_one(tmp_path: Path, option: tuple[str, ...]) -> None:
    """Who names workers and means this machine is asked what is meant."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", *option)
    assert (ran.returncode, "--engine ray" in ran.stderr) == (2, True)


def test_a_cluster_is_not_recorded(tmp_path: Path) -> None:
    """The bytes are read elsewhere: that is said before anything is sent."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", "--engine", "ray", "--record", "-o", "out")
    assert (ran.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "choose one" in ran.stderr


# Nodes


def test_nodes_are_called_what_their_owner_calls_them() -> None:
    """A name that is only the address gives way to the host; the dead are not there; labels tell the region."""
    rows = [
        node_row("alpha", 1, labels={"ray.io/availability-region": "north"}),
        node_row("", 2, labels={"topology.kubernetes.io/region": "south"}),
        node_row("gone", 3, alive=False),
    ]
    assert list(name_nodes(rows).values()) == [Node("alpha", "north"), Node("host-2", "south")]


def test_nodes_of_one_name_are_told_apart() -> None:
    """By the beginning of what differs anyway."""
    rows = [{**node_row("twin", number), "NodeID": f"{number}" * 56} for number in (1, 2)]
    assert [node.name for node in name_nodes(rows).values()] == ["twin 11111111", "twin 22222222"]


def test_a_node_without_a_cpu_is_no_vantage() -> None:
    """Nobody could hear there; of the others each is one, in the order of their names, by the same names."""
    rows = [
        node_row("beta", 1, cpus=1),
        node_row("head", 2, cpus=0),
        node_row("alpha", 3),
        node_row("x", 4, alive=False),
    ]
    assert list(list_vantages(rows).values()) == [Node("alpha", None), Node("beta", None)]
    twins = [{**node_row("twin", number, cpus=number - 1), "NodeID": f"{number}" * 56} for number in (1, 2)]
    assert [node.name for node in list_vantages(twins).values()] == ["twin 22222222"]


# Clocks


@given(NANOSECONDS, st.integers(-(10**18), 10**18), NANOSECONDS, NANOSECONDS, NANOSECONDS)
def test_a_clocks_advance_is_known_to_half_of_the_way(
    handed_ns: int, ahead_ns: int, there_ns: int, stay_ns: int, back_ns: int
) -> None:
    """However far apart two clocks are, and however unequal the ways are."""
    begun_ns = handed_ns + there_ns + ahead_ns
    returned_ns = handed_ns + there_ns + stay_ns + back_ns
    found_ns = WorkerStay(begun_ns, begun_ns + stay_ns).clock_ahead_ns(handed_ns, returned_ns)
    assert abs(found_ns - ahead_ns) <= (there_ns + back_ns + 1) // 2


@given(st.builds(Phases, *[st.one_of(st.none(), NANOSECONDS)] * 5, st.booleans()), st.integers(-(10**9), 10**9))
def test_phases_keep_their_lengths(phases: Phases, by_ns: int) -> None:
    """By another clock each span is as long, and what did not happen still did not."""
    assert shift(shift(phases, by_ns), -by_ns) == phases
    assert (shift(phases, by_ns).tcp_end is None) == (phases.tcp_end is None)


# Keys


def test_a_packed_key_is_not_shown() -> None:
    """An endpoint arrives with its key, which no repr on the way tells; one without a key arrives without."""
    sent = {name: find_endpoint(name, builtin(), {"DEEPSEEK_API_KEY": KEY}) for name in ("deepseek", "sim")}
    packed = pack_keys(sent)
    arrived = unpack_keys(*pickle.loads(pickle.dumps(packed)))
    assert (arrived["deepseek"].key or pytest.fail("lost")).reveal() == KEY
    assert {name: replace(each, key=None) for name, each in arrived.items()} == packed[0]
    assert arrived["sim"] == sent["sim"]
    assert KEY not in repr(packed) + repr(arrived)
    with pytest.raises(TypeError):
        pickle.dumps(sent)


def test_keys_travel_apart_from_what_may_be_long() -> None:
    """However long a row is, the argument with its key is far below what Ray would put into its object store."""
    row = builtin().rows["deepseek"].model_copy(update={"notes": ("long " * 30_000,)})
    endpoint = replace(find_endpoint("deepseek", builtin(), {"DEEPSEEK_API_KEY": KEY}), row=row)
    keyless, keys = map(pickle.dumps, pack_keys({"deepseek": endpoint}))
    assert len(keyless) > OBJECT_STORE_TAKES > 100 * len(keys)
    assert KEY.encode() not in keyless
    assert KEY.encode() in keys


# In words


def worker_line(number: int, node: str, error_s: tuple[float, float] | None, n: int = 100) -> dict[str, object]:
    """Return a worker's line in the journal, given p50 and p99 of its calibration."""
    found = None
    if error_s is not None:
        p50_s, p99_s = error_s
        found = {"calibrated_at": "2026-01-01", "concurrency": 20, "n": n, "gap_p99_s": 0.001}
        found |= {"ttft_p50_s": p50_s, "ttft_p99_s": p99_s}
    bound = {"within_bound": error_s is not None and error_s[1] < 0.005, "calibration": found}
    return {"kind": "worker", "name": f"worker {number}", "node": node, "region": None, **bound}


def test_the_summary_names_the_late_and_the_lost() -> None:
    """Each worker's error is told, the bad ones' again; a refused attempt was not asked again because of a lost one."""
    said = describe_workers(
        summarize_workers(
            [
                worker_line(1, "alpha", (0.001, 0.002)),
                worker_line(2, "beta", (0.001, 0.02)),
                worker_line(3, "beta", None),
                {"kind": "attempt", "error_type": "worker_lost"},
                {"kind": "attempt", "error_type": "rate"},
                {"kind": "worker_lost", "name": "worker 1", "node": "alpha", "under_way": 2},
            ]
        )
    )
    assert said == [
        "heard by 3 workers on 2 nodes: alpha 1, beta 2",
        CLOCKS,
        LATE,
        "worker 3 on beta: its clock error could not be found",
        "lost: worker 1 on alpha; 1 request asked again of others",
    ]


def test_of_many_workers_the_spread_is_told() -> None:
    """One line for all errors, however many workers there are."""
    lines = [worker_line(number, "alpha", (number / 1e5, number / 1e4), 100 - number) for number in range(1, 10)]
    assert describe_workers(summarize_workers(lines))[1:] == [MANY_CLOCKS]

"""The parts of a cluster run that need no cluster, and the errors of a machine without Ray."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.cluster_workers import summarize_workers
from runner.cluster.node_names import list_vantages, name_nodes
from runner.cluster.worker_messages import WorkerSpan, pack_keys, shift_phases, unpack_keys
from runner.core.cluster_node import Node
from runner.outputs.text.connections_and_clocks import describe_workers
from runner.providers.endpoint import find_endpoint
from runner.providers.registry import builtin
from runner.wire.response_body import Phases
from tests.support import command
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
OBJECT_STORE_MIN_BYTES = 100 * 1024
"""Size in bytes from which on Ray puts an argument into its object store."""


def node_row(
    name: str, number: int, *, alive: bool = True, labels: dict[str, str] | None = None, cpus: float = 2.0
) -> dict[str, object]:
    """Return a node's row as `ray.nodes()` has it."""
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
def without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make the import of Ray fail; return environment variables with which it also fails in a new process."""
    if not command.always_start:
        monkeypatch.setitem(sys.modules, "ray", None)
        return {}
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "ray.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    return {"PYTHONPATH": f"{shadow}:{ROOT}"}


# One machine


def test_run_on_one_machine_needs_no_ray(tmp_path: Path, without_ray: dict[str, str]) -> None:
    """The run does not import Ray; its rows have no node, and its summary has no workers."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", "-m", "sim/quick", "-o", "out", variables=without_ray)
    assert ran.returncode == 0, ran.stderr
    assert {(row["node"], row["region"]) for row in read_rows(tmp_path / "out")} == {("", "")}
    assert "worker" not in ran.stdout


def test_missing_ray_is_an_error_that_names_the_extra(tmp_path: Path, without_ray: dict[str, str]) -> None:
    """Nothing is sent, and no folder is left behind."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", "--engine", "ray", "-o", "out", variables=without_ray)
    assert ran.returncode == 2
    assert "compare-runner[ray]" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--workers", "2"), ("--address", "auto"), ("--vantage",)])
def test_cluster_options_need_the_ray_engine(tmp_path: Path, option: tuple[str, ...]) -> None:
    """The error names --engine ray."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", *option)
    assert (ran.returncode, "--engine ray" in ran.stderr) == (2, True)


def test_recording_on_a_cluster_is_refused(tmp_path: Path) -> None:
    """Only the workers have the bytes, so the run is refused before anything is sent."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    ran = compare(tmp_path, "run", "suite.yaml", "--engine", "ray", "--record", "-o", "out")
    assert (ran.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "choose one" in ran.stderr


# Nodes


def test_nodes_have_the_names_their_owner_gave_them() -> None:
    """A name that is only the address is replaced by the host; dead nodes are left out; labels give the region."""
    rows = [
        node_row("alpha", 1, labels={"ray.io/availability-region": "north"}),
        node_row("", 2, labels={"topology.kubernetes.io/region": "south"}),
        node_row("gone", 3, alive=False),
    ]
    assert list(name_nodes(rows).values()) == [Node("alpha", "north"), Node("host-2", "south")]


def test_nodes_of_the_same_name_have_a_part_of_their_id() -> None:
    """Eight digits of the id follow the name."""
    rows = [{**node_row("twin", number), "NodeID": f"{number}" * 56} for number in (1, 2)]
    assert [node.name for node in name_nodes(rows).values()] == ["twin 11111111", "twin 22222222"]


def test_node_without_a_cpu_is_no_vantage() -> None:
    """No worker can run on such a node; the other nodes are vantages, sorted by name."""
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
def test_clock_offset_is_known_to_half_the_round_trip(
    called_ns: int, ahead_ns: int, there_ns: int, call_ns: int, back_ns: int
) -> None:
    """This holds for any offset of the clocks and for any asymmetry of the two directions."""
    began_ns = called_ns + there_ns + ahead_ns
    returned_ns = called_ns + there_ns + call_ns + back_ns
    found_ns = WorkerSpan(began_ns, began_ns + call_ns).clock_ahead_ns(called_ns, returned_ns)
    assert abs(found_ns - ahead_ns) <= (there_ns + back_ns + 1) // 2


@given(st.builds(Phases, *[st.one_of(st.none(), NANOSECONDS)] * 5, st.booleans()), st.integers(-(10**9), 10**9))
def test_shifted_phases_keep_their_durations(phases: Phases, by_ns: int) -> None:
    """Shifting in both directions changes nothing, and an absent phase stays absent."""
    assert shift_phases(shift_phases(phases, by_ns), -by_ns) == phases
    assert (shift_phases(phases, by_ns).tcp_end is None) == (phases.tcp_end is None)


# Keys


def test_packed_key_is_not_in_any_repr() -> None:
    """An endpoint is pickled with its key, which no repr contains; one without a key arrives without."""
    sent = {name: find_endpoint(name, builtin(), {"DEEPSEEK_API_KEY": KEY}) for name in ("deepseek", "sim")}
    packed = pack_keys(sent)
    arrived = unpack_keys(*pickle.loads(pickle.dumps(packed)))
    assert (arrived["deepseek"].key or pytest.fail("lost")).reveal() == KEY
    assert {name: replace(each, key=None) for name, each in arrived.items()} == packed[0]
    assert arrived["sim"] == sent["sim"]
    assert KEY not in repr(packed) + repr(arrived)
    with pytest.raises(TypeError):
        pickle.dumps(sent)


def test_keys_are_pickled_apart_from_long_rows() -> None:
    """For a row of any length, the argument with its key is far too small for Ray's object store."""
    row = builtin().rows["deepseek"].model_copy(update={"notes": ("long " * 30_000,)})
    endpoint = replace(find_endpoint("deepseek", builtin(), {"DEEPSEEK_API_KEY": KEY}), row=row)
    keyless, keys = map(pickle.dumps, pack_keys({"deepseek": endpoint}))
    assert len(keyless) > OBJECT_STORE_MIN_BYTES > 100 * len(keys)
    assert KEY.encode() not in keyless
    assert KEY.encode() in keys


# Summaries


def worker_line(number: int, node: str, error_s: tuple[float, float] | None, n: int = 100) -> dict[str, object]:
    """Return a worker's line in the journal, given p50 and p99 of its calibration."""
    found = None
    if error_s is not None:
        p50_s, p99_s = error_s
        found = {"calibrated_at": "2026-01-01", "concurrency": 20, "n": n, "gap_p99_s": 0.001}
        found |= {"ttft_p50_s": p50_s, "ttft_p99_s": p99_s}
    bound = {"within_bound": error_s is not None and error_s[1] < 0.005, "calibration": found}
    return {"kind": "worker", "name": f"worker {number}", "node": node, "region": None, **bound}


def test_summary_names_late_and_lost_workers() -> None:
    """It has each worker's clock error, and counts attempts repeated because of a lost worker, not refused ones."""
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
        "measured by 3 workers on 2 nodes: alpha 1, beta 2",
        CLOCKS,
        LATE,
        "worker 3 on beta: its clock error could not be found",
        "lost: worker 1 on alpha; 1 request sent again by other workers",
    ]


def test_summary_of_many_workers_has_the_spread_of_errors() -> None:
    """One line covers all of them."""
    lines = [worker_line(number, "alpha", (number / 1e5, number / 1e4), 100 - number) for number in range(1, 10)]
    assert describe_workers(summarize_workers(lines))[1:] == [MANY_CLOCKS]

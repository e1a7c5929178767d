import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
TINY = ("--streams", "2", "--rate", "500", "--tokens", "5", "--requests", "6")


def accuracy(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark by its path, as its README says, without the rivals that a developer may have."""
    environ = {name: value for name, value in os.environ.items() if name not in {"AIPERF", "GUIDELLM"}}
    return subprocess.run(
        [sys.executable, "tests/benchmarks/accuracy.py", *TINY, *arguments],
        cwd=CHECKOUT,
        env={**environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_table_has_a_row_for_each_client_that_can_be_run() -> None:
    """All three own clients hear every request; the rivals that are not installed are said to be skipped."""
    done = accuracy()
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert [rows[client][1] for client in ("ours", "stock", "floor")] == ["6"] * 3
    assert "CPU per token, ours / floor: " in done.stdout
    assert "target" not in done.stdout, "targets are stated for another load"
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["aiperf", "guidellm"]


@pytest.mark.parametrize("client", ["ours", "stock", "floor"])
def test_json_counts_every_request_token_and_gap(client: str) -> None:
    """A client's figures rest on all that the server sent: six replies of five tokens, four gaps in each."""
    done = accuracy("--clients", client, "--json")
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)["rows"]
    errors = row["errors"]
    counts = [errors["requests"], errors["timed"], errors["tokens"], errors["ttft"]["n"], errors["gap"]["n"]]
    assert counts == [6, 6, 30, 6, 24]
    assert row["cpu_per_token_s"] > 0


def test_unknown_client_is_refused() -> None:
    """A mistyped client is named, not left out of the table in silence."""
    done = accuracy("--clients", "hours")
    assert (done.returncode, "no client is called hours" in done.stderr) == (1, True)


@pytest.mark.ray
def test_a_clusters_law_is_measured_and_judged() -> None:
    """A tiny load goes through both halves, and every comparison gets a verdict."""
    tiny = ("--workers", "1", "2", "--streams", "2", "--repeats", "1", "--sizes", "20", "40")
    done = subprocess.run(
        [sys.executable, "tests/benchmarks/cluster.py", *tiny],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    judged = [line for line in done.stdout.splitlines() if line.startswith("target 8: ")]
    assert len(judged) == 3
    assert all(line.endswith((": met", ": missed")) for line in judged)

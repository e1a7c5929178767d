import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.accuracy import CLIENTS

CHECKOUT = Path(__file__).parents[2]
TINY = ("--streams", "2", "--rate", "500", "--tokens", "5", "--requests", "6")


def run_benchmark(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark by its path, as its README says, without other tools that a developer may have installed."""
    environ = {variable: value for variable, value in os.environ.items() if variable not in {"AIPERF", "GUIDELLM"}}
    return subprocess.run(
        [sys.executable, f"tests/benchmarks/{name}.py", *arguments],
        cwd=CHECKOUT,
        env={**environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.thorough
def test_accuracy_prints_a_row_for_each_client_and_names_tools_that_are_not_installed() -> None:
    """The table counts every request of the three clients beside it; stderr names the other tools as skipped."""
    done = run_benchmark("accuracy", *TINY)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert [rows[client][1] for client in CLIENTS] == ["6"] * 3
    assert "CPU per token, compare / bare: " in done.stdout
    assert "target" not in done.stdout, "targets are for another load"
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["aiperf", "guidellm"]


def test_accuracy_counts_every_request_token_and_gap() -> None:
    """A client's figures include everything that the server sent: six replies of five tokens, with four gaps each."""
    done = run_benchmark("accuracy", *TINY, "--clients", ",".join(CLIENTS), "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["client"] for row in rows] == [*CLIENTS]
    for row in rows:
        errors = row["errors"]
        counts = [errors["requests"], errors["timed"], errors["tokens"], errors["ttft"]["n"], errors["gap"]["n"]]
        assert counts == [6, 6, 30, 6, 24]
        assert row["cpu_per_token_s"] > 0


def test_accuracy_refuses_an_unknown_client() -> None:
    """A mistyped client is named in an error."""
    done = run_benchmark("accuracy", *TINY, "--clients", "comparee")
    assert (done.returncode, "no client is called comparee" in done.stderr) == (1, True)


@pytest.mark.ray
def test_cluster_measures_workers_and_driver() -> None:
    """A tiny load runs in both parts, and every target gets a verdict."""
    tiny = ("--workers", "1", "2", "--streams", "2", "--repeats", "1", "--sizes", "20", "40")
    done = run_benchmark("cluster", *tiny)
    assert done.returncode == 0, done.stderr
    judged = [line for line in done.stdout.splitlines() if line.startswith("target 8: ")]
    assert len(judged) == 3
    assert all(line.endswith((": met", ": missed")) for line in judged)


@pytest.mark.thorough
def test_the_start_is_printed_beside_that_of_the_sdk() -> None:
    """The output has CPU and wall time of both, and a verdict on each ratio."""
    done = run_benchmark("start", "--starts", "1")
    assert done.returncode == 0, done.stderr
    assert "python -c 'import openai': CPU " in done.stdout
    assert "command to first request: CPU " in done.stdout
    assert done.stdout.count("at most 1.6: ") == 2

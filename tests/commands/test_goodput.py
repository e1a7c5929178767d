"""Goodput of real requests, from the command line and from Python, in every table that has it."""

import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from runner import diff, load, summary
from runner.storage import journal
from tests.conftest import RunCli
from tests.support.command import write_yaml

SUITE = {
    "version": 1,
    "cases": [{"id": "hi", "prompt": "Say hello."}],
    "targets": ["sim/quick", "sim/fault-error-first"],
}


def test_goodput_is_the_same_in_every_output(run_cli: RunCli, tmp_path: Path) -> None:
    """Terminal, Markdown, JSON, the page, metrics and Python agree, also for resumed and old runs."""
    suite, folder = write_yaml(tmp_path / "s.yaml", SUITE), tmp_path / "run"
    outputs = [option for suffix in ("json", "prom") for option in ("-o", tmp_path / f"out.{suffix}")]
    ran = run_cli(
        "run", suite, "-o", folder, *outputs, "--repeat", "8", "--slo", "ttft=30s,total=1m", "--allow-errors", "100%"
    )
    assert ran.returncode == 0, ran.stderr
    assert "SLO met is the share of requests that kept within ttft=30s,total=60s" in " ".join(ran.stdout.split())
    assert "goodput requests/s" in (folder / "results.md").read_text()
    assert "SLO met" in (folder / "report.html").read_text()
    quick, failing = json.loads((tmp_path / "out.json").read_text())["summary"]
    assert (quick["goodput"]["share"], quick["goodput"]["n"], failing["goodput"]["share"]) == (1.0, 8, 0.0)
    found = {
        (sample.name, sample.labels.get("target")): sample.value
        for family in text_string_to_metric_families((tmp_path / "out.prom").read_text())
        for sample in family.samples
    }
    assert found["compare_slo_met_ratio", "sim/quick"] == 1.0
    assert found["compare_goodput_requests_per_second", "sim/quick"] == quick["goodput"]["requests_per_s"]
    assert summary(folder)["slo_share"].tolist() == [1.0, 0.0]
    assert summary(load(folder), slo={"ttft": 1e-6})["slo_share"].tolist() == [0.0, 0.0]
    assert journal.read(folder).header.slo == {"ttft_s": 30.0, "total_s": 60.0}

    stricter = run_cli("report", folder, "--slo", "ttft=0.001ms")
    assert "kept within ttft=0.001ms" in " ".join(stricter.stdout.split())
    gated = run_cli(
        "diff",
        folder,
        "--between",
        "sim/quick",
        "sim/fault-error-first",
        "--metric",
        "slo",
        "--gate",
        "--slo",
        "ttft=30s",
    )
    assert (gated.returncode, "less often in SLO" in gated.stdout) == (1, True), gated.stdout
    (row,) = diff(folder, between=("sim/quick", "sim/fault-error-first"), metric="slo").frame.to_dict("records")
    assert (row["metric"], row["base"], row["new"]) == ("slo", 1.0, 0.0)


def test_a_malformed_slo_option_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    """It is refused before anything is sent, and the message shows the form."""
    refused = run_cli("run", write_yaml(tmp_path / "s.yaml", SUITE), "--slo", "ttft=0.8,p95=1s")
    assert refused.returncode == 2
    assert "Write thresholds with a unit: ttft=800ms,tpot=50ms,total=10s" in " ".join(refused.stderr.split())


def test_a_suite_has_an_slo_and_the_option_overrides_it(run_cli: RunCli, tmp_path: Path) -> None:
    """Run, search and plan use it; a resumed run keeps its own; it is not part of the suite's digest."""
    suite, plain = write_yaml(tmp_path / "s.yaml", {**SUITE, "slo": "ttft=30s"}), write_yaml(tmp_path / "p.yaml", SUITE)
    assert run_cli("run", suite, "-q", "-o", tmp_path / "own", "-m", "sim/quick").returncode == 0
    assert journal.read(tmp_path / "own").header.slo == {"ttft_s": 30.0}
    other = run_cli("run", suite, "-q", "-o", tmp_path / "other", "-m", "sim/quick", "--slo", "total=1m")
    assert other.returncode == 0, other.stderr
    header = journal.read(tmp_path / "other").header
    assert header.slo == {"total_s": 60.0}
    resumed = run_cli("run", suite, "-q", "--resume", tmp_path / "other")
    assert resumed.returncode == 0, resumed.stderr
    assert journal.read(tmp_path / "other").header.slo == {"total_s": 60.0}
    assert run_cli("run", plain, "-q", "-o", tmp_path / "plain", "-m", "sim/quick").returncode == 0
    assert journal.read(tmp_path / "plain").header.digest == header.digest
    found = run_cli(
        *("capacity", suite, "-o", tmp_path / "search", "-m", "sim/quick", "--requests", "20", "--loads", "1")
    )
    assert found.returncode == 0, found.stderr
    assert "within ttft=30s" in found.stdout


def test_a_malformed_slo_of_a_suite_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    """The message names the place, and shows the form."""
    refused = run_cli("plan", write_yaml(tmp_path / "s.yaml", {**SUITE, "slo": "ttft=0.8"}))
    assert refused.returncode == 2
    message = " ".join(refused.stderr.split())
    assert "s.yaml:" in message
    assert "Write thresholds with a unit: ttft=800ms,tpot=50ms,total=10s" in message

"""Each fault of the simulator in a run of the command: outcome, attempts and flags."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.simulator.faults import FAULTS
from runner.simulator.routes import DIALECTS
from tests.conftest import RunCli
from tests.support.command import compare, read_rows

PACE = "ttft_ms=20&gap_ms=60&tokens=12"

SUITE = """
version: 1
defaults:
  api: {api}
  max_tokens: 100
  timeouts: {{connect: 10, first_token: 1.5, idle: 1.5, total: 20}}
cases:
  - id: hello
    prompt: Hello
"""

Expected = tuple[str, str, int, str]
"""Outcome, error_type, attempts, flags."""

EXPECTED: Mapping[str, Expected] = {
    "unauthorized": ("auth", "key", 1, ""),
    "unknown-model": ("not_found", "model", 1, ""),
    "rate-limited": ("rate_limited", "rate", 3, ""),
    "rate-limited-ms": ("rate_limited", "rate", 3, ""),
    "rate-limited-date": ("rate_limited", "rate", 3, ""),
    "no-balance": ("auth", "balance", 1, ""),
    "server-error": ("provider_error", "server", 3, ""),
    "bad-gateway": ("provider_error", "server", 3, ""),
    "flaky": ("ok", "", 3, ""),
    "redirect": ("bad_request", "redirect", 1, ""),
    "no-stream-options": ("ok", "", 2, "adjusted"),
    "html": ("bad_stream", "html", 1, ""),
    "empty": ("bad_stream", "empty", 3, ""),
    "error-with-200": ("provider_error", "server", 3, ""),
    "not-streamed": ("ok", "", 1, "not_streamed"),
    "slow-headers": ("timeout", "first_token", 3, ""),
    "stall-first": ("timeout", "first_token", 3, ""),
    "stall-middle": ("timeout", "idle", 1, ""),
    "comments-forever": ("timeout", "first_token", 3, ""),
    "burst": ("ok", "", 1, "buffered"),
    "cut-mid-chunk": ("connection", "cut", 1, ""),
    "reset": ("connection", "cut", 1, ""),
    "cut-clean": ("truncated", "", 1, ""),
    "no-done": ("ok", "", 1, ""),
    "no-usage": ("ok", "", 1, ""),
    "filtered": ("filtered", "", 1, ""),
    "calls-cut": ("ok", "", 1, ""),
    "calls-unnumbered": ("ok", "", 1, ""),
    "error-first": ("provider_error", "server", 3, ""),
    "error-middle": ("provider_error", "server", 1, ""),
    "broken-json": ("bad_stream", "broken_json", 1, ""),
    "invalid-utf8": ("ok", "", 1, "invalid_utf8"),
    "odd-framing": ("ok", "", 1, ""),
    "lingers": ("ok", "", 1, ""),
}

DIFFERING: Mapping[tuple[str, str], Expected] = {
    ("messages", "no-stream-options"): ("ok", "", 1, ""),
    ("responses", "no-stream-options"): ("ok", "", 1, ""),
    ("responses", "no-done"): ("truncated", "", 1, ""),
    ("responses", "invalid-utf8"): ("ok", "", 1, "invalid_utf8;message_differs"),
}
"""Where a dialect has no such field, says how the reply ended in its last event alone, or repeats the whole text."""

MACHINE_FLAGS = frozenset({"buffered", "client_late"})
"""Flags that a busy machine may put on any row: its simulator sends late, and then several pieces at once."""


SPOKEN = [dialect.api for dialect in DIALECTS.values()]
OTHERS = [pytest.param(api, marks=pytest.mark.thorough) for api in SPOKEN[1:]]


@pytest.fixture(scope="module", params=[SPOKEN[0], *OTHERS])
def api(request: pytest.FixtureRequest) -> str:
    """Return each dialect that the simulator speaks in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, api: str) -> dict[str, dict[str, str]]:
    """Run a model of every fault in one run; return its rows by the fault's name."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "suite.yaml").write_text(SUITE.format(api=api), encoding="utf-8")
    models = [word for name in FAULTS for word in ("-m", f"sim/fault-{name}?{PACE}")]
    done = compare(folder, "run", "suite.yaml", *models, "--concurrency", "40", "-o", "run")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    return {row["model"].removeprefix("fault-").partition("?")[0]: row for row in read_rows(folder / "run")}


def test_every_fault_has_an_expected_outcome() -> None:
    """No fault is missing here."""
    assert list(EXPECTED) == list(FAULTS)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_fault_has_the_expected_outcome(name: str, api: str, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Outcome, error type, attempts and flags are those of a real provider with this fault, whatever the dialect."""
    row = rows[name]
    expected = DIFFERING.get((api, name), EXPECTED[name])
    flags = ";".join(flag for flag in row["flags"].split(";") if flag in expected[3] or flag not in MACHINE_FLAGS)
    assert (row["outcome"], row["error_type"], int(row["attempts"]), flags) == expected
    assert row["simulated"] == "true"


@pytest.mark.parametrize("name", ["stall-middle", "cut-mid-chunk", "reset", "cut-clean", "error-middle", "broken-json"])
def test_text_before_a_failure_is_kept(name: str, rows: Mapping[str, Mapping[str, str]]) -> None:
    """The row contains the text that arrived before the failure."""
    assert rows[name]["reply"]
    assert rows["no-done"]["reply"].startswith(rows[name]["reply"])
    assert len(rows[name]["reply"]) < len(rows["no-done"]["reply"])


def test_without_usage_tokens_are_blank(rows: Mapping[str, Mapping[str, str]]) -> None:
    """Token columns and rates in tokens are blank; characters and their rate are not."""
    row = rows["no-usage"]
    counted = ("input_tokens", "output_tokens", "reasoning_tokens", "tokens_source", "tpot_s", "output_tps")
    assert {row[name] for name in counted} == {""}
    assert int(row["chars"]) > 0
    assert float(row["output_cps"]) > 0


def test_a_burst_has_no_speed(rows: Mapping[str, Mapping[str, str]]) -> None:
    """Text that arrived at once has no rate, whether it was buffered or not streamed."""
    for name in ("burst", "not-streamed"):
        assert (rows[name]["output_tps"], rows[name]["output_cps"], rows[name]["gap_p50_s"]) == ("", "", "")
        assert rows[name]["output_tokens"] == "12"
    assert rows["not-streamed"]["ttft_s"] == ""


def test_backoff_is_counted_apart(rows: Mapping[str, Mapping[str, str]]) -> None:
    """The wait that a provider asks for is in `backoff_s` and in no other duration."""
    assert float(rows["rate-limited"]["backoff_s"]) >= 4
    assert float(rows["flaky"]["backoff_s"]) >= 1.5
    assert float(rows["flaky"]["total_s"]) < 1.5


def test_serve_lists_the_faults(run_cli: RunCli) -> None:
    """`--fault list` prints each with its description, and serves nothing."""
    listed = run_cli("simulate", "--fault", "list").stdout.splitlines()
    assert [line.split(None, 1) for line in listed] == [[name, fault.description] for name, fault in FAULTS.items()]


def test_serve_refuses_a_mistyped_fault(run_cli: RunCli) -> None:
    """The error suggests the right name."""
    done = run_cli("simulate", "--fault", "flakey", "--port", "0")
    assert done.returncode == 2
    assert "Did you mean `flaky`?" in done.stderr


@contextmanager
def serve(fault: str) -> Iterator[str]:
    """Run `compare simulate` with a fault for all its models; yield its base URL."""
    command = [sys.executable, "-W", "error", "-m", "runner", "simulate", "--port", "0", "--fault", fault]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://\S+/v1", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.kill()


def test_serve_injects_a_fault_into_every_model(run_cli: RunCli, tmp_path: Path) -> None:
    """A client of `compare simulate --fault` gets the fault from any model."""
    with serve("cut-clean") as url:
        rows = f"version: 1\nproviders:\n  broken: {{base_url: '{url}', keyless: true}}\n"
        (tmp_path / "compare.yaml").write_text(rows, encoding="utf-8")
        done = run_cli("ask", "Hello", "-m", "broken/quick", "-o", "run", cwd=tmp_path)
    assert done.returncode == 3
    assert "broke off before its end" in done.stdout

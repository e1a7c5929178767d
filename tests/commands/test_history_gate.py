"""`--baseline history`: a run compared with earlier ones, on the command line and in Python, over 100 nights."""

import json
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import runner
from runner.analysis.diff import Difference
from runner.analysis.diff_verdict import Rule, Verdict
from runner.analysis.run_results import Run
from runner.commands.diff import compare_with_history, find_history
from runner.core.record import Record
from runner.storage import journal
from runner.storage.run_folder import RESULTS
from tests.conftest import RunCli
from tests.support.command import write_yaml
from tests.support.crafted_runs import BASE, NEW, CopyRuns, answered, derived_runs, failed, write_run

FIRST = datetime(2026, 8, 1, 3, tzinfo=UTC)
ROUNDS, SD_OF_REQUESTS, SD_OF_DAYS = 4, 0.2, 0.05


def night_records(random: Random, drift: tuple[float, float] = (0, 0), slower: float = 1) -> Iterator[Record]:
    """Yield the requests of a night to two targets, whose level varies from day to day."""
    for block in range(1, ROUNDS + 1):
        for target, base_s, of_day in ((BASE, 0.3 * slower, drift[0]), (NEW, 0.2, drift[1])):
            yield answered(target, "one", block, base_s * np.exp(of_day) * random.lognormvariate(0, SD_OF_REQUESTS))


def write_night(night: int, records: Iterator[Record] | list[Record], **details: object) -> Path:
    """Write the run of a night into results/; return its folder."""
    started = FIRST + timedelta(days=night)
    folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}"
    return write_run(folder, records, started_at=started.isoformat(), **details)


@pytest.fixture(scope="module")
def write_nights(tmp_path_factory: pytest.TempPathFactory) -> CopyRuns:
    """Return a function that writes up to thirty nights with day-to-day variation and no change, with summaries."""
    random = Random(5)
    with chdir(tmp_path_factory.mktemp("nights")):
        for night in range(30):
            drift = (random.gauss(0, SD_OF_DAYS), random.gauss(0, SD_OF_DAYS))
            write_night(night, night_records(random, drift))
        return derived_runs()


def judge(folder: Path, *measures: str) -> Difference:
    """Return the comparison of a run with those before it."""
    return compare_with_history(Run.of_journal(journal.read(folder)), RESULTS, Rule(measures=measures))


def test_a_slower_night_is_regressed_and_its_exit_code_is_1(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """The terminal, Markdown, JSON and JUnit show H, the usual range and the smallest detectable change."""
    write_nights(20)
    write_night(20, night_records(Random(9), slower=2.5))
    outputs = ("-o", "a.json", "-o", "a.md", "-o", "a.xml", "-o", "a.html")
    done = run_cli("diff", "history", "20260821", "--gate", *outputs)
    assert done.returncode == 1, done.stderr
    assert "regressed" in done.stdout
    assert "base: 20 runs before it in results, suite crafted; comparable ones from 2026-08-01" in done.stdout
    assert "is found in 9 of 10 runs" in done.stdout
    document = json.loads(Path("a.json").read_text(encoding="utf-8"))
    rows = {(row["target"], row["measure"]): row for row in document["findings"]}
    slow, steady = rows[BASE, "ttft_s"], rows[NEW, "ttft_s"]
    assert (slow["verdict"], steady["verdict"], slow["units"]) == ("regressed", "undecided", 20)
    assert slow["usual"]["low"] < slow["base_level"] < slow["usual"]["high"] < slow["new_level"]
    assert slow["interval"]["low"] < slow["change"] < slow["interval"]["high"]
    assert 1.1 < slow["detectable"] < 2.5
    assert (steady["doubt"], document["history"]["runs"]) == ("usual", 20)
    cases = ET.parse("a.xml").getroot().iter("testcase")
    assert "ttft_s" in [case.get("name") for case in cases if case.find("failure") is not None]
    assert "20 runs before it" in Path("a.md").read_text(encoding="utf-8")
    assert "20 runs before it" in Path("a.html").read_text(encoding="utf-8")


def test_a_history_of_less_than_two_weeks_is_undecided(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """Only --fail-undecided fails then. The first run has no base at all."""
    write_nights(13)
    write_night(13, night_records(Random(9), slower=3))
    done = run_cli("diff", "history", "20260814", "--gate")
    assert (done.returncode, "the usual variation is known from 14 runs on" in done.stdout) == (0, True)
    assert "13 comparable runs since the last change" in done.stdout
    assert run_cli("diff", "history", "20260814", "--fail-undecided").returncode == 5
    first = json.loads(run_cli("diff", "history", "20260801", "--json").stdout)
    assert {(row["base_level"], row["change"], row["verdict"]) for row in first["findings"]} == {
        (None, None, "undecided")
    }
    assert first["history"] == {"folder": "results", "runs": 0, "since": None, "until": None, "left_out": {}}


def test_runs_of_other_machines_clocks_loads_and_suites_are_counted_and_left_out(
    run_cli: RunCli, write_nights: CopyRuns
) -> None:
    """Their level would differ for a reason other than the target."""
    write_nights(15)
    others: tuple[dict[str, object], ...] = (
        {"platform": "Darwin"},
        {"clock": "kernel"},
        {"load": {"rate": 3.0}},
        {"digest": "d2"},
        {"case_patterns": ("one",)},
        {"simulated": True},
        {"replay_of": "x"},
    )
    for night, details in enumerate(others, 15):
        write_night(night, night_records(Random(night)), **details)
    write_night(22, night_records(Random(9)))
    found = json.loads(run_cli("diff", "history", "20260823", "--json", "--metric", "ttft").stdout)
    assert found["history"]["left_out"] == {
        "from another machine": 1,
        "with another clock": 1,
        "at another load": 1,
        "of another version of the suite": 1,
        "of other cases": 1,
        "simulated": 1,
        "unfinished or replayed": 1,
    }
    assert {row["units"] for row in found["findings"]} == {15}
    assert "left out: 1 from another machine, 1 with another clock" in run_cli("diff", "history", "20260823").stdout


def test_failures_are_judged_against_the_history_of_failures(write_nights: CopyRuns) -> None:
    """A target that fails completely is a regression, although it has no times."""
    write_nights(16)
    bad = [failed(BASE, "one", block) for block in range(1, ROUNDS + 1)]
    good = [each for each in night_records(Random(9)) if each.identity.target == NEW]
    found = judge(write_night(16, [*bad, *good]))
    (row,) = found.having(Verdict.REGRESSED)
    assert (row.target, row.measure.name, row.change) == (BASE, "failures", 1.0)


def test_after_a_change_only_the_runs_since_count(write_nights: CopyRuns) -> None:
    """Runs before a change that is five nights old are not part of the base."""
    write_nights(30)
    random = Random(8)
    for night in range(30, 36):
        folder = write_night(night, night_records(random, (random.gauss(0, 0.05), 0), slower=1.6))
    rows = {row.target: row for row in judge(folder, "ttft").findings}
    assert (rows[BASE].units, rows[NEW].units) == (5, 35)


def test_python_compares_with_a_history(write_nights: CopyRuns) -> None:
    """`diff("history", run)` takes a folder as well; the table has the usual range."""
    folder = write_nights(16)
    found = runner.diff("history", folder, metric="ttft")
    assert set(found.frame["n_base"]) == {15}
    assert (found.frame["usual_low"] < found.frame["usual_high"]).all()
    assert (found.frame["detectable"] > 1.1).all()
    assert runner.diff(f"history:{RESULTS}", folder, metric="ttft").frame.equals(found.frame)
    with pytest.raises(runner.CompareError, match="is compared with a run, not within one"):
        runner.diff("history", between=("a/b", "c/d"))


def test_a_history_is_named_by_its_folder() -> None:
    """The default is results/; other names are runs."""
    assert find_history(Path("history")) == RESULTS
    Path("other/place").mkdir(parents=True)
    assert find_history(Path("history:other/place")) == Path("other/place")
    assert find_history(Path("latest")) is None


def test_a_run_is_gated_by_the_runs_before_it(run_cli: RunCli) -> None:
    """After fourteen equal runs a much slower one fails, and the verdict is in the run's folder."""
    write_yaml(Path("suite.yaml"), {"cases": [{"id": "a", "prompt": "hi"}]})
    gate = ("--baseline", "history", "--gate", "--metric", "ttft", "-q")
    target = ("-m", "sim/exact?ttft_ms=20&gap_ms=1&tokens=2")
    for _ in range(14):
        run_cli("run", "suite.yaml", *target, "-q")
    done = run_cli("run", "suite.yaml", *target, *gate)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 runs before it in results" in done.stdout
    written = json.loads((RESULTS / "latest" / "difference.json").read_text(encoding="utf-8"))
    assert written["history"]["runs"] == 14
    assert written["findings"][0]["usual"]["high"] < 0.2


def test_a_history_that_is_no_folder_is_refused_before_anything_is_sent(run_cli: RunCli) -> None:
    """The error must not come after the run."""
    write_yaml(Path("suite.yaml"), {"cases": [{"id": "a", "prompt": "hi"}]})
    done = run_cli("run", "suite.yaml", "-m", "sim/quick", "--baseline", "history:nowhere", "--gate", "-q")
    assert (done.returncode, "there is no folder nowhere" in done.stderr) == (2, True)
    assert not RESULTS.exists()


@pytest.mark.parametrize(
    ("nights", "correlation"),
    [(25, 0.0), *(pytest.param(100, correlation, marks=pytest.mark.thorough) for correlation in (0.0, 0.5))],
)
def test_hundred_nights_without_change_raise_one_false_alarm_at_most(nights: int, correlation: float) -> None:
    """With day-to-day drift and without it, each night is judged by all nights before it, for two targets."""
    rng, random = np.random.default_rng(11), Random(11)
    drift, alarms, judged = np.zeros(2), 0, 0
    for night in range(nights):
        fresh = rng.normal(0, SD_OF_DAYS * np.sqrt(1 - correlation**2), 2)
        drift = correlation * drift + fresh
        found = judge(write_night(night, night_records(random, (float(drift[0]), float(drift[1])))), "ttft", "failures")
        alarms += bool(found.having(Verdict.REGRESSED))
        judged += any(row.tested for row in found.findings)
    assert judged >= nights - 20
    assert alarms <= 1

"""The pass rate from the command line: the gate, history, --until-ci, and the outputs that show it."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from prometheus_client.parser import text_string_to_metric_families

import runner
from runner.commands.load_stored_run import load_run
from runner.core.until_ci import UntilCi, parse_until_ci
from runner.errors import CompareError
from runner.outputs import WRITERS, markdown, prometheus
from runner.outputs.charts.chart import Canvas
from runner.outputs.charts.variants import draw_variants
from runner.outputs.report.pass_ranking import rank_by_passes
from runner.outputs.report.render_html import write_report
from runner.outputs.report.reply_grid import target_columns
from runner.outputs.text.checks import describe_checks
from runner.storage.run_folder import RESULTS
from tests.conftest import RunCli
from tests.support.checked_runs import cases, checks_of, repeats
from tests.support.command import write_yaml
from tests.support.crafted_runs import BASE, NEW, answered, run_of, write_run

FIRST = datetime(2026, 8, 1, 3, tzinfo=UTC)
QUICK, STEADY = "sim/quick", "sim/steady"
CASES = [{"id": f"case-{at}", "prompt": f"Say {at}", "checks": {"contains": "quick"}} for at in range(10)]
"""Both answer with their name among other words, which only one of the two has."""


def suite(path: Path, *, checked: bool = True) -> None:
    """Write a suite whose cases have checks, or none."""
    without = [{"id": each["id"], "prompt": each["prompt"]} for each in CASES]
    write_yaml(path / "suite.yaml", {"cases": CASES if checked else without})


# The terminal


def test_the_terminal_has_a_line_for_each_pass_rate_and_a_table_of_checks_that_failed(
    tmp_path: Path, run_cli: RunCli
) -> None:
    """At 80 columns, with interval and sample; checks that all passed are only counted."""
    found = cases(2, 1, 1, 1)
    write_run(tmp_path / "good", repeats(found), checks=checks_of([*found]))
    shown = run_cli("report", "good", cwd=tmp_path, env={"COLUMNS": "80"}).stdout
    assert re.search(r"^\S+ +100\.0 % \[[\d.]+, 100\.0\] \(n 6 in 2 cases\)$", shown, re.MULTILINE)
    assert "checks: 2 of 2 cells (case × target) passed their checks" in shown
    assert "case-001" not in shown
    write_run(tmp_path / "bad", repeats({**found, "case-001": [1, 0, 1]}), checks=checks_of([*found]))
    shown = run_cli("report", "bad", cwd=tmp_path, env={"COLUMNS": "80"}).stdout
    assert re.search(r"^case-000 +passed, 3 of 3$", shown, re.MULTILINE)


def test_a_single_cell_passes_its_checks() -> None:
    """One cell has a sentence of its own."""
    found = cases(1, 1)
    assert (
        describe_checks(run_of(repeats(found), checks=checks_of([*found])).checked)
        == "1 of 1 cell (case × target) passed its checks"
    )


def test_a_change_without_an_interval_has_no_empty_brackets(tmp_path: Path, run_cli: RunCli) -> None:
    """Two rounds are too few for an interval."""
    found = cases(1, 1, 1)
    write_run(tmp_path / "run", [*repeats(found), *repeats(found, NEW)], checks=checks_of([*found]))
    done = run_cli("diff", "run", "--between", BASE, NEW, "--metric", "ttft", cwd=tmp_path)
    assert re.search(r"^TTFT .* 1\.00 +\S+ +2 ", done.stdout, re.MULTILINE), done.stdout
    assert "[" not in done.stdout.split("\nTTFT")[1].splitlines()[0]


# The gate


def test_a_gate_can_judge_the_pass_rate_only(tmp_path: Path, run_cli: RunCli) -> None:
    """The second target fails all checks: exit code 1, with the row in JSON, JUnit and on the page."""
    suite(tmp_path)
    options = ("--ab", QUICK, STEADY, "--metric", "passes", "--gate", "-q", "-o", "run", "-o", "junit.xml")
    done = run_cli("run", "suite.yaml", *options, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "passing less" in done.stdout
    document = json.loads((tmp_path / "run" / "difference.json").read_text(encoding="utf-8"))
    (finding,) = document["findings"]
    assert (finding["measure"], finding["verdict"], finding["units"]) == ("passes", "regressed", 10)
    failed = [
        each.get("name")
        for each in ET.parse(tmp_path / "junit.xml").iter("testcase")
        if each.find("failure") is not None
    ]
    assert "passes" in failed
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "passes most: 100.0\u00a0%" in page


def test_a_gate_on_measures_that_the_run_lacks_is_refused(tmp_path: Path, run_cli: RunCli) -> None:
    """Without checks and without an SLO, both measures are named, and there is no run."""
    suite(tmp_path, checked=False)
    options = ("--ab", QUICK, STEADY, "--metric", "passes", "--metric", "slo", "--gate", "-o", "run")
    done = run_cli("run", "suite.yaml", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "there is none: set it, --slo; passes is the share of repeats" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_baseline_without_checks_is_refused_before_anything_is_sent(tmp_path: Path, run_cli: RunCli) -> None:
    """The run has checks, and its baseline has none."""
    suite(tmp_path)
    write_run(tmp_path / "old", [answered(QUICK, "case-1")])
    done = run_cli(
        "run", "suite.yaml", "-m", QUICK, "--baseline", "old", "--metric", "passes", "-o", "run", cwd=tmp_path
    )
    assert (done.returncode, "compare with a run" in done.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


# History


def write_nights(*rates: float, start: int = 0) -> Path:
    """Write nights of 20 cases, of which this share passes; return the last night's folder."""
    for night, rate in enumerate(rates, start=start):
        started = FIRST + timedelta(days=night)
        passed = {case: [int(at < round(20 * rate))] for at, case in enumerate(cases(20))}
        folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}"
        write_run(folder, list(repeats(passed)), started_at=started.isoformat(), checks=checks_of([*passed]))
    return folder


USUAL = [0.9, 0.95, 0.85, 0.9] * 5


def test_a_night_that_passes_less_fails_the_gate_on_history(run_cli: RunCli) -> None:
    """The row has the usual range and the share below which a change is detected."""
    write_nights(*USUAL, 0.3)
    done = run_cli(
        "diff",
        "history",
        "20260821",
        "--metric",
        "passes",
        "--gate",
        "--json",
    )
    assert done.returncode == 1, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["measure"], finding["verdict"], finding["units"]) == ("passes", "regressed", 20)
    assert finding["detectable"] < finding["base_level"]
    assert finding["usual"]["low"] < 0.9 < finding["usual"]["high"] <= 1


def test_a_usual_night_passes_the_gate_on_history(run_cli: RunCli) -> None:
    """The usual variation between runs is not a change."""
    write_nights(*USUAL, 0.85)
    done = run_cli("diff", "history", "20260821", "--metric", "passes", "--gate")
    assert done.returncode == 0, done.stderr
    assert "a share of" in done.stdout


def test_the_history_of_pass_rates_has_changes_in_points(run_cli: RunCli) -> None:
    """A series, a change with its interval, JSON, a page and a table; shares may be 0 or 1."""
    write_nights(*[1.0, 0.95] * 6, *[0.5, 0.55] * 6)
    shown = run_cli("history", "--metric", "passes", "-o", "history.html")
    assert shown.returncode == 0, shown.stderr
    assert "pass rate" in shown.stdout
    change = r"-45\.0 points \[-[\d.]+, -[\d.]+\] \(worse\) since 2026-08-13 "
    assert re.search(change, " ".join(shown.stdout.split()))
    (series,) = json.loads(run_cli("history", "--metric", "passes", "--json").stdout)
    (change,) = series["changes"]
    assert (change["ratio"], round(change["difference"], 3)) == (None, -0.45)
    assert change["interval"]["low"] < -0.45 < change["interval"]["high"] < 0
    assert series["points"][0]["interval"]["cases"] == 20
    assert "A dot is a run&#39;s pass rate" in Path("history.html").read_text(encoding="utf-8")
    (row,) = runner.history(metrics=("passes",)).itertuples()
    assert (round(float(str(row.difference)), 3), row.before, row.after) == (-0.45, 12, 12)


def test_shares_of_requests_have_no_history(run_cli: RunCli) -> None:
    """Shares such as that of an SLO are refused."""
    write_nights(0.5, 0.5)
    done = run_cli("history", "--metric", "slo", "--metric", "failures")
    assert (done.returncode, "failures and slo: a share has no level to follow" in done.stderr) == (2, True)


# --until-ci


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5%", UntilCi(ttft=0.05)),
        ("0.05", UntilCi(ttft=0.05)),
        ("passes=4%", UntilCi(passes=0.04)),
        ("ttft=5%, passes=4%", UntilCi(0.05, 0.04)),
    ],
)
def test_until_ci_takes_a_precision_of_ttft_or_pass_rate(text: str, value: UntilCi) -> None:
    """A precision of TTFT alone is stored as a number, as before, and read back."""
    assert parse_until_ci(text) == value
    assert UntilCi.from_plain(value.to_plain()) == value
    assert UntilCi(ttft=0.05).to_plain() == 0.05


def test_a_condition_of_a_newer_version_is_ignored() -> None:
    """A header may name a precision that this version does not know, as it may name an unknown threshold of an SLO."""
    assert UntilCi.from_plain({"ttft": 0.05, "goodput": 0.1}) == UntilCi(ttft=0.05)
    assert UntilCi.from_plain({"goodput": 0.1}) is None
    assert UntilCi.from_plain(None) is None


def test_all_problems_of_a_precision_are_named() -> None:
    """The message has an example."""
    with pytest.raises(CompareError, match=r"pass is neither .*; '0%' is not a share .*; passes is given twice.*Write"):
        parse_until_ci("pass=5%,0%,passes=1%,passes=2%")


def test_a_run_ends_when_its_pass_rates_are_precise_enough(tmp_path: Path, run_cli: RunCli) -> None:
    """After one round, ten cases that all pass have an interval of ±14 points, by Wilson's formula."""
    suite(tmp_path)
    done = run_cli(
        *("run", "suite.yaml", "-m", QUICK, "--until-ci", "passes=14%", "--requests", "500", "-q", "-o", "run"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0]["until_ci"] == {"passes": 0.14}
    assert lines[-1]["reason"].startswith(
        "every target's pass rate is known to ±14 points, least well sim/quick's, to ±14"
    )
    assert 10 <= sum(line["kind"] == "record" for line in lines) < 60


def test_a_precision_of_the_pass_rate_needs_checks(tmp_path: Path, run_cli: RunCli) -> None:
    """The refusal says what to write."""
    suite(tmp_path, checked=False)
    done = run_cli("run", "suite.yaml", "-m", QUICK, "--until-ci", "passes=5%", "--requests", "50", cwd=tmp_path)
    assert (done.returncode, "no case has checks. Add `checks:`" in done.stderr) == (2, True)


# Outputs


def four_cases() -> dict[str, Sequence[int]]:
    """Return four cases of which two always pass in four rounds, and two never."""
    return {**cases(2, 1, 1, 1, 1), "case-8": [0] * 4, "case-9": [0] * 4}


def test_every_table_has_the_pass_rate_with_its_interval_and_sample(tmp_path: Path) -> None:
    """Sixteen repeats of four cases have the interval of four requests: 50 % [15.0, 85.0]."""
    folder = write_run(tmp_path / "run", list(repeats(four_cases())), checks=checks_of([*four_cases()]))
    run = load_run(folder)
    shown = " ".join(markdown.write(run).split())
    assert "| acme/old | 50.0 % \\[15.0, 85.0\\] | 8 | 16 | 4 | 0 |" in shown
    (rate,) = json.loads(WRITERS[".json"](run))["pass_rates"]
    assert (rate["target"], rate["share"], rate["n"], rate["cases"], rate["undecided"]) == (BASE, 0.5, 16, 4, 0)
    assert round(rate["interval"]["low"], 3) == 0.15
    row = runner.summary(folder).loc[BASE]
    assert (row["pass_rate"], row["checked_n"], row["checked_cases"], row["undecided_n"]) == (0.5, 16, 4, 0)
    assert (round(row["pass_rate_low"], 3), round(row["pass_rate_high"], 3)) == (0.15, 0.85)
    assert "[15.0, 85.0] %" in write_report([run]).replace("\u00a0", " ")


def test_the_stored_summary_has_the_pass_rate(run_cli: RunCli) -> None:
    """Lists and histories of runs show it without reading journals."""
    write_nights(0.5)
    (run,) = json.loads(run_cli("runs", "--json").stdout)
    (target,) = run["targets"]
    assert (target["passed"], target["checked"], target["checked_cases"], target["undecided"]) == (10, 20, 20, 0)
    assert (target["pass_rate"]["value"], target["pass_rate"]["n"]) == (0.5, 20)
    assert target["pass_rate"]["low"] < 0.5 < target["pass_rate"]["high"]


def test_prometheus_has_the_share_and_the_ends_of_its_interval() -> None:
    """Each has a gauge, beside the number of cases."""
    text = prometheus.write(run_of(repeats(four_cases()), checks=checks_of([*four_cases()])))
    found = {
        (each.name, each.labels.get("bound")): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }
    assert found["compare_pass_ratio", None] == 0.5
    assert found["compare_pass_cases", None] == 4
    assert round(found["compare_pass_interval_ratio", "low"], 3) == 0.15


def test_the_page_ranks_targets_by_pass_rate() -> None:
    """The best target is first, with points, p and cases; the claim follows the verdict."""
    both = [*repeats(cases(10, 0)), *repeats(cases(10, 1), NEW)]
    run = run_of(both, checks=checks_of([*cases(10)]))
    ranking = rank_by_passes(target_columns([run]))
    assert ranking is not None
    first, second = ranking.places
    assert (first.label, second.label, first.comparison) == (NEW, BASE, None)
    assert ranking.highest == "highest pass rate"
    assert second.comparison is not None
    assert (second.comparison.verdict, second.comparison.points, second.comparison.cases) == (
        "passes less",
        "-100.0",
        10,
    )
    assert (ranking.claim or "").startswith(f"{NEW} passes most: 100.0 %; {BASE} 0.0 %, -100.0 [")
    assert (ranking.claim or "").endswith("] points in 10 cases")
    even = run_of([*repeats(cases(10, 1)), *repeats(cases(10, 1), NEW)], checks=checks_of([*cases(10)]))
    ranking = rank_by_passes(target_columns([even]))
    assert ranking is not None
    assert (ranking.claim or "").startswith("Too close to call who passes more")
    assert ranking.highest == "highest pass rate, shared by 2"
    assert rank_by_passes(target_columns([run_of([answered()])])) is None


def test_the_sweep_of_variants_draws_the_pass_rate() -> None:
    """It is drawn for each setting, with its interval, and the caption explains it."""
    variants = {f"{BASE}#low": {"thinking": "low"}, f"{BASE}#high": {"thinking": "high"}}
    records = [each for at, name in enumerate(variants) for each in repeats(cases(4, at), name)]
    chart = draw_variants(run_of(records, checks=checks_of([*cases(4)]), variants=variants), Canvas())
    assert chart is not None
    assert "pass rate 100.0 %" in chart.svg
    assert "the share of repeats whose checks passed" in chart.caption

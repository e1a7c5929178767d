"""`compare history` and `runner.history`: levels over many runs, their usual range and their changes."""

import json
import re
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

import runner
from runner.commands.history import follow_targets
from runner.core.record import Record
from runner.pricing.rates import Price, Rates
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import RESULTS
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, CopyRuns, answered, derived_runs, simulated, write_run

FIRST = datetime(2026, 11, 1, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def write_nights(tmp_path_factory: pytest.TempPathFactory) -> CopyRuns:
    """Return a function that writes up to 24 nightly runs of two targets, with summaries.

    From the 17th on the first target is slower, and another model.
    """
    random = Random(3)
    with chdir(tmp_path_factory.mktemp("nights")):
        for night in range(24):
            started = FIRST + timedelta(days=night)
            records = list(_records(random, *((1, "a") if night < 16 else (1.25, "b"))))
            folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}"
            write_run(folder, records, started_at=started.isoformat())
        return derived_runs()


def _records(random: Random, factor: float, model: str) -> Iterator[Record]:
    for case in ("one", "two"):
        for target, base_s in ((BASE, 0.3 * factor), (NEW, 0.2)):
            ttft_s = base_s * random.lognormvariate(0, 0.05)
            yield answered(target, case, ttft_s=ttft_s, response_model=model if target == BASE else "same")


def test_a_change_is_shown_with_its_date_size_and_confidence(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """It also has its number of runs, and what else differs since then."""
    write_nights(24)
    shown = run_cli("history", "--metric", "ttft").stdout
    (line,) = (line for line in shown.splitlines() if "since 2026-11-17" in line)
    assert line.startswith(f"{BASE}, TTFT: +2")
    assert "(worse)" in line
    assert "16 runs before and 8 after; changed with it: response_model: a -> b" in line
    assert NEW not in line


def test_a_history_is_json(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """The JSON has every level, the usual range of further runs, and each change."""
    write_nights(24)
    base, new = json.loads(run_cli("history", "--metric", "ttft", "--json").stdout)
    if base["target"] != BASE:
        base, new = new, base
    assert (base["n"], len(base["points"]), base["unit"]) == (24, 24, "s")
    (change,) = base["changes"]
    assert change["run_id"].endswith("-0016")
    assert change["interval"]["low"] < change["ratio"] < change["interval"]["high"]
    assert change["with_it"] == [{"what": "response_model", "before": "a", "after": "b"}]
    assert new["changes"] == []
    assert new["usual_range"]["low"] < 0.2 < new["usual_range"]["high"]


def test_a_history_is_a_table_in_python(write_nights: CopyRuns) -> None:
    """The table has a row for each change."""
    write_nights(24)
    (row,) = runner.history(metrics=("ttft",)).itertuples()
    assert (row.target, row.before, row.after, row.with_it) == (BASE, 16, 8, "response_model: a -> b")
    (series, *_) = follow_targets(metrics=("ttft",))[0]
    assert row.conditions == ", ".join(f"{name} {value}" for name, value in series.conditions.items())
    assert "order" in series.conditions
    write_nights(0)
    nothing = runner.history(metrics=("output_cps",))
    assert len(nothing) == 0
    assert {*nothing} == {*runner.history(metrics=("ttft",))}, "the columns are those of a table with changes"


def test_texts_of_history_charts_are_in_both_languages(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """Readings, titles and descriptions of the page's charts have their Chinese form beside the English one."""
    write_nights(24)
    assert run_cli("history", "-o", "history.html", "--lang", "en").returncode == 0
    page = Path("history.html").read_text(encoding="utf-8")
    readings = [json.loads(found) for found in re.findall(r'class="readings">(.*?)</script>', page)]
    over_time = readings[0]
    assert re.fullmatch(r"2026-11-01 [0-9:]+: [0-9]+ ms, n [0-9]+", over_time["en"]["runs"][0])
    assert re.fullmatch(r"2026-11-01 [0-9:]+：[0-9]+ ms，n [0-9]+", over_time["zh-CN"]["runs"][0])
    assert "24 runs, 1 change of the level." in page
    assert "24 次运行，水平变化 1 处。" in page


def test_incomplete_runs_are_counted_and_left_out(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """Unfinished runs and runs with fewer questions would have another level, which would look like a change."""
    write_nights(6)
    write_run(RESULTS / "20261110T090000-nightly-part", [answered(BASE, "one")], started_at="2026-11-10T09:00:00+00:00")
    found = [
        each for each in json.loads(run_cli("history", "--metric", "ttft", "--json").stdout) if each["target"] == BASE
    ]
    assert (found[0]["n"], found[0]["left_out"]) == (6, 1)
    assert "1 run left out" in run_cli("history").stdout


def test_another_suite_or_load_is_another_series(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """Levels of other questions, or of another load, are not compared."""
    write_nights(3)
    started = "2026-11-20T09:00:00+00:00"
    write_run(RESULTS / "20261120T090000-nightly-load", [answered(BASE)], load={"rate": 3.0}, started_at=started)
    write_run(RESULTS / "20261121T090000-other-load", [answered(BASE)], digest="d2", started_at=started)
    series = json.loads(run_cli("history", "--target", BASE, "--metric", "ttft", "--json").stdout)
    assert sorted(each["n"] for each in series) == [1, 1, 3]
    assert [each["conditions"].get("rate") for each in series].count(3.0) == 1
    shown = run_cli("history").stdout
    assert "suite crafted (d1), order blocks, rate 3.0" in shown
    assert shown.count("suite crafted (d1)") == 2


def test_other_cases_of_a_suite_are_another_series(run_cli: RunCli) -> None:
    """`-k` selects other questions, although the suite's file and their number are the same."""
    for night, case in enumerate(["one", "two"] * 4):
        started = FIRST + timedelta(days=night)
        folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}"
        records = [answered(BASE, case, ttft_s=0.2 if case == "one" else 0.9)]
        write_run(folder, records, started_at=started.isoformat(), case_patterns=(case,))
    one, two = json.loads(run_cli("history", "--metric", "ttft", "--json").stdout)
    assert (one["n"], two["n"]) == (4, 4)
    assert {one["conditions"]["cases"], two["conditions"]["cases"]} == {"one", "two"}
    assert "suite crafted (d1), cases one, order blocks" in run_cli("history").stdout


def test_variants_of_one_name_and_other_settings_are_two_series(run_cli: RunCli) -> None:
    """A long value of `--vary` is numbered: `#system=1` may be another text in the next run."""
    for night, text in enumerate(["Be brief, please.", "Tell all you know."] * 2):
        started = FIRST + timedelta(days=night)
        folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}"
        record = answered(BASE)
        record = replace(record, identity=replace(record.identity, variant="system=1"))
        settings = {f"{BASE}#system=1": {"system": text}}
        write_run(folder, [record], started_at=started.isoformat(), variants=settings)
    series = json.loads(run_cli("history", "--metric", "ttft", "--json").stdout)
    assert [(each["target"], each["n"]) for each in series] == [(f"{BASE}#system=1", 2)] * 2


def test_costs_in_another_currency_are_left_out(run_cli: RunCli) -> None:
    """A ratio of two currencies has no meaning, and would look like a change of sevenfold."""
    for night in range(8):
        currency = "USD" if night < 4 else "CNY"
        price = Price(currency, (Rates(Decimal(0), Decimal(1 if night < 4 else 7)),), "test").to_plain()
        started = FIRST + timedelta(days=night)
        folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}"
        records = [answered(input_tokens=5)]
        write_run(folder, records, started_at=started.isoformat(), prices={BASE: price})
    (found,) = json.loads(run_cli("history", "--metric", "cost", "--json").stdout)
    assert (found["n"], found["left_out"], found["changes"]) == (4, 4, [])


@pytest.mark.parametrize("metric", ["failures", "slow"])
def test_a_share_has_no_level(run_cli: RunCli, metric: str, write_nights: CopyRuns) -> None:
    """A share of failures has no history; the message says where failures are listed."""
    write_nights(1)
    done = run_cli("history", "--metric", metric)
    assert done.returncode == 2
    assert "a share has no level to follow. Follow passes, or a duration" in done.stderr


def test_a_history_of_a_folder_without_runs_is_an_error(run_cli: RunCli) -> None:
    """The message is on stderr, and stdout is empty."""
    Path(RESULTS).mkdir()
    done = run_cli("history")
    assert (done.stdout, done.returncode) == ("", 0)
    assert "no run in results yet" in done.stderr


def test_a_condition_that_excludes_every_run_is_named(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """The message lists the names that exist, so that a typing error is seen."""
    write_nights(2)
    assert (
        f"--target acme/odl matches none. Did you mean `{BASE}`?" in run_cli("history", "--target", "acme/odl").stderr
    )
    assert f"--target x/* matches none. Known: {BASE}, {NEW}" in run_cli("runs", "--target", "x/*").stderr
    told = run_cli("history", "--suite", "craftd", "--since", "1s").stderr
    assert "no run in results fits. --suite craftd matches none. Did you mean `crafted`?" in told
    assert "--since: the newest began 2026-11-02" in told
    told = run_cli("runs", "--suite", "craftd", "--since", "3650d").stderr
    assert "--suite craftd matches none. Did you mean `crafted`?" in told
    assert "--since" not in told
    write_run(
        RESULTS / "20261103T090000-other", [answered("a/other")], suite="other", started_at="2026-11-03T09:00:00Z"
    )
    told = run_cli("runs", "--suite", "crafted", "--target", "a/other").stderr
    assert "no run in results fits. Each condition fits some run, and none fits all" in told
    write_run(RESULTS / "20261110T090000-open", [answered("a/open")], started_at="2026-11-10T09:00:00+00:00")
    journal = RESULTS / "20261110T090000-open" / JOURNAL_FILE
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"kind":"end"' not in line))
    assert "no finished run in results fits" in run_cli("history", "--target", "a/open").stderr


def test_a_short_history_has_no_usual_range(run_cli: RunCli, write_nights: CopyRuns) -> None:
    """A dash stands in its place until three runs precede the newest one."""
    write_nights(3)
    assert "note: a usual range needs 3 runs before the newest" in run_cli("history").stdout
    write_nights(4)
    assert "a usual range needs" not in run_cli("history").stdout


def test_a_simulated_history_is_marked(run_cli: RunCli) -> None:
    """The mark is on the terminal and in JSON, as on the page."""
    for night in range(2):
        started = FIRST + timedelta(days=night)
        folder = RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}"
        write_run(folder, [simulated(answered(BASE))], started_at=started.isoformat())
    assert "order blocks (simulated)" in run_cli("history").stdout
    assert all(each["simulated"] for each in json.loads(run_cli("history", "--json").stdout))


@pytest.mark.parametrize("column", ["served_by", "system_fingerprint", "service_tier"])
def test_another_vendor_or_fingerprint_is_named_beside_a_change(column: str, run_cli: RunCli) -> None:
    """Stored summaries hold every column that identifies who answered."""
    random = Random(3)
    for night in range(24):
        late, started = night >= 16, FIRST + timedelta(days=night)
        told: dict[str, Any] = {column: "b" if late else "a"}
        records = [
            answered(BASE, case, ttft_s=(0.5 if late else 0.3) * random.lognormvariate(0, 0.05), **told)
            for case in ("one", "two")
        ]
        write_run(RESULTS / f"{started:%Y%m%dT%H%M%S}-nightly-{night:04}", records, started_at=started.isoformat())
    (found,) = json.loads(run_cli("history", "--metric", "ttft", "--json").stdout)
    assert found["changes"][0]["with_it"] == [{"what": column, "before": "a", "after": "b"}]

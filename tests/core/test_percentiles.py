"""Percentiles that a user chooses: parsed, named, and shown in every table of a summary."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from runner.core.percentiles import choose_percentiles, name_percentile, parse_percentiles
from runner.errors import CompareError
from runner.outputs.terminal import render_summary
from runner.outputs.text.number_format import seconds
from runner.storage import journal
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, header, jittered, run_of
from tests.support.examples import FEWER

RANKS = st.floats(0, 100, exclude_min=True, exclude_max=True)


@given(st.lists(RANKS, min_size=1))
def test_percentiles_keep_their_order_without_repetitions_and_median(percents: list[float]) -> None:
    """Repeated values and the median, which is shown anyway, are left out; all others stay."""
    expected = tuple(dict.fromkeys(percent for percent in percents if percent != 50))
    assert parse_percentiles(", ".join(map(str, percents))) == expected
    assert choose_percentiles(percents) == expected


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Any text gives percentiles or a CompareError."""
    try:
        percents = parse_percentiles(text)
    except CompareError:
        return
    assert all(0 < percent < 100 for percent in percents)


@given(RANKS)
def test_percentile_name_holds_the_exact_number(percent: float) -> None:
    """No two percentiles share a name, as they would if it were rounded."""
    assert float(name_percentile(percent).removeprefix("p")) == percent


def test_all_invalid_percentiles_are_reported_at_once() -> None:
    """The message lists every wrong value with its cause and a hint."""
    with pytest.raises(CompareError) as refused:
        parse_percentiles("0,abc,90,120,nan,")
    assert str(refused.value) == (
        "percentiles: 'abc', '' are not numbers; 0, 120, nan are not between 0 and 100. "
        "Name numbers above 0 and below 100, such as 50,90,99."
    )
    with pytest.raises(CompareError, match="none is named"):
        choose_percentiles([])


@pytest.fixture
def crafted_run(tmp_path: Path) -> Path:
    """Write a run of two targets, 12 requests each; return its folder."""
    folder = tmp_path / "results" / "mine"
    with journal.JournalWriter(folder) as log:
        log.append_header(header("mine", (BASE, NEW)))
        for record in (*jittered(BASE, 6), *jittered(NEW, 6)):
            log.append_record(record)
        log.append({"kind": "end"})
    return folder


def test_every_summary_shows_the_chosen_percentiles(crafted_run: Path, run_cli: RunCli) -> None:
    """Terminal, page, Markdown and JSON show them by name, or the name of the extreme; p50 has its own column."""
    shown = run_cli("report", str(crafted_run), "--percentiles", "50,90,99.9,5")
    assert shown.returncode == 0, shown.stderr
    brief, apart = [line.split() for line in shown.stdout.splitlines() if line.startswith("target")]
    assert brief.count("TTFT") == 1
    assert apart == ["target", "of", "timed", "p90", "p99.9:", "max", "p5:", "min"]
    assert len([line for line in shown.stdout.splitlines() if " total " in line and " 12 " in line]) == 2
    for suffix in (".md", ".html", ".json"):
        path = Path(f"table{suffix}")
        done = run_cli("export", str(crafted_run), "-o", str(path), "--percentiles", "50,90,99.9,5")
        assert done.returncode == 0, done.stderr
        text = path.read_text(encoding="utf-8")
        if suffix == ".json":
            names = [(each["name"], each["n"]) for each in json.loads(text)["summary"][0]["ttft_percentiles"]]
            assert names == [("p90", 12), ("max", 12), ("min", 12)]
        else:
            assert "TTFT p90" in text
            assert "total p90" in text
            assert "p90 needs 10 requests, p99.9 needs 1,000 requests, p5 needs 20 requests" in text
            extreme = "extreme" if suffix == ".html" else "maximum or minimum"
            assert f"{extreme} stands in" in text


def test_percentiles_are_not_stored_in_a_run(run_cli: RunCli, tmp_path: Path) -> None:
    """A resumed run shows the default percentiles unless others are given."""
    (tmp_path / "s.yaml").write_text("cases: [{id: a, prompt: Hi}]\n", encoding="utf-8")
    asked = ("run", "s.yaml", "-m", "sim/quick", "--repeat", "2", "-o", "out", "--percentiles", "90")
    first = run_cli(*asked)
    assert first.returncode == 0, first.stderr
    again, named = run_cli("run", "--resume", "out"), run_cli("run", "--resume", "out", "--percentiles", "75,90")
    assert [each.stdout.count("TTFT max") for each in (first, again, named)] == [1, 1, 0]
    assert re.search(r"^target +of +timed +p75: max +p90: max$", named.stdout, re.MULTILINE)
    assert "p75 needs 4 requests, p90 needs 10 requests" in (tmp_path / "out" / "results.md").read_text("utf-8")


@settings(max_examples=FEWER)
@given(st.lists(st.integers(1, 99), min_size=2, max_size=12, unique=True))
def test_percentiles_fit_a_terminal_of_80_columns(percents: list[float]) -> None:
    """Each percentile appears whole under its whole name, for TTFT and for total, however many there are."""
    percents = list(choose_percentiles([*percents, 99.9]))
    run = replace(run_of([*jittered(BASE, 6), *jittered(NEW, 3)]), percents=tuple(percents))
    console = Console(file=StringIO(), width=80)
    console.print(render_summary(run))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    for summary in run.summary:
        for each in (*summary.ttft_percentiles, *summary.total_percentiles):
            assert seconds(each.value) in text
            assert re.search(rf"\b{re.escape(each.name)}\b", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("run", "nowhere.yaml", "--percentiles", "0,x"),
            "percentiles: 'x' is not a number; 0 is not between 0 and 100.",
        ),
        (("report", "latest", "--percentiles", "100"), "percentiles: 100 is not between 0 and 100."),
        (
            ("export", "latest", "-o", "a.csv", "--percentiles", "90"),
            "belongs to a format with a summary",
        ),
        (("export", "latest", "--otel", "--percentiles", "90"), "belongs to a format with a summary"),
    ],
)
def test_percentiles_that_cannot_be_shown_are_refused(
    run_cli: RunCli, arguments: tuple[str, ...], message: str
) -> None:
    """The command prints one sentence and exits with 2 before anything is read or sent."""
    refused = run_cli(*arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr

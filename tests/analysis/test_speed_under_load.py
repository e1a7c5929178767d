"""Throughput and latency under load: from crafted records, compared with the definitions, and as text."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.run_results import Run
from runner.analysis.speed_under_load import LoadPoint, OpenLoopPoint
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.outputs.markdown import write
from runner.outputs.terminal import render_summary
from runner.outputs.text.speed_under_load import load_tables, tabulate_open_loop, tabulate_sweep
from runner.outputs.text.translation import in_language
from runner.storage import journal
from runner.storage.journal import Header
from tests.support.crafted_runs import header

HEADER = header("run", ("acme/m",), cases=("case",), repeat=2, planned_requests=8, load={"levels": [1, 4]})
MS = 1_000_000
TARGET = MeasuredTarget("acme/m")


def record_of(
    block: int, sent_ms: int, ttft_ms: int, total_ms: int, tokens: int | None = 10, *, planned_ms: int | None = None
) -> Record:
    """Return an ok record with timestamps in milliseconds since the start of the run."""
    return Record(
        identity=Identity(f"{block}/{sent_ms}", "case", 1, block, block, "acme", "m", "Hello?"),
        timestamps=Timestamps(
            planned=None if planned_ms is None else planned_ms * MS,
            sent=sent_ms * MS,
            first_event=(sent_ms + ttft_ms) * MS,
            last_event=(sent_ms + total_ms) * MS,
        ),
        outcome=Outcome.OK,
        text_events=TextEvents((ttft_ms * 1000, total_ms * 1000), "aa", (1, 1)),
        reply="ab",
        output_tokens=tokens,
    )


def failed(record: Record) -> Record:
    """Return a record that failed before its first text."""
    marks = replace(record.timestamps, first_event=None, last_event=None)
    return replace(
        record, outcome=Outcome.RATE_LIMITED, timestamps=marks, text_events=TextEvents(), reply=None, output_tokens=None
    )


def levels_of(header: Header, records: list[Record]) -> tuple[LoadPoint, ...]:
    """Return the points of a sweep."""
    return Run.of(header, records).sweep


SWEPT = [
    record_of(1, 0, 100, 1000),
    record_of(2, 1000, 300, 1000),
    record_of(3, 5000, 125, 1000, tokens=30),
    record_of(4, 5000, 375, 2000, tokens=30),
    failed(record_of(4, 5500, 0, 0)),
    replace(record_of(1, 9000, 1, 2), warmup=True),
]


def test_sweep_has_a_point_per_target_and_level() -> None:
    """The level follows from the block; rates are of all replies together, over the time of the level."""
    assert levels_of(HEADER, SWEPT) == (
        LoadPoint(TARGET, 1, 2, 0, 0.2, None, output_tps=10, requests_per_s=1, mean_in_flight=1),
        LoadPoint(TARGET, 4, 2, 1, 0.25, None, output_tps=30, requests_per_s=1, mean_in_flight=1.5),
    )


def test_requests_that_were_never_tried_are_not_failed() -> None:
    """The turns skipped after a failed one, and those that a stop cancelled, count as in the summary."""
    first = failed(record_of(1, 0, 100, 1000))
    untried = [replace(first, outcome=outcome) for outcome in (Outcome.SKIPPED, Outcome.SKIPPED, Outcome.CANCELLED)]
    records = [first, *untried, record_of(1, 1000, 100, 1000, planned_ms=0)]
    swept, paced = Run.of(HEADER, records), Run.of(PACED, records)
    assert [each.failed for each in (*swept.summary, *paced.summary)] == [1, 1]
    assert [each.failed for each in swept.sweep] == [1]
    assert [each.failed for each in paced.open_loop] == [1]


def test_tokens_per_second_are_blank_where_a_reply_is_not_counted() -> None:
    """Requests per second are given nevertheless."""
    swept = [*SWEPT, record_of(1, 1500, 100, 500, tokens=None)]
    assert [point.output_tps for point in levels_of(HEADER, swept)] == [None, 30]
    assert [point.requests_per_s for point in levels_of(HEADER, swept)] == [1.5, 1]


def test_p95_of_a_level_needs_twenty_requests() -> None:
    """With 19 it is None, not the maximum."""
    records = [record_of(1, number * 10, number, 1000) for number in range(1, 21)]
    assert [point.ttft_p95_s for point in levels_of(HEADER, records)] == [0.019]
    assert [point.ttft_p95_s for point in levels_of(HEADER, records[:-1])] == [None]


def test_levels_of_an_endless_sweep_have_a_million_rounds_each() -> None:
    """The level follows from the block where repeat is None."""
    records = [record_of(7, 0, 1, 10), record_of(1_000_001, 100, 2, 10)]
    points = levels_of(replace(HEADER, repeat=None), records)
    assert [(point.concurrency, point.n) for point in points] == [(1, 1), (4, 1)]


def test_a_run_without_load_profile_has_no_load_tables() -> None:
    """It is neither a sweep nor an open loop."""
    plain = replace(HEADER, load={})
    assert (levels_of(plain, SWEPT), Run.of(plain, SWEPT).open_loop) == ((), ())
    run = Run.of(plain, SWEPT)
    assert (tabulate_sweep(run), tabulate_open_loop(run), load_tables(run)) == (None, None, ())


@pytest.mark.parametrize("load", [{"levels": (1, 4)}, {"rate": 2.0}])
def test_headings_and_captions_are_in_the_language_that_is_written(load: dict[str, Any]) -> None:
    """This includes titles, and tables of prompt caches."""
    run = Run.of(replace(HEADER, load=load), SWEPT)
    with in_language("zh"):
        (found,) = load_tables(run)
    assert all(re.search("[\u4e00-\u9fff]", text) for text in (found.title, found.caption, *found.table.headings[:1]))
    with in_language("en"):
        (found,) = load_tables(run)
    assert (found.caption.isascii(), found.table.headings[0]) == (True, "target")


REQUESTS = st.lists(
    st.tuples(st.integers(0, 9000), st.integers(1, 500), st.integers(500, 3000), st.integers(0, 99)), min_size=1
)


@given(REQUESTS)
def test_rates_follow_their_definitions(requests: list[tuple[int, int, int, int]]) -> None:
    """Requests may finish in any order."""
    records = [record_of(1, sent, ttft, total, tokens) for sent, ttft, total, tokens in requests]
    (point,) = levels_of(HEADER, records)
    span_s = (max(sent + total for sent, _, total, _ in requests) - min(sent for sent, *_ in requests)) / 1000
    assert point.requests_per_s == pytest.approx(len(requests) / span_s)
    assert point.output_tps == pytest.approx(sum(tokens for *_, tokens in requests) / span_s)
    assert point.mean_in_flight == pytest.approx(sum(total for _, _, total, _ in requests) / 1000 / span_s)


PACED = replace(HEADER, load={"rate": 2.0})


def test_times_from_scheduled_time_include_the_wait_before_sending() -> None:
    """The second of two requests is sent two seconds late, which TTFT does not include."""
    records = [record_of(1, 0, 100, 1000, planned_ms=0), record_of(2, 2500, 100, 1000, planned_ms=500)]
    assert Run.of(PACED, records).open_loop == (
        OpenLoopPoint(
            TARGET, 2.0, 2, 0, 0.1, None,
            ttft_from_scheduled_p50_s=1.1, ttft_from_scheduled_p95_s=None,
            total_from_scheduled_p50_s=2.0, total_from_scheduled_p95_s=None,
            requests_per_s=2 / 3.5,
        ),
    )  # fmt: skip


def written(folder: Path, header: Header, records: list[Record]) -> Run:
    """Return a run as it is read from its journal."""
    with journal.JournalWriter(folder) as writer:
        writer.append_header(header)
        for record in records:
            writer.append_record(record)
        writer.append({"kind": "end", "reason": "3 s are over, as asked"})
    return Run.of_journal(journal.read(folder))


def cells_of(text: str, first: str) -> list[str]:
    """Return the cells of the Markdown row with this beginning."""
    row = next(line for line in text.splitlines() if line.startswith(first))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_table_of_a_sweep_shows_n_beside_figures_and_why_it_stopped(tmp_path: Path) -> None:
    """The reason of an early stop is below the table."""
    run = written(tmp_path, HEADER, SWEPT)
    page = write(run)
    level = page[page.index("## Speed under load") :]
    assert cells_of(level, "| acme/m") == ["acme/m", "1", "2", "0", "200 ms / –", "10.0", "1.0", "1.0"]
    assert "stopped: 3 s are over, as asked" in page
    output = StringIO()
    Console(file=output, width=120).print(render_summary(run))
    assert ["acme/m", "4", "2", "1", "250", "ms", "/", "–", "30.0", "1.0", "1.5"] in map(
        str.split, output.getvalue().splitlines()
    )


def test_the_table_of_an_open_loop_has_times_from_sending_and_from_the_schedule(tmp_path: Path) -> None:
    """It has times from sending and from scheduled time."""
    page = write(written(tmp_path, PACED, [record_of(1, 1000, 100, 900, planned_ms=0)]))
    figures = cells_of(page[page.index("## An open loop") :], "| acme/m")
    assert figures == ["acme/m", "2", "1.1", "1", "0", "100 ms / –", "1.10 s / –", "1.90 s / –"]

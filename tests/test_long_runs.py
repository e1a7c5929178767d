"""Long runs: records are read and written one by one, and few of them are in memory."""

import gc
import math
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.analysis import dataframe, run_results, significance_tests
from runner.analysis.result_columns import COLUMNS, Cell, Kind, ResultColumn
from runner.analysis.run_results import Run
from runner.analysis.side_by_side import excerpt
from runner.analysis.student_t import quantile
from runner.core.events import Outcome
from runner.core.record import Record
from runner.outputs import STREAM_WRITERS, WRITERS, find_writer
from runner.outputs.markdown import excerpt_of
from runner.outputs.report import reply_grid
from runner.outputs.report.render_html import write_report
from runner.storage import journal
from runner.storage.atomic_write import write_atomically
from tests.benchmarks.scale import CASES, header, records, write_journal

FEW, MANY = 500, 1_500

KIND_CELLS: dict[Kind, st.SearchStrategy[Cell]] = {
    Kind.TEXT: st.none() | st.text(max_size=3),
    Kind.COUNT: st.none() | st.integers(-(2**63), 2**63 - 1),
    Kind.NUMBER: st.none() | st.floats(allow_nan=False),
    Kind.TRUTH: st.none() | st.booleans(),
}


@dataclass(slots=True)
class CountingSource:
    """A source of records that counts how many were read."""

    kept: tuple[Record, ...]
    read: int = 0

    @property
    def records(self) -> Iterator[Record]:
        """Every record."""
        return self.records_at(range(len(self.kept)))

    def records_at(self, places: object) -> Iterator[Record]:
        """Yield the records at these positions."""
        for place, record in enumerate(self.kept):
            if place in places:  # type: ignore[operator]
                self.read += 1
                yield record


def counted_run(size: int) -> tuple[Run, CountingSource]:
    """Return a run and its source, whose count is 0."""
    source = CountingSource(tuple(records(size)))
    run = replace(Run.of(header(size), source.kept), source=source)
    return run, source


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the peak memory of a function, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -- Memory ------------------------------------------------------------------------------------------------------------


def write_everything(folder: Path) -> None:
    """Read a run's journal and write its files, as at the end of a run."""
    run = Run.of_journal(journal.read(folder))
    for suffix in (".csv", ".md", ".html", ".json", ".jsonl"):
        write_atomically(folder / f"results{suffix}", find_writer(suffix)(run))


@pytest.mark.thorough
def test_memory_grows_little_with_the_number_of_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record has 700 bytes of JSON, 5 KiB as objects, and less than 1.6 kB of memory for all outputs together."""
    monkeypatch.setattr(dataframe, "SEGMENT", 512)
    monkeypatch.setattr(dataframe, "BATCH", 64)
    monkeypatch.setattr(reply_grid, "MAX_REPLIES", 100)  # as many on both pages
    monkeypatch.setattr(significance_tests, "_CHUNK", 10_000)  # as large for both runs
    monkeypatch.setattr(run_results, "KEPT_BYTES", 0)  # below it all records are kept
    for size in (FEW, MANY):
        write_journal(tmp_path / str(size), size)
    write_everything(tmp_path / str(FEW))  # loads modules and fills caches, whose size does not grow
    peaks = [peak_bytes(partial(write_everything, tmp_path / str(size))) for size in (FEW, MANY)]
    assert (peaks[1] - peaks[0]) / (MANY - FEW) < 1600


def test_a_table_takes_little_more_memory_while_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are not kept as objects, which need ten times as much, and the table is not copied."""
    monkeypatch.setattr(dataframe, "SEGMENT", 512)
    monkeypatch.setattr(dataframe, "BATCH", 64)

    def tabulate(size: int) -> pd.DataFrame:
        return dataframe.frame_of_records(header(size), records(size), dataframe.FIGURE_COLUMNS)

    finished = tabulate(MANY).memory_usage().sum() - tabulate(FEW).memory_usage().sum()
    peaks = [peak_bytes(partial(tabulate, size)) for size in (FEW, MANY)]
    assert peaks[1] - peaks[0] < 1.7 * finished


def test_equal_texts_of_rows_are_one_object() -> None:
    """A table holds each prompt, model and outcome once, for any number of rows."""
    run = Run.of(header(100), records(100))
    for name in ("case", "model", "prompt", "outcome", "error"):
        held = run.table[name].dropna()
        assert len({id(text) for text in held}) == held.nunique()


def test_a_file_is_written_piece_by_piece_or_not_at_all(tmp_path: Path) -> None:
    """A file of 64 MB needs less than 1 MB of memory; if a piece fails, the old file stays and no other is left."""
    path = tmp_path / "rows.csv"
    assert peak_bytes(lambda: write_atomically(path, ("x" * 1000 for _ in range(64_000)))) < 1_000_000
    assert path.stat().st_size == 64_000_000
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, iter(["fine", "half \ud83d"]))
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]
    assert path.stat().st_size == 64_000_000


# -- What is read, and when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", STREAM_WRITERS)
def test_a_writer_reads_records_when_its_pieces_are_taken(suffix: str) -> None:
    """Three pieces read at most three records; all pieces together are the complete text."""
    run, source = counted_run(50)
    pieces = STREAM_WRITERS[suffix](run)
    first = [next(pieces) for _ in range(3)]
    assert 0 < source.read <= 3
    assert "".join([*first, *pieces]) == WRITERS[suffix](run)


def test_only_replies_that_are_shown_are_read() -> None:
    """An excerpt reads one reply per target of each case it shows; a report reads as many as it shows."""
    run, source = counted_run(5000)
    taken = excerpt_of(run, max_cases=2)
    assert (source.read, len(taken.rows), taken.left_out) == (4, 2, len(CASES) - 2)
    assert taken == excerpt(run.grid, max_cases=2)
    pictures, equal_length = 2 * 2 * len(source.kept), len(source.kept)  # two charts, each at two widths
    source.read = 0
    write_report([run])
    assert source.read <= pictures + equal_length + 2000 + 2 * len(run.summary)


def test_records_are_found_by_their_position(tmp_path: Path) -> None:
    """Positions count valid records; a damaged one is left out, and noted."""
    with journal.JournalWriter(tmp_path) as writer:
        writer.append_header(header(3))
        first, second = records(2)
        writer.append_record(first)
        writer.append({"kind": "record", "key": "damaged"})
        writer.append_record(second)
    log = journal.read(tmp_path)
    assert list(log.records_at({0, 1})) == [first, second]
    assert list(log.records_at({1, 7})) == [second]
    assert list(log.records_at(frozenset())) == []
    assert "line 3" in (log.left_out or "")


def test_a_journal_reads_the_same_while_it_grows(tmp_path: Path) -> None:
    """Table, rows and charts read the journal separately; all see what it held when it was opened."""
    write_journal(tmp_path, 10)
    run = Run.of_journal(journal.read(tmp_path))
    with journal.JournalWriter(tmp_path) as writer:
        for record in islice(records(15), 10, None):
            writer.append_record(record)
    assert [len(run.table), len(list(run.rows)), len(list(run.records)), len(run.frame)] == [10] * 4
    assert len(Run.of_journal(journal.read(tmp_path)).table) == 15


# -- The same values ---------------------------------------------------------------------------------------------------


def test_rows_and_table_agree() -> None:
    """Rows streamed, rows fetched by place and the table are equal, cell by cell."""
    run = Run.of(header(60), records(60))
    rows = list(run.rows)
    assert rows == list(dataframe.rows_of(run.frame))
    assert run.rows_at([7, 3]) == {3: rows[3], 7: rows[7]}
    pd.testing.assert_frame_equal(
        run.table.drop(columns="sent_s"), run.frame[list(run.table.columns.drop("sent_s"))], check_column_type=False
    )
    assert {*run.frame.columns} - {*run.table.columns} > dataframe.UNIQUE_TEXTS


def test_a_part_of_a_run_is_a_run(tmp_path: Path) -> None:
    """Its table, rows and places are those of the selected requests."""
    write_journal(tmp_path, 60)
    run = Run.of_journal(journal.read(tmp_path))
    part = run.only(lambda asked: asked.identity.model == "quick" and asked.identity.block > 2)
    assert [len(part.table), part.ended, part.header] == [20, True, run.header]
    assert part.rows_at([1]) == {1: list(part.rows)[1]}
    assert [each.n for each in part.summary] == [20, 0]


@given(st.lists(st.tuples(*KIND_CELLS.values()), max_size=12))
def test_columns_grow_across_segments(rows: list[tuple[Cell, ...]]) -> None:
    """For any length of a segment, every cell equals that of pandas for the whole column."""
    columns = [ResultColumn(kind.value, kind, lambda *_: None) for kind in KIND_CELLS]
    as_found = pd.DataFrame(rows, columns=pd.Index(KIND_CELLS), dtype=object)
    expected = as_found.astype(dict(zip(KIND_CELLS, (dataframe.TEXT, "Int64", "float64", "boolean"), strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataframe, "SEGMENT", 3)
        patch.setattr(dataframe, "BATCH", 4)
        made = dataframe.frame_of_rows((dict(zip(KIND_CELLS, row, strict=True)) for row in rows), columns)
    pd.testing.assert_frame_equal(made, expected)


def test_every_kind_of_column_is_tested_above() -> None:
    """The property test omits no kind of column."""
    assert {column.kind for column in COLUMNS} == {*KIND_CELLS}


@pytest.mark.parametrize("degrees", [999, 1000, 1001, 20_000, 10_000_000])
def test_quantiles_of_students_t_are_right_for_many_degrees(degrees: int) -> None:
    """The quantile of ten million degrees of freedom is computed, and equals scipy's."""
    assert math.isclose(float(quantile(0.975, np.array([degrees]))[0]), stats.t.ppf(0.975, degrees), rel_tol=1e-9)


def test_generated_journals_have_distinct_varied_records() -> None:
    """The generator of these tests and of the benchmark yields distinct records of two outcomes."""
    made = list(records(1000))
    assert len({record.identity.key for record in made}) == 1000
    assert {record.outcome for record in made} == {Outcome.OK, Outcome.PROVIDER_ERROR}
    assert header(1000).planned_requests == 1000

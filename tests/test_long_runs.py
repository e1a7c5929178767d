"""Long runs: what reads and writes them holds little of them in memory."""

import gc
import math
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.analysis import frame, permutation
from runner.analysis.columns import COLUMNS, Cell, Kind, ResultColumn
from runner.analysis.intervals import t_quantile
from runner.analysis.run import Run
from runner.core.events import Outcome
from runner.core.record import Record
from runner.errors import JournalError
from runner.outputs import STREAM_WRITERS, WRITERS, find_writer
from runner.outputs.report import sampling
from runner.outputs.report.document import write_report
from runner.outputs.text.excerpt import excerpt, excerpt_of
from runner.storage import journal
from runner.storage.run_folder import write_atomically
from tests.benchmarks.scale import CASES, header, records, write_journal

FEW, MANY = 500, 1_500

KIND_CELLS: dict[Kind, st.SearchStrategy[Cell]] = {
    Kind.TEXT: st.none() | st.text(max_size=3),
    Kind.COUNT: st.none() | st.integers(-(2**63), 2**63 - 1),
    Kind.NUMBER: st.none() | st.floats(allow_nan=False),
    Kind.TRUTH: st.none() | st.booleans(),
}


@dataclass(slots=True)
class Counted:
    """A source of records that counts how many were read off it."""

    kept: tuple[Record, ...]
    read: int = 0

    @property
    def records(self) -> Iterator[Record]:
        """Every record."""
        return self.records_at(range(len(self.kept)))

    def records_at(self, places: object) -> Iterator[Record]:
        """Those at these places."""
        for place, record in enumerate(self.kept):
            if place in places:  # type: ignore[operator]
                self.read += 1
                yield record


def counted_run(size: int) -> tuple[Run, Counted]:
    """Return a run and its source, of which nothing counts as read yet."""
    source = Counted(tuple(records(size)))
    run = replace(Run.of(header(size), source.kept), source=source)
    return run, source


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the most memory that some work had in use at once."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -- Memory ------------------------------------------------------------------------------------------------------------


def write_everything(folder: Path) -> None:
    """Do what ends a run: read its journal, sum it up, write its files."""
    run = Run.of_journal(journal.read(folder))
    for suffix in (".csv", ".md", ".html", ".json", ".jsonl"):
        write_atomically(folder / f"results{suffix}", find_writer(suffix)(run))


def test_each_further_request_takes_little_memory_until_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is 700 bytes of JSON and 5 KiB of objects; all outputs together hold less than 1.5 KiB of it."""
    monkeypatch.setattr(frame, "SEGMENT", 512)
    monkeypatch.setattr(frame, "BATCH", 64)
    monkeypatch.setattr(sampling, "MAX_REPLIES", 100)  # as many on both pages
    monkeypatch.setattr(permutation, "_CHUNK", 10_000)  # as large for both runs
    for size in (FEW, MANY):
        write_journal(tmp_path / str(size), size)
    write_everything(tmp_path / str(FEW))  # what is loaded once is no matter of size
    peaks = [peak_bytes(partial(write_everything, tmp_path / str(size))) for size in (FEW, MANY)]
    assert (peaks[1] - peaks[0]) / (MANY - FEW) < 1500


def test_a_table_takes_no_more_memory_while_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are not held as objects, of which each takes ten times as much, nor is the table there twice."""
    monkeypatch.setattr(frame, "SEGMENT", 512)
    monkeypatch.setattr(frame, "BATCH", 64)

    def tabulate(size: int) -> pd.DataFrame:
        return frame.frame(header(size), records(size), frame.FIGURE_COLUMNS)

    finished = tabulate(MANY).memory_usage().sum() - tabulate(FEW).memory_usage().sum()
    peaks = [peak_bytes(partial(tabulate, size)) for size in (FEW, MANY)]
    assert peaks[1] - peaks[0] < 1.7 * finished


def test_texts_that_rows_share_are_held_once() -> None:
    """A table has one object for each prompt, model and outcome, however many rows have it."""
    run = Run.of(header(100), records(100))
    for name in ("case", "model", "prompt", "outcome", "error"):
        held = run.table[name].dropna()
        assert len({id(text) for text in held}) == held.nunique()


def test_pieces_are_written_as_they_come(tmp_path: Path) -> None:
    """A file of 64 MB is written in less than one of memory; a piece that fails leaves nothing behind."""
    path = tmp_path / "rows.csv"
    assert peak_bytes(lambda: write_atomically(path, ("x" * 1000 for _ in range(64_000)))) < 1_000_000
    assert path.stat().st_size == 64_000_000
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, iter(["fine", "half \ud83d"]))
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]
    assert path.stat().st_size == 64_000_000


# -- What is read, and when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", STREAM_WRITERS)
def test_a_writer_reads_a_record_when_its_piece_is_wanted(suffix: str) -> None:
    """Three pieces need no more than three records; all pieces together are the whole text."""
    run, source = counted_run(50)
    pieces = STREAM_WRITERS[suffix](run)
    first = [next(pieces) for _ in range(3)]
    assert 0 < source.read <= 3
    assert "".join([*first, *pieces]) == WRITERS[suffix](run)


def test_only_replies_that_are_shown_are_read() -> None:
    """An excerpt reads one reply a target of each case it shows; a page reads what it has room for."""
    run, source = counted_run(5000)
    taken = excerpt_of(run, max_cases=2)
    assert (source.read, len(taken.rows), taken.left_out) == (4, 2, len(CASES) - 2)
    assert taken == excerpt(run.grid, max_cases=2)
    pictures = 2 * len(source.kept)
    source.read = 0
    write_report([run])
    assert source.read <= pictures + 2000 + len(run.summary)


def test_records_are_found_by_their_place(tmp_path: Path) -> None:
    """Those that were not chosen are not even decoded: a damaged one among them harms nobody."""
    with journal.JournalWriter(tmp_path) as writer:
        writer.append_header(header(3))
        first, second = records(2)
        writer.append_record(first)
        writer.append({"kind": "record", "key": "damaged"})
        writer.append_record(second)
    log = journal.read(tmp_path)
    assert list(log.records_at({0, 2})) == [first, second]
    assert list(log.records_at(frozenset())) == []
    with pytest.raises(JournalError, match="damaged"):
        list(log.records_at({1}))


def test_a_journal_that_is_being_written_reads_the_same_each_time(tmp_path: Path) -> None:
    """Table, rows and pictures are made in passes of their own: all see what was there when it was opened."""
    write_journal(tmp_path, 10)
    run = Run.of_journal(journal.read(tmp_path))
    with journal.JournalWriter(tmp_path) as writer:
        for record in records(5):
            writer.append_record(record)
    assert [len(run.table), len(list(run.rows)), len(list(run.records)), len(run.frame)] == [10] * 4
    assert len(Run.of_journal(journal.read(tmp_path)).table) == 15


# -- The same as ever --------------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_table_and_more() -> None:
    """What is streamed, what is fetched and what is tabulated agree, cell by cell."""
    run = Run.of(header(60), records(60))
    rows = list(run.rows)
    assert rows == list(frame.rows_of(run.frame))
    assert run.rows_at([7, 3]) == {3: rows[3], 7: rows[7]}
    pd.testing.assert_frame_equal(run.table, run.frame[list(run.table.columns)])
    assert {*run.frame.columns} - {*run.table.columns} > frame.UNIQUE_TEXTS


def test_a_part_of_a_run_is_a_run_of_its_own(tmp_path: Path) -> None:
    """Table, rows and places are those of the requests that were chosen."""
    write_journal(tmp_path, 60)
    run = Run.of_journal(journal.read(tmp_path))
    part = run.only(lambda asked: asked.identity.model == "quick" and asked.identity.block > 2)
    assert [len(part.table), part.ended, part.header] == [20, True, run.header]
    assert part.rows_at([1]) == {1: list(part.rows)[1]}
    assert [each.n for each in part.summary] == [20, 0]


@given(st.lists(st.tuples(*KIND_CELLS.values()), max_size=12))
def test_columns_grow_across_segments(rows: list[tuple[Cell, ...]]) -> None:
    """Wherever one stretch of a column ends, every cell comes out as pandas itself would have it."""
    columns = [ResultColumn(kind.value, kind, lambda *_: None) for kind in KIND_CELLS]
    as_found = pd.DataFrame(rows, columns=pd.Index(KIND_CELLS), dtype=object)
    expected = as_found.astype(dict(zip(KIND_CELLS, (frame.TEXT, "Int64", "float64", "boolean"), strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame, "SEGMENT", 3)
        patch.setattr(frame, "BATCH", 4)
        made = frame.frame_of((dict(zip(KIND_CELLS, row, strict=True)) for row in rows), columns)
    pd.testing.assert_frame_equal(made, expected)


def test_every_kind_of_column_can_be_gathered() -> None:
    """No column is of a kind that the property above leaves out."""
    assert {column.kind for column in COLUMNS} == {*KIND_CELLS}


@pytest.mark.parametrize("degrees", [999, 1000, 1001, 20_000, 10_000_000])
def test_students_t_needs_no_more_work_for_more_degrees(degrees: int) -> None:
    """A run of ten million blocks has its quantile at once, and the right one."""
    assert math.isclose(t_quantile(0.975, degrees), stats.t.ppf(0.975, degrees), rel_tol=1e-9)


def test_made_up_journals_are_as_long_as_they_should_be() -> None:
    """The generator that these tests and the benchmark rest on makes real, varied records."""
    made = list(records(1000))
    assert len({record.identity.key for record in made}) == 1000
    assert {record.outcome for record in made} == {Outcome.OK, Outcome.PROVIDER_ERROR}
    assert header(1000).planned_requests == 1000

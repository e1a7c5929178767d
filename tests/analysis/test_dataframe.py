"""Parts of a run's table: flags, rows and columns that are selected, cells, and cached results."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.dataframe import (
    TEXT,
    has_none_of,
    plain_cells,
    positions_by_target,
    take_cells,
    targets_of,
    without_warmups,
)
from runner.analysis.run_results import Run, cache_latest
from tests.support.crafted_runs import BASE, NEW, jittered, run_of

words = st.sampled_from(["warmup", "warmups", "filling", "cached", "\ud800"])
flags = st.lists(st.none() | st.lists(words, min_size=1, max_size=3).map(";".join), max_size=8)


@given(flags)
def test_a_row_lacks_a_flag_that_is_not_one_of_its_words(cells: list[str | None]) -> None:
    """A flag is a whole word of the cell; a row without flags has none, for any index of the table."""
    table = pd.DataFrame({"flags": pd.Series(cells, dtype=TEXT)}).set_axis(range(7, 7 + len(cells)))
    expected = [cell is None or "warmup" not in cell.split(";") for cell in cells]
    assert has_none_of(table, "warmup").tolist() == expected
    assert without_warmups(table).index.tolist() == [7 + at for at, kept in enumerate(expected) if kept]


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        (pd.Series(["a", None, "\ud800"], dtype=TEXT), ["a", None, "\ud800"]),
        (pd.Series([1.5, np.nan, -0.0]), [1.5, None, -0.0]),
        (pd.Series([1, None, 3], dtype="Int64"), [1, None, 3]),
        (pd.Series([True, None, False], dtype="boolean"), [True, None, False]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series(["a", None, np.nan, pd.NA], dtype=object), ["a", None, None, None]),
        (pd.Series(["a", None], dtype="category"), ["a", None]),
        (pd.Series([pd.Timestamp("2026-01-01"), pd.NaT]), [pd.Timestamp("2026-01-01"), None]),
        (pd.Series([], dtype=float), []),
    ],
    ids=lambda each: str(each.dtype) if isinstance(each, pd.Series) else "",
)
def test_cells_are_plain_values_whatever_their_column_is(column: "pd.Series[float]", cells: list[object]) -> None:
    """None stands for an absent cell, and every number is Python's."""
    found = plain_cells(column)
    assert found == cells
    assert list(map(type, found)) == list(map(type, cells))


def test_picked_rows_are_those_that_pandas_takes() -> None:
    """They have the same labels, types and order."""
    table = run_of([*jittered(BASE, 3), *jittered(NEW, 3)]).table
    columns = ["outcome", "ttft_s", "block", "flags"]
    positions = np.array([4, 0, 2])
    pd.testing.assert_frame_equal(
        take_cells(table, positions, columns), table.iloc[positions][columns], check_column_type=False
    )


def test_positions_are_those_of_each_target() -> None:
    """Every row belongs to one target."""
    table = run_of([*jittered(BASE, 3), *jittered(NEW, 4)]).table
    table = table.set_axis(range(50, 50 + len(table)))
    found = {str(target): [*rows] for target, rows in positions_by_target(table).items()}
    of_row = targets_of(table).map(str).tolist()
    assert found == {name: [at for at, each in enumerate(of_row) if each == name] for name in (BASE, NEW)}


def test_the_latest_result_of_a_run_is_kept_while_the_run_is_there() -> None:
    """Other arguments are computed again, other runs have their own results, and no result keeps a run in memory."""
    asked = []

    @cache_latest
    def read(run: Run, column: str) -> list[str]:
        asked.append(column)
        return [column, run.header.run_id]

    one, two = (run_of(jittered(BASE, 2)) for _ in range(2))
    assert read(one, "a") is read(one, "a")
    assert read(two, "a") is not read(one, "a")
    assert asked == ["a", "a"]
    assert read(one, "b") == ["b", "base"]
    assert read(one, "a") == ["a", "base"]
    assert asked == ["a", "a", "b", "a"]
    gone = weakref.ref(two)
    del two
    gc.collect()
    assert gone() is None

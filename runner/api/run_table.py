"""The table of a run: `load` reads it, others find the run it belongs to; and columns that several tables share."""

from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from runner.analysis.dataframe import rows_of
from runner.analysis.intervals import Interval
from runner.analysis.run_results import Run
from runner.analysis.win_rates import WinRate, WinRates
from runner.api.keywords import refuse_unknown_keywords
from runner.commands.load_stored_run import load_run
from runner.core.record import Record
from runner.errors import CompareError, JournalError
from runner.outputs import csv
from runner.storage.find_run import find_run

RunName = str | PathLike[str]

IDENTITY = ["provider", "model", "variant", "case", "turn", "repeat", "block"]
"""Columns that identify a request of a run; together with `node` if each of several nodes sent every request."""


@refuse_unknown_keywords
def load(run: RunName) -> pd.DataFrame:
    """Return an earlier run as the table that `run` returned.

    Args:
        run: a run's folder, its id in results/, `latest`, or a results.csv; the table of a CSV file has no metadata.

    Returns:
        A row for each request; every column is defined in docs/metrics.md. Times are in seconds.

    Raises:
        JournalError: there is no such run, or its files are damaged.

    """
    place = read_run_name(run)
    if place.suffix == ".csv" and not place.is_dir():
        return csv.load(place)
    folder = find_run(place)
    return tabulate(load_run(folder), folder)


def read_run_name(run: object) -> Path:
    """Return the path that names a run.

    Raises:
        CompareError: the value is neither a text nor a path.

    """
    if not isinstance(run, str | PathLike):
        raise CompareError(f"{run!r} names no run: give its folder, its id in results/ or 'latest'")
    return Path(run)


def tabulate(run: Run, folder: Path, notes: Sequence[str] = ()) -> pd.DataFrame:
    """Return a run's table; its `attrs` hold the journal's header, the folder, and how the run ended."""
    frame = run.frame
    frame.attrs = {
        **_to_lists(asdict(run.header)),
        "folder": str(folder.absolute()),
        "ended": run.ended,
        "stop_reason": run.stop_reason,
        "notes": [*notes, *([run.left_out] if run.left_out else [])],
    }
    return frame


def _to_lists(value: Any) -> Any:
    """Return data with lists in place of tuples, as in JSON, since pandas compares and stores `attrs`."""
    if isinstance(value, dict):
        return {key: _to_lists(item) for key, item in value.items()}
    return [_to_lists(item) for item in value] if isinstance(value, list | tuple) else value


def run_of(table: pd.DataFrame | RunName) -> Run:
    """Return the run that a name or a table stands for; for a table, only the requests that are rows of it.

    Raises:
        CompareError: there is no such run, or the table does not say which run it is of.

    """
    if not isinstance(table, pd.DataFrame):
        return load_run(read_run_name(table))
    run = _whole_run_of(table)
    names = [*IDENTITY, *(["node"] if run.header.vantages else [])]
    refuse_missing(names, table)
    kept = {tuple(row.values()) for row in rows_of(table[names])}
    return run.only(lambda record: _identity_of(record, names) in kept)


def _identity_of(record: Record, names: Sequence[str]) -> tuple[object, ...]:
    return tuple(record.node if name == "node" else getattr(record.identity, name) for name in names)


def refuse_missing(names: Sequence[str], table: pd.DataFrame) -> None:
    """Raise CompareError if a table lacks one of the columns, and so is not one of results."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise CompareError(f"this is not a table of results: it has no column {missing[0]}; give what run() returned")


def _whole_run_of(table: pd.DataFrame) -> Run:
    refuse_missing(("run_id", *IDENTITY), table)
    runs = table["run_id"].dropna().unique().tolist()
    if len(runs) != 1:
        raise CompareError(f"the table has rows of {len(runs)} runs; give the rows of one")
    try:
        return load_run(Path(table.attrs.get("folder", runs[0])))
    except JournalError as error:
        raise CompareError(f"the table is of run {runs[0]}, whose folder is not there any more: {error}") from None


def target_rate_rows(rates: WinRates) -> list[dict[str, object]]:
    """Return a row for each target, the highest win rate first: its win rate and its strength, with intervals."""
    return [
        {
            **_rate_columns(rate),
            "strength": strength.value,
            **interval_columns(strength.interval, "strength_"),
            "scale": strength.scale,
        }
        for rate, strength in zip(rates.targets, rates.strengths, strict=True)
    ]


def pair_rate_table(rates: WinRates) -> pd.DataFrame:
    """Return a row for each pair of targets, with the win rate of `target` against the other one."""
    return pd.DataFrame([{**_rate_columns(rate), "against": rate.against} for rate in rates.pairs]).convert_dtypes()


def _rate_columns(rate: WinRate) -> dict[str, object]:
    """Return a target's win rate as columns of a table: the rate, its 95 % interval, and the counts behind it."""
    return {
        "target": rate.target,
        "win_rate": rate.value,
        **interval_columns(rate.interval),
        "won": rate.wins,
        "tied": rate.ties,
        "lost": rate.losses,
        "n": rate.n,
        "cases": rate.cases,
    }


def interval_columns(interval: Interval | None, prefix: str = "") -> dict[str, float | None]:
    """Return the ends of an interval as two columns; both are None if there is no interval."""
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return dict(zip((f"{prefix}low", f"{prefix}high"), ends, strict=True))

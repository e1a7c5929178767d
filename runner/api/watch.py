"""`watch`: repeat a run at a fixed interval, and yield the table of each run."""

import warnings
from collections.abc import Iterator
from os import PathLike
from typing import Unpack

import pandas as pd

from runner.api.keywords import RUN_OPTIONS, RunKeywords, refuse_unknown
from runner.api.options import read_options, read_value, read_values
from runner.api.run_in_thread import perform_watched
from runner.api.run_table import tabulate
from runner.commands.run.prepare import prepare_file
from runner.commands.watch import WatchedRun, WatchTimes
from runner.commands.watch import watch as watch_suite


def watch(
    suite: str | PathLike[str], every: float, *, until: float | None = None, **options: Unpack[RunKeywords]
) -> Iterator[pd.DataFrame]:
    """Run a suite at once, then every `every` seconds; yield the table of each run when it has ended.

        for table in watch("prompts/basic.yaml", every=3600, until=86400, budget="5USD"):
            print(summary(table)["ttft_p50_s"])

    No run starts while the caller works on a table: the next run starts at the first due moment after that. A table's
    `attrs["missed"]` is the number of runs missed before it; a warning gives the number missed at the end, after the
    last table. The budget is for all runs together. If a later run cannot be started, a warning says so, and the next
    one is tried.

    Args:
        suite: a suite file.
        every: seconds between the starts of two runs.
        until: seconds after the first start from which no further run starts; None for no end.
        **options: options of `run`.

    Raises:
        CompareError: at the call, an option is wrong; at the first table or later, the suite is wrong, the first run
            cannot be started, or another process watches the suite.

    """
    refuse_unknown(options, ("suite", "every", "until", *RUN_OPTIONS), "watch")
    place = read_value("suite", suite)
    given = read_values({"until": until})
    times = WatchTimes(read_value("every", every), given.get("until"))
    runs = watch_suite(place, read_options(options), lambda each: prepare_file(place, each), perform_watched, times)
    return _tables(runs)


def _tables(runs: Iterator[WatchedRun]) -> Iterator[pd.DataFrame]:
    for watched in runs:
        if watched.finished is not None:
            table = tabulate(watched.finished.run, watched.finished.folder)
            table.attrs["missed"] = watched.due.missed
            yield table
        else:
            what = watched.missed if watched.problem is None else f"no run: {watched.problem}"
            warnings.warn(str(what), stacklevel=2)

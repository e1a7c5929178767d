"""`compare history`: follow the targets of a folder's runs over time."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from runner.analysis.diff_measures import FAILURES, SLO_MET, SLOW_REQUESTS, Measure, choose_measures
from runner.analysis.history import RunSeries, make_series
from runner.commands.run.options import spell_option
from runner.commands.runs import Observe, RunList, RunSelection, list_stored_runs
from runner.errors import CompareError, ErrorCollector, Spelling
from runner.storage.atomic_write import write_atomically, write_each
from runner.storage.run_folder import REPORT, RESULTS, check_outputs

DEFAULT_MEASURES = ("ttft", "total")


def follow_targets(
    parent: Path = RESULTS,
    selection: RunSelection | None = None,
    metrics: tuple[str, ...] = (),
    observe: Observe | None = None,
    *,
    outputs: Sequence[Path] = (),
    spell: Spelling = spell_option,
) -> tuple[tuple[RunSeries, ...], RunList]:
    """Return a series for each suite, target and measure, and the runs in them.

    Args:
        parent: the folder that holds the runs' folders.
        selection: filter on the runs.
        metrics: names of the measures; empty for TTFT and total time.
        observe: called as summaries are derived; see `list_stored_runs`.
        outputs: files that the series will be written to.
        spell: returns an option as the user writes it.

    Raises:
        CompareError: there is no such folder; or measures are unknown or have no level, or outputs cannot be written,
            all of which the message names.

    """
    errors = ErrorCollector()
    measures = errors.attempt(_choose, metrics)
    errors.attempt(check_outputs, outputs, HISTORY_WRITERS, spell=lambda path: spell("outputs", str(path)))
    errors.raise_collected()
    assert measures is not None
    found = list_stored_runs(parent, selection, observe=observe)
    return make_series(found.runs, measures), found


WITHOUT_LEVEL = (FAILURES, SLO_MET, SLOW_REQUESTS)
"""Shares, which have no level to follow."""


def write_history(series: Sequence[RunSeries], outputs: Sequence[Path], language: str | None = None) -> None:
    """Write series to files, each in the format of its suffix: a page or JSON.

    Args:
        series: at least one.
        outputs: the files to write; a page links to the report of each run that has one.
        language: language of a page; see `render_html.write_history`.

    """
    write_each(
        outputs, lambda path: write_atomically(path, HISTORY_WRITERS[path.suffix.lower()](series, path, language))
    )


def _write_page(series: Sequence[RunSeries], path: Path, language: str | None) -> str:
    from runner.outputs.report.render_html import write_history as write  # brings Jinja

    return write(series, _addresses(series, path.absolute().parent), language)


def _write_json(series: Sequence[RunSeries], _path: Path, _language: str | None) -> str:
    from runner.outputs.history import write_json

    return write_json(series) + "\n"


HISTORY_WRITERS: Mapping[str, Callable[[Sequence[RunSeries], Path, str | None], str]] = MappingProxyType(
    {".html": _write_page, ".json": _write_json}
)


def _addresses(series: Sequence[RunSeries], parent: Path) -> dict[str, str]:
    """Return run id -> URL of the run's page relative to a folder, for runs that have a page."""
    folders = {point.run.summary.run_id: point.run.folder for each in series for point in each.points}
    pages = {run_id: folder.absolute() / REPORT for run_id, folder in folders.items() if (folder / REPORT).is_file()}
    found = {}
    for run_id, page in pages.items():
        with suppress(ValueError):  # on another drive
            found[run_id] = quote(Path(os.path.relpath(page, parent)).as_posix())
    return found


def _choose(metrics: tuple[str, ...]) -> tuple[Measure, ...]:
    measures = choose_measures(metrics or DEFAULT_MEASURES)
    shares = [each.name for each in measures if each in WITHOUT_LEVEL]
    if shares:
        raise CompareError(
            f"{' and '.join(shares)}: a share has no level to follow. Follow passes, or a duration such as ttft; "
            "`compare report` shows the shares of a run"
        )
    return measures

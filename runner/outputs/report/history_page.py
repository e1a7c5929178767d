"""The history of targets on a page: for each suite a table, the changes, charts over time, and the runs with links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from runner.analysis.history import RunSeries
from runner.outputs.charts.chart import Canvas, PageChart, draw_for_page
from runner.outputs.charts.history import MIN_HOURS, DrawnSeries, draw_history, draw_runs_by_hour
from runner.outputs.text.diff_cells import format_level
from runner.outputs.text.history import describe_change, describe_left_out, describe_place
from runner.outputs.text.number_format import MISSING, interval_ends
from runner.outputs.text.translation import _, plural
from runner.storage.stored_summary import StoredRun

MAX_LISTED_RUNS = 500
"""Runs in the list of a suite, the newest; the charts have all."""


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One measure of one target: its row in the table."""

    target: str
    measure: str
    runs: str
    last: str
    usual: str
    place: str


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One run in the list: when it began, its id, its requests, and where its page is, if there is one."""

    started: str
    run_id: str
    n: str
    failed: str
    href: str | None


@dataclass(frozen=True, slots=True)
class SuiteHistory:
    """The history of one version of a suite, ready for a template."""

    suite: str
    digest: str
    lines: tuple[SeriesLine, ...]
    changes: tuple[tuple[str, str | None], ...]
    """Sentences on changes, each with where the page of its first run is."""
    notes: tuple[str, ...]
    charts: tuple[PageChart, ...]
    """Charts over time."""
    hours: tuple[PageChart, ...]
    """Charts by the hour of the day."""
    runs: tuple[ListedRun, ...]
    more: str | None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """The whole page."""

    title: str
    span: str
    simulated: bool
    suites: tuple[SuiteHistory, ...]


def compose_history(series: Sequence[RunSeries], hrefs: Mapping[str, str]) -> HistoryPage:
    """Return the page of one or more series.

    Args:
        series: those of one suite are neighbours.
        hrefs: id of a run -> the address of its page, relative to this one.

    """
    runs = {point.run.summary.run_id: point.run for each in series for point in each.points}
    started = sorted(run.started_at for run in runs.values())
    groups = groupby(series, key=lambda each: (each.suite, each.digest))
    return HistoryPage(
        title=plural(len(runs), "History of {n} run", "History of {n} runs"),
        span=_("{first} to {last}", first=f"{started[0]:%Y-%m-%d %H:%M}", last=f"{started[-1]:%Y-%m-%d %H:%M %Z}"),
        simulated=any(run.summary.simulated for run in runs.values()),
        suites=tuple(_compose_suite(at, list(members), hrefs) for at, (_key, members) in enumerate(groups)),
    )


def _compose_suite(number: int, series: list[RunSeries], hrefs: Mapping[str, str]) -> SuiteHistory:
    places = {target: at for at, target in enumerate(dict.fromkeys(each.target for each in series))}
    drawn = [_draw(f"suite-{number}-{at}", each, places[each.target]) for at, each in enumerate(series)]
    charts, hours = zip(*drawn, strict=True)
    runs = sorted(
        {point.run.summary.run_id: point.run for each in series for point in each.points}.values(),
        key=lambda run: run.started_at,
        reverse=True,
    )
    notes = [*filter(None, map(describe_left_out, series))]
    if None in hours:
        notes.append(_("Hours of the day are drawn where runs began at {least} or more.", least=MIN_HOURS))
    more = len(runs) - MAX_LISTED_RUNS
    return SuiteHistory(
        suite=series[0].suite,
        digest=series[0].digest[:12],
        lines=tuple(map(_line, series)),
        changes=tuple(
            (describe_change(each, change), hrefs.get(each.points[change.at].run.summary.run_id))
            for each in series
            for change in each.changes
        ),
        notes=tuple(notes),
        charts=tuple(filter(None, charts)),
        hours=tuple(filter(None, hours)),
        runs=tuple(_listed(run, hrefs) for run in runs[:MAX_LISTED_RUNS]),
        more=plural(more, "{n} earlier run is not listed.", "{n} earlier runs are not listed.") if more > 0 else None,
    )


def _draw(prefix: str, series: RunSeries, place: int) -> tuple[PageChart | None, PageChart | None]:
    """Return the chart over time, and that of the hours if there is one."""
    drawn = DrawnSeries(series)
    over_time = draw_for_page(partial(draw_history, drawn, place), Canvas(f"{prefix}-time"))
    return over_time, draw_for_page(partial(draw_runs_by_hour, drawn, place), Canvas(f"{prefix}-hours"))


def _line(series: RunSeries) -> SeriesLine:
    usual = series.usual_range
    as_text = partial(format_level, series.measure)
    return SeriesLine(
        target=series.target,
        measure=_(series.measure.label),
        runs=f"{len(series.points):,}",
        last=as_text(series.last.level),
        usual=interval_ends(usual, as_text) or MISSING,
        place=describe_place(series.last.level, usual),
    )


def _listed(run: StoredRun, hrefs: Mapping[str, str]) -> ListedRun:
    found = run.summary
    started = f"{run.started_at:%Y-%m-%d %H:%M}"
    return ListedRun(started, found.run_id, f"{found.n:,}", f"{found.failed:,}", hrefs.get(found.run_id))

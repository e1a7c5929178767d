"""Sentences on the history of a target, shared by the terminal and the page."""

from functools import partial

from runner.analysis.change_points import ChangePoint
from runner.analysis.diff_measures import Better, Measure
from runner.analysis.history import RunSeries
from runner.analysis.intervals import Interval
from runner.outputs.text.number_format import with_interval
from runner.outputs.text.translation import BilingualText, _, clauses, plural


def describe_place(level: float, usual: Interval | None) -> str:
    """Return `above` or `below` for a level outside its usual range; empty if it is inside or the range is unknown."""
    if usual is None or level in usual:
        return ""
    return _("above") if level > usual.high else _("below")


def describe_change(series: RunSeries, change: ChangePoint) -> BilingualText:
    """Return a sentence on a change of level: size, interval, time, p-value, and what else changed with it."""
    first = series.points[change.at].run
    return _(
        "{target}, {measure}: {size}{word} since {started} ({run}), p {p}, {before} before and {after} after; "
        "{company}",
        target=series.target,
        measure=_(series.measure.label),
        size=with_interval(format_size(change), change.interval, partial(_format_end, change)),
        word=_word(series.measure, is_rise=change.is_rise),
        started=f"{first.started_at:%Y-%m-%d %H:%M}",
        run=first.folder.name,
        p=f"{change.p:.2g}",
        before=plural(change.before, "{n} run", "{n} runs"),
        after=f"{change.after:,}",
        company=_describe_other_changes(series, change),
    )


def _describe_other_changes(series: RunSeries, change: ChangePoint) -> BilingualText:
    others = [
        _("{what}: {before} -> {after}", what=each.what, before=each.before, after=each.after)
        for each in series.differences(change)
    ]
    if not others:
        return _("no other recorded condition changed with it")
    return _("changed with it: {what}", what=clauses(others))


def format_size(change: ChangePoint) -> BilingualText:
    """Format the size of a change: `+25.0 %`, or `-12.5 points` for a share."""
    return _format_end(change, (change.difference or 0.0) if change.ratio is None else change.ratio)


def _format_end(change: ChangePoint, value: float) -> BilingualText:
    if change.ratio is not None:
        return _("{n} %", n=f"{100 * (value - 1):+.1f}")
    return _("{n} points", n=f"{100 * value:+.1f}")


def _word(measure: Measure, *, is_rise: bool) -> str:
    if measure.better is Better.NEITHER:
        return ""
    return _(" (worse)") if is_rise == (measure.better is Better.LOWER) else _(" (better)")


def describe_left_out(series: RunSeries) -> BilingualText | None:
    """Return a note on the number of runs left out of a series and the reasons; None if there are none."""
    if not series.left_out:
        return None
    return _(
        "note: {target}, {measure}: {runs} left out: unfinished, replayed, without this figure or in another "
        "currency, or with fewer questions than most",
        target=series.target,
        measure=_(series.measure.label),
        runs=plural(series.left_out, "{n} run", "{n} runs"),
    )

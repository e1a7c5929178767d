"""`side_by_side` and `pictures`: replies in columns and charts of a run; a console shows them as text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import count
from typing import overload

import pandas as pd

from runner.analysis.check_results import CheckedCell
from runner.api.keywords import refuse_unknown_keywords
from runner.api.run_table import IDENTITY, RunName, load, refuse_missing, run_of
from runner.errors import CompareError
from runner.outputs.charts.chart import Chart
from runner.outputs.charts.run_charts import draw_charts
from runner.outputs.side_by_side import SideBySidePage, compose_side_by_side, write_html, write_text

SHOWN = (*IDENTITY, "outcome", "prompt", "reply", "reasoning", "error")


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Replies to each question in columns, as HTML in a notebook and as text elsewhere."""

    page: SideBySidePage

    def __repr__(self) -> str:
        return write_text(self.page)

    def _repr_html_(self) -> str:
        return write_html(self.page)


@refuse_unknown_keywords
def side_by_side(table: pd.DataFrame | RunName) -> SideBySide:
    """Return a table's replies side by side, with a row for each case and turn and a column for each target.

    The first successful repeat of each case is shown, for at most 50 cases. Replies are rendered as Markdown without
    scripts, external resources and links. If the suite has checks, each case shows how many of its repeats passed, and
    each target its pass rate with n, both over the rows of the table.

    Args:
        table: what `run` or `load` returned, or some of its rows; or a run's folder, its id or `latest`.

    Raises:
        CompareError: there is no such run, or the table is not one of results.

    """
    if not isinstance(table, pd.DataFrame):
        table = load(table)
    refuse_missing(SHOWN, table)
    targets, cases = table.attrs.get("targets", ()), table.attrs.get("cases", ())
    checked, why_none = _checked_in(table)
    checks, idles = table.attrs.get("checks"), table.attrs.get("cache_probe", ())
    page = compose_side_by_side(table, targets, cases, checked, checks=checks, idles=idles)
    return SideBySide(page if why_none is None else replace(page, remarks=(*page.remarks, why_none)))


def _checked_in(table: pd.DataFrame) -> tuple[Sequence[CheckedCell], str | None]:
    """Return the check results of a table's rows, and a remark if they are not known."""
    if not any(expectations.get("checks") for expectations in table.attrs.get("checks", {}).values()):
        return (), None
    try:
        return run_of(table).checked, None
    except CompareError as error:
        return (), f"No pass rates: {error}."


@dataclass(frozen=True, slots=True)
class NotebookChart:
    """A chart; `picture` holds its `title`, `svg` and `caption`."""

    picture: Chart

    def __repr__(self) -> str:
        return f"{self.picture.title}. {self.picture.caption}"

    def _repr_html_(self) -> str:
        title = f"<strong>{escape(self.picture.title)}</strong>"
        caption = f'<figcaption style="font-size: 0.9em">{escape(self.picture.caption)}</figcaption>'
        return f'<figure style="margin: 1em 0; max-width: 50em">{title}{self.picture.svg}{caption}</figure>'

    def _repr_svg_(self) -> str:
        return self.picture.svg


class NotebookCharts(Sequence[NotebookChart]):
    """The charts of a run. A notebook draws all of them; an index returns one."""

    def __init__(self, charts: Sequence[NotebookChart]) -> None:
        self._charts = tuple(charts)

    def __len__(self) -> int:
        return len(self._charts)

    @overload
    def __getitem__(self, at: int) -> NotebookChart: ...

    @overload
    def __getitem__(self, at: slice) -> "NotebookCharts": ...

    def __getitem__(self, at: int | slice) -> "NotebookChart | NotebookCharts":
        return NotebookCharts(self._charts[at]) if isinstance(at, slice) else self._charts[at]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._charts))

    def _repr_html_(self) -> str:
        return "".join(chart._repr_html_() for chart in self._charts)


@refuse_unknown_keywords
def pictures(run: pd.DataFrame | RunName) -> NotebookCharts:
    """Return charts of a run: TTFT and total time of each request, distributions, phases, arrival of text, and more.

    Charts without data are left out. Each caption says how many of the requests are drawn.

    Args:
        run: what `run` or `load` returned, or some of its rows; or a run's folder, its id or `latest`.

    Raises:
        CompareError: there is no such run, or the table does not say which run it is of.

    """
    found = run_of(run)
    charts = draw_charts(found, f"{found.header.run_id}-{next(_ID_NUMBERS)}")
    return NotebookCharts([NotebookChart(chart) for chart in charts])


_ID_NUMBERS = count(1)
"""Numbers that make the ids of SVG elements unique in a notebook with several sets of charts."""

"""Two runs, or two targets of one, and what may be said of their difference; as a table, too."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from runner.analysis.diff import Difference, Finding, diff_runs, diff_within
from runner.analysis.verdict import Rule, Verdict
from runner.errors import CompareError
from runner.outputs.diff import html, markdown, phrases, text
from runner.python.tables import RunName, run_of


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference as a notebook shows it; `difference` holds everything, the replies that changed included."""

    difference: Difference

    @property
    def verdict(self) -> Verdict:
        """The worst of all rows: regressed, undecided, changed, improved or unchanged; it equals the plain text."""
        return self.difference.verdict

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each target and metric.

        base and new are typical values in `unit` (of a cost its currency), change is new to base as a ratio (of
        failures, a difference of shares), low and high its 95 % interval, p adjusted for all rows; n counts the blocks
        behind a row, of failures the requests. `why` tells what would decide an undecided row.
        """
        return pd.DataFrame([_row(finding, self.difference) for finding in self.difference.findings])

    def __repr__(self) -> str:
        return text.write(self.difference)

    def _repr_html_(self) -> str:
        return html.write(self.difference)

    def _repr_markdown_(self) -> str:
        return markdown.write(self.difference)


def diff(
    base: RunName | pd.DataFrame,
    new: RunName | pd.DataFrame | None = None,
    *,
    between: tuple[str, str] | None = None,
    metric: str | Sequence[str] = (),
    alpha: float = 0.01,
    min_effect: float = 0.10,
) -> Comparison:
    """Compare run `new` with run `base`; or, with `between`, the second of two targets of one run with the first.

        diff("results/monday", "latest").verdict
        diff(table, between=("deepseek/deepseek-flash", "zhipu/glm-5.3"))

    Args:
        base: a run's folder, its id, `latest`, a journal, or what `run` or `load` returned, perhaps part of its rows.
        new: another run.
        between: two targets of `base`, which is the stronger comparison: what drifted, drifted for both.
        metric: only these measures; fewer are easier to decide.
        alpha: level of the whole comparison, above 0 and below 0.5.
        min_effect: smallest change that matters, as a share.

    Raises:
        CompareError: there is no such run, or what was named has nothing in common.

    """
    rule = Rule(alpha=alpha, min_effect=min_effect, measures=(metric,) if isinstance(metric, str) else tuple(metric))
    if (new is None) == (between is None):
        raise CompareError("diff() takes two runs, or one run and between=(target, target)")
    if between is None:
        assert new is not None
        return Comparison(diff_runs(run_of(base), run_of(new), rule))
    if len(between) != 2:  # as a text is, too
        raise CompareError(f"between={between!r}: give two targets, such as ('sim/quick', 'sim/steady')")
    return Comparison(diff_within(run_of(base), *between, rule))


def _row(finding: Finding, difference: Difference) -> dict[str, object]:
    interval, doubt = finding.interval, phrases.describe_doubt(finding, difference)
    return {
        "target": finding.target,
        "metric": finding.measure.name,
        "unit": finding.currency or finding.measure.unit.value,
        "base": finding.base_level,
        "new": finding.new_level,
        "change": finding.change,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "p": finding.p,
        "n_base": finding.n[0],
        "n_new": finding.n[1],
        "units": finding.units,
        "verdict": finding.verdict.value,
        "why": None if doubt is None else doubt.partition(": ")[2],
    }

"""`diff`: compare two runs, or two targets or places of one run, also as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from runner.analysis.diff import Difference
from runner.analysis.diff_findings import DiffFinding
from runner.analysis.diff_verdict import Verdict
from runner.analysis.run_results import Run
from runner.api.keywords import refuse_unknown_keywords
from runner.api.options import read_values
from runner.api.run_table import RunName, interval_columns, read_run_name, run_of
from runner.commands.diff import DiffOptions, DiffSides
from runner.commands.diff import diff as compare
from runner.commands.run.options import spell_keyword
from runner.outputs.diff import html, markdown, terminal
from runner.outputs.text.diff_cells import name_verdict
from runner.outputs.text.undecided_reasons import describe_doubt


@dataclass(frozen=True, slots=True)
class TwoRuns:
    """A comparison as a notebook shows it; `difference` holds all of it, including the changed replies."""

    difference: Difference

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all rows: regressed, undecided, changed, improved or unchanged. It equals its text."""
        return self.difference.verdict

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each target and metric.

        - `base`, `new`: typical values in `unit`, which is the currency for a cost.
        - `change`: the ratio of new to base, for failures a difference of shares; `low` and `high` are its 95 %
          interval, and `p` is adjusted for all rows.
        - `n_base`, `n_new`: number of rounds behind a row; for failures of requests, for a history of runs.
        - `usual_low`, `usual_high`: for a history, the range in which further runs fall. `detectable`: the change that
          is found in 9 of 10 cases.
        - `why`: what would decide an undecided row.
        - `this_run...`: what this run shows by itself where it has too few rounds for a verdict: the ratio over all
          pairs of requests with its interval and p, and how many pairs changed in that direction. These columns are
          blank elsewhere, and no verdict uses them.
        """
        return pd.DataFrame([_row(finding, self.difference) for finding in self.difference.findings])

    def __repr__(self) -> str:
        return terminal.write_plain(self.difference)

    def _repr_html_(self) -> str:
        return html.write(self.difference)

    def _repr_markdown_(self) -> str:
        return markdown.write(self.difference)


@refuse_unknown_keywords
def diff(
    base: RunName | pd.DataFrame,
    new: RunName | pd.DataFrame | None = None,
    *,
    between: tuple[str, str] | None = None,
    between_regions: tuple[str, str] | None = None,
    metric: str | Sequence[str] = (),
    alpha: float = 0.01,
    min_effect: float | str = 0.10,
    min_pass_change: float | str = 0.05,
    slo: str | Mapping[str, float] | None = None,
) -> TwoRuns:
    """Compare run `new` with run `base`, or the second of two targets or places of one run with the first one.

        diff("results/monday", "latest").verdict
        diff(table, between=("deepseek/deepseek-flash", "zhipu/glm-5.3"))

    Args:
        base: a run's folder, its id, `latest`, a journal, or the table that `run` or `load` returned, or some of its
            rows; or `history`, the runs before the new one in results/, or `history:FOLDER` for another folder.
        new: another run.
        between: two targets of `base`. This comparison is stronger, since conditions were the same for both.
        between_regions: two regions or nodes that all of `base` was sent from (`compare run --vantage`); as strong.
        metric: measures to compare; all by default. With fewer measures a verdict needs fewer rounds.
        alpha: significance level of the whole comparison, above 0 and below 0.5.
        min_effect: smallest relative change that matters: a share up to 1, or text such as `"10%"` or `"150%"`.
        min_pass_change: smallest change of a pass rate that matters, as a difference of shares, or text such as `"5%"`.
        slo: durations to judge requests by, such as `"ttft=800ms"`, in place of the runs' own.

    Raises:
        CompareError: there is no such run, or the two sides have nothing in common.

    """
    rule = {"metric": metric, "alpha": alpha, "min_effect": min_effect, "min_pass_change": min_pass_change}
    sides = {"between": between, "between_regions": between_regions}
    given = read_values({**rule, **sides, "slo": slo}, required=rule)
    pairs = {name: given.pop(name) for name in sides if name in given}
    options = DiffOptions(
        DiffSides(_as_side(base), None if new is None else _as_side(new), **pairs),
        metrics=given.pop("metric"),
        spell=spell_keyword,
        **given,
    )
    return TwoRuns(compare(options))


def _as_side(run: RunName | pd.DataFrame) -> Run | Path:
    return run_of(run) if isinstance(run, pd.DataFrame) else read_run_name(run)


def _row(finding: DiffFinding, difference: Difference) -> dict[str, object]:
    claim = finding.this_run
    return {
        "target": finding.target,
        "metric": finding.measure.name,
        "unit": finding.currency or finding.measure.unit.value,
        "base": finding.base_level,
        "new": finding.new_level,
        "change": finding.change,
        **interval_columns(finding.interval),
        "p": finding.p,
        "n_base": finding.n[0],
        "n_new": finding.n[1],
        "units": finding.units,
        "verdict": name_verdict(finding, paired=difference.paired),
        "why": describe_doubt(finding, difference),
        **interval_columns(finding.usual, "usual_"),
        "detectable": finding.detectable,
        "this_run": None if claim is None else claim.change,
        **interval_columns(None if claim is None else claim.interval, "this_run_"),
        "this_run_p": None if claim is None else claim.p,
        "this_run_agreeing": None if claim is None else claim.agreeing,
        "this_run_pairs": None if claim is None else claim.pairs,
    }

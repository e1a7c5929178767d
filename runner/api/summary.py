"""`summary`: the figures of a run's targets as a table, the same as on the report page."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from runner.analysis.goodput import Goodput
from runner.analysis.intervals import Interval, Statistic
from runner.analysis.target_figures import TargetFigures, target_figures
from runner.api.keywords import refuse_unknown_keywords
from runner.api.options import read_options
from runner.api.run_table import RunName, interval_columns, run_of
from runner.core.answered_by import AnsweredByColumn
from runner.core.percentiles import name_percentile


@refuse_unknown_keywords
def summary(
    run: pd.DataFrame | RunName, *, by: AnsweredByColumn | None = None, slo: str | Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return a row for each target of a run, the fastest first, targets without a TTFT last.

        summary("latest")[["ttft_p50_s", "total_p95_s", "cost_per_1000", "pass_rate"]]
        summary("latest", by="served_by")

    Columns, NA where no request has a value or the sample is too small:

    - `n`: number of requests. `failed`: number of failed ones.
    - `ttft`, `ttfa` (first answer), `tool_call` (first tool call), `total`: median in seconds with its 95 % interval
      (`_p50_s`, `_p50_low_s`, `_p50_high_s`); for `ttft` and `total` also `_p95_s`.
    - `to_100_tokens_p50_s`: median time to the first 100 tokens. `to_100_tokens_n`: number of replies that long.
    - `slo_share`: with an SLO, the share of `slo_n` requests that met it, with its interval. `goodput_rps` and
      `goodput_tps`: requests that met it, and their output tokens, per second.
    - `output_tps_p50`, `output_tokens_p50`: medians of tokens per second and of output tokens.
    - `cost`: cost of `cost_n` requests. `cost_per_1000`: cost of 1,000 requests. Both are in `currency`, if there is
      only one currency.
    - `pass_rate`: share of `checked_n` decided repeats of `checked_cases` cases that passed, with its interval, in
      which the repeats of a case are one cluster. `undecided_n`: repeats on which the checks do not decide.

    Args:
        run: what `run` or `load` returned, or some of its rows; or a run's folder, its id or `latest`.
        by: a column that says who answered; each target then has a row for each of its values, `a/m by Together`.
        slo: durations to judge requests by, such as `"ttft=800ms,tpot=50ms"`, in place of the run's own.

    Raises:
        CompareError: there is no such run, the table does not say which run it is of, or `by` is no such column.

    """
    chosen = read_options({"by": by, "slo": slo})
    judged = run_of(run).with_slo(chosen.slo)
    found = judged if by is None else replace(judged, by=chosen.by).split_by_place
    rows = [_row(each) for each in target_figures(found)]
    table = pd.DataFrame(rows).set_index("target")
    return table.convert_dtypes().sort_values("ttft_p50_s", kind="stable", na_position="last")


def _row(figures: TargetFigures) -> dict[str, object]:
    found, cost = figures.summary, figures.costs[0] if len(figures.costs) == 1 else None
    equal, passed = figures.equal_length_p50, figures.passed
    return {
        "target": str(figures.target),
        "n": found.n,
        "failed": found.failed,
        **_median("ttft", found.ttft_p50),
        "ttft_p95_s": _percentile(found.ttft_percentiles),
        **_median("ttfa", found.ttfa_p50),
        **_median("tool_call", found.tool_call_p50),
        **_median("total", found.total_p50),
        "total_p95_s": _percentile(found.total_percentiles),
        "to_100_tokens_p50_s": _value(equal),
        "to_100_tokens_n": equal.n if equal else 0,
        **_goodput(found.goodput),
        "output_tps_p50": _value(found.output_tps_p50),
        "output_tokens_p50": figures.output_tokens_p50,
        "cost": None if cost is None else float(cost.spent.amount),
        "cost_n": cost.n if cost else 0,
        "cost_per_1000": None if cost is None else float(cost.spent.amount) * 1000 / cost.n,
        "currency": None if cost is None else cost.spent.currency,
        "pass_rate": None if passed is None else passed.share,
        **interval_columns(None if passed is None else passed.interval, "pass_rate_"),
        "checked_n": passed.n if passed else 0,
        "checked_cases": passed.cases if passed else 0,
        "undecided_n": passed.undecided if passed else 0,
    }


def _goodput(goodput: Goodput | None) -> dict[str, float | None]:
    return {
        "slo_share": goodput.share if goodput else None,
        **interval_columns(None if goodput is None else goodput.interval, "slo_share_"),
        "slo_n": goodput.n if goodput else 0,
        "goodput_rps": goodput.requests_per_s if goodput else None,
        "goodput_tps": goodput.output_tps if goodput else None,
    }


def _median(name: str, statistic: Statistic | None) -> dict[str, float | None]:
    interval: Interval | None = statistic.interval if statistic else None
    return {
        f"{name}_p50_s": _value(statistic),
        f"{name}_p50_low_s": None if interval is None else interval.low,
        f"{name}_p50_high_s": None if interval is None else interval.high,
    }


def _percentile(statistics: tuple[Statistic, ...]) -> float | None:
    """Return p95; None where the sample is too small for it, and the statistics hold the extreme instead."""
    return next((each.value for each in statistics if each.name == name_percentile(95)), None)


def _value(statistic: Statistic | None) -> float | None:
    return None if statistic is None else statistic.value

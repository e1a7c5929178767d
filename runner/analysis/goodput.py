"""Goodput: the share of requests that meet an SLO, and how many of them, and of their tokens, came per second.

A request that failed missed the SLO. One that was never tried, since the run was stopped or an earlier turn failed, and
one whose figures do not tell, are in no share; the latter are not counted as met, either.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.analysis.dataframe import is_timed, steady
from runner.analysis.intervals import FEWEST_UNITS, Interval
from runner.analysis.open_loop import in_flight_n, slow_spells
from runner.analysis.proportions import Proportion, batch_sizes, design_effect, wilson_interval
from runner.analysis.steady_state import rate_span
from runner.core.events import UNTRIED
from runner.core.slo import Slo

SLO_COLUMNS = ("outcome", "ttft_s", "tpot_s", "total_s", "chunks", "sent_s", "planned_s")
"""What decides whether a row met an SLO."""


@dataclass(frozen=True, slots=True)
class Goodput:
    """The share of `n` requests that met the SLO, and the rates of those that did; `n` is at least 1."""

    share: float
    n: int
    interval: Interval | None
    """The 95 % interval of the share; None where rounds and cases are too few for one."""
    requests_per_s: float | None = None
    output_tps: float | None = None
    """Output tokens of the requests that met the SLO; None unless all of these were counted."""
    in_flight_n: float | None = None
    """Of an open loop: how many independent readings of the number in flight there are; see `open_loop.py`."""


def mark_met(rows: pd.DataFrame, slo: Slo) -> "pd.Series[float]":
    """Return 1 for each row that met the SLO, 0 for one that missed it, NaN where neither is known."""
    timed = is_timed(rows)
    tried = ~rows["outcome"].isin([outcome.value for outcome in UNTRIED])
    met = np.where(tried, 0.0, np.nan)
    of_timed = rows[timed]
    waited = (of_timed["sent_s"] - of_timed["planned_s"]).fillna(0.0).clip(lower=0.0)
    columns = [_plain(of_timed[name]) for name in ("ttft_s", "tpot_s", "total_s", "chunks")]
    judged = [
        slo.is_met(ttft_s=ttft, tpot_s=tpot, total_s=total, chunks=chunks, waited_s=late)
        for ttft, tpot, total, chunks, late in zip(*columns, waited.tolist(), strict=True)
    ]
    met[timed.to_numpy()] = [np.nan if each is None else float(each) for each in judged]
    return pd.Series(met, index=rows.index)


def _plain(column: "pd.Series[float]") -> list[float | None]:
    return [None if np.isnan(value) else value for value in column.to_numpy(dtype=float, na_value=np.nan).tolist()]


def measure_goodput(rows: pd.DataFrame, slo: Slo, *, with_rates: bool = True) -> Goodput | None:
    """Return the goodput of one target's measured rows; None if of none it is known whether it met the SLO.

    Rates are of a level's steady state, where rows are flagged `filling`, else from the first request sent to the last
    data. Rows of several levels together have none.
    """
    met = mark_met(rows, slo)
    known = met[steady(rows).index].dropna()
    if known.empty:
        return None
    share, judged = Proportion(float(known.sum()), float(len(known))), rows.loc[known.index]
    is_open = bool(judged["planned_s"].notna().any())
    interval = share_interval(known, judged, slow_spells(judged, slo) if is_open else 1.0)
    per_s, tps = _rates(rows, met) if with_rates else (None, None)
    return Goodput(share.value, len(known), interval, per_s, tps, in_flight_n(judged) if is_open else None)


def share_interval(met: "pd.Series[float]", rows: pd.DataFrame, least_effect: float = 1.0) -> Interval | None:
    """Return the 95 % interval of a share, with rounds as clusters, or cases where there are fewer than six rounds.

    `least_effect` is the smallest design effect to use: that of slow requests, of which only few may have missed.
    """
    for clusters in (rows["block"].to_numpy(), pd.factorize(rows["case"].to_numpy(dtype=object))[0]):
        by_cluster = met.groupby(clusters).agg(["sum", "count"]).sort_index()
        if len(by_cluster) >= FEWEST_UNITS:
            counts = (by_cluster["sum"].to_numpy(dtype=float), by_cluster["count"].to_numpy(dtype=float))
            share = Proportion(float(counts[0].sum()), float(counts[1].sum()))
            effect = max(least_effect, design_effect(counts, batches=batch_sizes(len(by_cluster))))
            return Interval(*wilson_interval(share.divided(effect)))
    return None


def _rates(rows: pd.DataFrame, met: "pd.Series[float]") -> tuple[float | None, float | None]:
    """Return requests and output tokens per second of the rows that met the SLO."""
    span = rate_span(rows)
    if span is None:
        return None, None
    start, end = span
    ended = (rows["sent_s"] + rows["total_s"]).to_numpy(dtype=float, na_value=np.nan)
    within = (met == 1).to_numpy() & (ended > start) & (ended <= end)
    tokens = rows["output_tokens"].to_numpy(dtype=float, na_value=np.nan)[within]
    uncounted = bool(np.isnan(tokens).any())
    return int(within.sum()) / (end - start), None if uncounted else float(tokens.sum()) / (end - start)

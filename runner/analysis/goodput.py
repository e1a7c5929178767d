"""Goodput: the share of requests that meet an SLO, and the rates of these requests and of their tokens.

A failed request missed the SLO. Two kinds are left out of the share: requests that were never tried, because the run
was stopped or an earlier turn failed, and requests that lack a figure that the SLO needs. Neither counts as met.

Near its limit a server's queue rises and falls so slowly that thousands of requests of an open loop may see it short,
or still filling. They may all meet an SLO that half of all later ones miss, so misses alone do not show whether a run
was long enough. Two other readings do: the latency of each request, and the number in flight when it was due. Both
stay high for many consecutive requests while the queue is long. The share of readings above their median, or above
their upper quartile, has a design effect. The number of readings divided by it is that of independent readings.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.dataframe import is_timed, is_tried, plain_cells, steady_rows
from runner.analysis.intervals import MIN_UNITS, Interval
from runner.analysis.proportions import Proportion, batch_sizes, count_by_round, design_effect, wilson_interval
from runner.analysis.steady_state import end_within, rate_span, rates_of
from runner.core.slo import Slo

Floats = NDArray[np.float64]

SLO_COLUMNS = ("outcome", "ttft_s", "tpot_s", "total_s", "chunks", "sent_s", "planned_s")
"""Columns that decide whether a row met an SLO."""

HIGH = (0.5, 0.75)
"""Quantiles above which a reading is high; more spells exceed the first, and only those of a long queue the second."""


@dataclass(frozen=True, slots=True)
class Goodput:
    """Share of `n` requests that met the SLO, and the rates of those that did; `n` is at least 1."""

    share: float
    n: int
    interval: Interval | None
    """95 % confidence interval of the share; None with too few rounds and too few cases."""
    requests_per_s: float | None = None
    output_tps: float | None = None
    """Output tokens per second of the requests that met the SLO; None if the count of any is unknown."""
    in_flight_n: float | None = None
    """Number of independent readings of the number in flight, see `effective_readings`; None for a closed loop."""


def mark_met(rows: pd.DataFrame, slo: Slo) -> "pd.Series[float]":
    """Return 1 for each row that met the SLO, 0 for each that missed it, and NaN if unknown."""
    timed = is_timed(rows)
    met = np.where(is_tried(rows), 0.0, np.nan)
    of_timed = rows[timed]
    columns = [plain_cells(of_timed[name]) for name in ("ttft_s", "tpot_s", "total_s", "chunks")]
    judged = [
        slo.is_met(ttft_s=ttft, tpot_s=tpot, total_s=total, chunks=chunks, waited_s=wait_s)
        for ttft, tpot, total, chunks, wait_s in zip(*columns, _waits_s(of_timed).tolist(), strict=True)
    ]
    met[timed.to_numpy()] = [np.nan if each is None else float(each) for each in judged]
    return pd.Series(met, index=rows.index)


def _waits_s(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the time from when each request was due until it was sent; 0 if it had no planned time."""
    return (rows["sent_s"] - rows["planned_s"]).fillna(0.0).clip(lower=0.0)


def measure_goodput(rows: pd.DataFrame, slo: Slo, *, with_rates: bool = True) -> Goodput | None:
    """Return the goodput of one target's measured rows; None if it is unknown for every row whether it met the SLO.

    Rates cover the steady state of a level if rows are flagged `filling`, else the time from the first request sent to
    the last data. Use `with_rates=False` for rows of several levels.
    """
    met = mark_met(rows, slo)
    known = met[steady_rows(rows).index].dropna()
    if known.empty:
        return None
    share, judged = Proportion(float(known.sum()), float(len(known))), rows.loc[known.index]
    is_open = bool(judged["planned_s"].notna().any())
    interval = share_interval(known, judged, design_effect_of_slow_requests(judged, slo) if is_open else 1.0)
    per_s, tps = _rates(rows, met) if with_rates else (None, None)
    return Goodput(share.value, len(known), interval, per_s, tps, effective_readings(judged) if is_open else None)


def share_interval(met: "pd.Series[float]", rows: pd.DataFrame, least_effect: float = 1.0) -> Interval | None:
    """Return the 95 % interval of a share, with rounds as clusters, or cases if there are fewer than six rounds.

    `least_effect` is a lower limit of the design effect. For an open loop it is that of slow requests, because only a
    few may have missed. None with fewer than six rounds and fewer than six cases.
    """
    for clusters in (rows["block"].to_numpy(), pd.factorize(rows["case"].to_numpy(dtype=object))[0]):
        counts = count_by_round(met.to_numpy(), clusters)
        if len(counts[0]) >= MIN_UNITS:
            effect = max(least_effect, design_effect(counts, batches=batch_sizes(len(counts[0]))))
            return Interval(*wilson_interval(Proportion.of(counts).divided(effect)))
    return None


def _rates(rows: pd.DataFrame, met: "pd.Series[float]") -> tuple[float | None, float | None]:
    """Return requests and output tokens per second of the rows that met the SLO."""
    span = rate_span(rows)
    return (None, None) if span is None else rates_of(rows, (met == 1).to_numpy() & end_within(rows, span), span)


# Open loops


def design_effect_of_high_readings(readings: Floats) -> float:
    """Return the design effect, at least 1, of readings that are high for a while and then low.

    Args:
        readings: any unit, in the order of time; shape (readings,).

    """
    if not len(readings):
        return 1.0
    ones, sizes = np.ones(len(readings)), batch_sizes(len(readings))
    above = (readings > np.quantile(readings, share, method="lower") for share in HIGH)
    return max(design_effect((high.astype(float), ones), batches=sizes) for high in above)


def design_effect_of_slow_requests(rows: pd.DataFrame, slo: Slo) -> float:
    """Return the design effect of slow requests: the largest one over the durations that the SLO limits.

    A failed request counts as slow. Durations start when the request was due, as in the SLO.
    """
    arrived, _ = _spans(rows)
    in_order = rows.iloc[np.argsort(arrived, kind="stable")]
    waits_s = _waits_s(in_order)
    durations = (in_order[name] + (0.0 if name == "tpot_s" else waits_s) for name in slo.to_plain())
    known = (each.where(is_timed(in_order), np.inf).dropna() for each in durations)
    return max(design_effect_of_high_readings(each.to_numpy(dtype=float)) for each in known)


def effective_readings(rows: pd.DataFrame) -> float:
    """Return how many independent readings of the number in flight an open loop's requests are worth.

    There is a reading whenever a request is due; requests that wait to be sent count as in flight. Without a queue the
    result is about the number of requests divided by twice the mean number in flight.
    """
    arrived, ended = _spans(rows)
    return len(rows) / design_effect_of_high_readings(count_in_flight(np.sort(arrived), np.sort(ended)))


def count_in_flight(arrived: Floats, ended: Floats) -> Floats:
    """Return the number of requests in flight when each arrived, including itself; shape (requests,).

    Args:
        arrived: seconds, in ascending order; shape (requests,).
        ended: seconds, in ascending order; shape (requests,).

    """
    return np.arange(1.0, len(arrived) + 1) - np.searchsorted(ended, arrived, side="right")


def _spans(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return when each request was due, or sent if it had no planned time, and when it ended, in seconds.

    A request without an end counts as ended at once, because it is unknown how long the server worked on a failure.
    """
    arrived = rows["planned_s"].fillna(rows["sent_s"]).fillna(0.0)
    ended = (rows["sent_s"] + rows["total_s"]).fillna(arrived)
    return arrived.to_numpy(dtype=float), ended.to_numpy(dtype=float)

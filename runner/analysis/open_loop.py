"""How many independent readings the requests of an open loop give of a server's queue.

Near its limit a server's queue rises and falls so slowly that thousands of requests may see it short, or still filling.
None of them need miss an SLO that half of all later ones miss, so misses alone do not show whether a run was long
enough. Two more figures do: the latency of a request, whether or not it missed, and the number in flight when it was
due. Both are high for many requests in a row while the queue is long. The share of readings above the median of all, or
above their upper quartile, has a design effect, and the readings divided by it are the independent ones.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.dataframe import is_timed
from runner.analysis.proportions import batch_sizes, design_effect
from runner.core.slo import Slo

Floats = NDArray[np.float64]

HIGH = (0.5, 0.75)
"""The quantiles above which a reading is high: more spells are above the first, only those of a long queue above the
second."""


def spell_effect(readings: Floats) -> float:
    """Return the design effect of high readings, given in the order of time: 1 at least, 1 if there are none."""
    if not len(readings):
        return 1.0
    ones, sizes = np.ones(len(readings)), batch_sizes(len(readings))
    above = (readings > np.quantile(readings, share, method="lower") for share in HIGH)
    return max(design_effect((high.astype(float), ones), batches=sizes) for high in above)


def slow_spells(rows: pd.DataFrame, slo: Slo) -> float:
    """Return the design effect of slow requests: the largest of those by each duration that the SLO limits.

    A failed request is slow. Durations count from when the request was due, as the SLO does.
    """
    arrived, _ = _spans(rows)
    in_order = rows.iloc[np.argsort(arrived, kind="stable")]
    late = (in_order["sent_s"] - in_order["planned_s"]).fillna(0.0).clip(lower=0.0)
    durations = (in_order[name] + (0.0 if name == "tpot_s" else late) for name in slo.to_plain())
    known = (each.where(is_timed(in_order), np.inf).dropna() for each in durations)
    return max(spell_effect(each.to_numpy(dtype=float)) for each in known)


def in_flight_n(rows: pd.DataFrame) -> float:
    """Return how many independent readings of the number in flight the requests of an open loop give.

    Each request reads it when it is due; those that wait to be sent count. Without a queue it is about the number of
    requests divided by twice the mean in flight.
    """
    arrived, ended = _spans(rows)
    return len(rows) / spell_effect(count_in_flight(np.sort(arrived), np.sort(ended)))


def count_in_flight(arrived: Floats, ended: Floats) -> Floats:
    """Return how many requests were in flight when each arrived, itself among them; both are in ascending order."""
    return np.arange(1.0, len(arrived) + 1) - np.searchsorted(ended, arrived, side="right")


def _spans(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return when each request was due, or sent where it had no time of its own, and when it ended.

    One without an end counts as one that ended at once: how long the server worked on a failure is not known.
    """
    arrived = rows["planned_s"].fillna(rows["sent_s"]).fillna(0.0)
    ended = (rows["sent_s"] + rows["total_s"]).fillna(arrived)
    return arrived.to_numpy(dtype=float), ended.to_numpy(dtype=float)

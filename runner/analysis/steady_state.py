"""Which requests are left out of latencies: those before a steady state, and those that a cache probe repeated.

The first requests of a level, as many as the lane may have in flight, meet a server that is not yet under that load:
they arrive all at once, with nothing before them in its queue. From then on a request begins when another ends, and
meets as many others as the level says; where places open over a ramp, once the last of them is open. So those first
ones are flagged `filling` and left out of latencies. They stay in every table of rows, and in counts of outcomes.

A cache probe's cold requests are those that any run would send, so that targets are compared by them; those that it
sends again are flagged `repeated`.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.dataframe import FILLING, REPEATED, TEXT, measured, targets_of
from runner.core.load_profile import LoadProfile, level_of
from runner.storage.journal import Header


def has_steady_state(header: Header) -> bool:
    """Return whether a run is read in its steady state.

    It is a sweep, or a closed loop with a ramp, or one that a duration or a number of requests ended. Older runs, whose
    headers do not say how lanes kept together, emptied their lanes before each level, and are read as they were then.
    """
    load = LoadProfile.from_plain(header.load)
    is_closed_loop = load.rate is None and not load.adaptive
    return header.release is not None and is_closed_loop and bool(load.levels or load.is_bounded or load.ramp_s)


def mark_left_out(header: Header, table: pd.DataFrame) -> pd.DataFrame:
    """Return a run's table with these flags: on the first requests of each target and level, and on repeated ones."""
    counted = measured(table)
    if header.cache_probe:
        table = _with_flag(table, counted.index[counted["turn"] > 1].tolist(), REPEATED)
    if has_steady_state(header):
        filling = [position for group in _filling_positions(header, counted) for position in group]
        table = _with_flag(table, filling, FILLING)
    return table


def _with_flag(table: pd.DataFrame, positions: list[int], flag: str) -> pd.DataFrame:
    flags = table["flags"].astype(object)
    flags = flags.where(flags.notna(), None)
    flags.loc[positions] = [";".join(sorted({*(words or flag).split(";"), flag})) for words in flags.loc[positions]]
    return table.assign(flags=flags.astype(TEXT))


def _filling_positions(header: Header, counted: pd.DataFrame) -> Iterator[list[int]]:
    load = LoadProfile.from_plain(header.load)
    levels = load.levels
    level = [level_of(int(number), levels, header.repeat) for number in counted["block"]] if levels else 0
    groups = counted[["sent_s", "in_flight"]].assign(target=targets_of(counted).map(str), level=level)
    for _, group in groups.groupby(["target", "level"], sort=False):
        concurrency = int(group["level"].iloc[0])
        most = concurrency or int(group["in_flight"].fillna(0).max())
        yield group.index[first_sent(group["sent_s"].to_numpy(dtype=np.float64), most, load.ramp_s)].tolist()


def first_sent(sent: NDArray[np.float64], count: int, ramp_s: float | None = None) -> NDArray[np.intp]:
    """Return the indexes of the first requests sent, `count` or all that were sent within the ramp, if these are more.

    One that was never sent, NaN, is none of them.
    """
    order = np.argsort(sent, kind="stable")
    known = int(np.count_nonzero(~np.isnan(sent)))
    within = int(np.count_nonzero(sent < sent[order[0]] + ramp_s)) if ramp_s is not None and known else 0
    return order[: min(max(count, within), known)]


def steady_span(sent: NDArray[np.float64], ended: NDArray[np.float64], left_out: int) -> tuple[float, float] | None:
    """Return from when to when a level was in its steady state: its lane was full all that time; None if it never was.

    It lasts from the end of as many requests as were left out to the time when the last one was sent.
    """
    ends = np.sort(ended[~np.isnan(ended)])
    if len(ends) < left_out or np.isnan(sent).all():
        return None
    start, end = float(ends[left_out - 1]), float(np.nanmax(sent))
    return (start, end) if end > start else None

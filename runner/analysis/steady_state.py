"""Selection of the requests that are left out of latencies: both ends of a closed loop, and repeats of a cache probe.

Let n be the number of requests that a lane may have in flight at a level. The first n requests reach a server that is
not yet under that load: they arrive all at once, with nothing before them in its queue. After them, a request starts
when another ends, and runs beside n - 1 others. During a ramp, this holds once the last place is open. So the first
requests are flagged `filling`.

The last n requests of a level end while the load changes to that of the next level, or decreases. Which of them are
then still in flight depends on their durations, so leaving out only these would leave out the slow ones. Instead, the
last n requests sent are flagged `draining`, whenever they ended. So are later turns of conversations that are sent
after the last conversation started.

The cold requests of a cache probe are those that any run would send, so targets are compared by them. Those that it
sends again are flagged `repeated`.

All flagged requests stay in every table of rows and in counts of outcomes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.dataframe import DRAINING, FILLING, REPEATED, TEXT, has_none_of, targets_of, without_warmups
from runner.core.load_profile import LoadProfile, level_of
from runner.storage.journal import Header

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class LevelEntry:
    """Times at which a lane reached a load level and its last place opened, in seconds since the start of the run."""

    provider: str
    model: str | None
    """Model that has a lane of its own; None for the lane of all others."""
    concurrency: int
    at_s: float
    open_s: float


def read_level_entries(lines: Iterable[Mapping[str, Any]]) -> tuple[LevelEntry, ...]:
    """Return the entries in a journal's lines of the kind `level`, in order; older journals have no such lines."""
    return tuple(
        LevelEntry(line["provider"], line.get("model"), line["concurrency"], line["at_ns"] / 1e9, line["open_ns"] / 1e9)
        for line in lines
    )


def has_steady_state(header: Header) -> bool:
    """Return whether only the steady state of a run enters latencies.

    Older runs, whose headers do not store `release`, emptied their lanes before each level and are read without a
    steady state.
    """
    return header.release is not None and LoadProfile.from_plain(header.load).has_steady_state(header.repeat)


def mark_left_out(header: Header, table: pd.DataFrame, entries: Sequence[LevelEntry] = ()) -> pd.DataFrame:
    """Return a run's table with the flags `filling`, `draining` and `repeated`.

    Args:
        header: that of the run.
        table: its rows, with at least the columns used here.
        entries: times at which its lanes reached their levels, in order.

    """
    added: dict[int, set[str]] = {}
    for flag, labels in _find_left_out(header, without_warmups(table), entries):
        for label in labels:
            added.setdefault(label, set()).add(flag)
    if not added:
        return table
    flags = table["flags"].astype(object)
    flags = flags.where(flags.notna(), None)
    flags.loc[[*added]] = [_add_flags(flags.loc[label], words) for label, words in added.items()]
    return table.assign(flags=flags.astype(TEXT))


def _find_left_out(
    header: Header, rows: pd.DataFrame, entries: Sequence[LevelEntry]
) -> Iterator[tuple[str, list[int]]]:
    """Yield each flag with the labels of rows to add it to."""
    repeated = [turn for turn in rows["turn"].unique() if header.is_repeated(int(turn))]
    yield REPEATED, rows.index[rows["turn"].isin(repeated)].tolist()
    if has_steady_state(header):
        for group, concurrency, open_s in _split_by_load(header, rows, entries):
            sent = _floats(group["sent_s"])
            yield FILLING, group.index[first_sent(sent, concurrency, open_s)].tolist()
            yield DRAINING, group.index[last_sent(sent, concurrency, _begins(group))].tolist()


def _add_flags(flags: str | None, words: set[str]) -> str:
    return ";".join(sorted(words.union(flags.split(";") if flags else ())))


def _split_by_load(
    header: Header, rows: pd.DataFrame, entries: Sequence[LevelEntry]
) -> Iterator[tuple[pd.DataFrame, int, float | None]]:
    """Yield the rows of each lane at each level, separately for each part of a resumed run.

    Each group comes with the number of requests that could be in flight, and the time at which all places were open, or
    None if unknown. Older journals do not store the lanes; each target is then a lane of its own.
    """
    load = LoadProfile.from_plain(header.load)
    for lane, of_lane in _split_by_lane(rows, entries):
        own = [entry for entry in entries if (entry.provider, entry.model) == lane]
        for level, of_level in _split_by_level(header, of_lane):
            entered = [entry for entry in own if level in {None, entry.concurrency}]
            part = np.searchsorted([entry.at_s for entry in entered], _floats(of_level["sent_s"]), side="right")
            for number in dict.fromkeys(part.tolist()):
                group = of_level[part == number]
                concurrency = level or int(group["in_flight"].fillna(0).max())
                yield group, concurrency, entered[number - 1].open_s if number else _end_of_ramp(load, group)


def levels_of(header: Header, rows: pd.DataFrame) -> NDArray[np.int_]:
    """Return the level of each row of a sweep; shape (rows,)."""
    levels = LoadProfile.from_plain(header.load).levels
    return np.array([level_of(int(number), levels, header.repeat) for number in rows["block"]], dtype=int)


def _split_by_level(header: Header, rows: pd.DataFrame) -> Iterator[tuple[int | None, pd.DataFrame]]:
    """Yield each level of a sweep with its rows; for any other run, None with all rows."""
    if not LoadProfile.from_plain(header.load).levels:
        yield None, rows
        return
    of_row = levels_of(header, rows)
    yield from ((level, rows[of_row == level]) for level in dict.fromkeys(of_row.tolist()))


def _split_by_lane(
    rows: pd.DataFrame, entries: Sequence[LevelEntry]
) -> Iterator[tuple[tuple[str, str | None] | None, pd.DataFrame]]:
    """Yield each lane with its rows; a lane is its provider and model, or None if the lanes are unknown."""
    of_target = targets_of(rows)
    if not entries:
        yield from ((None, group) for _, group in rows.groupby(of_target, sort=False, observed=True))
        return
    known = {(entry.provider, entry.model) for entry in entries}
    pairs = zip(rows["provider"].tolist(), rows["model"].tolist(), strict=True)
    lanes = [pair if pair in known else (pair[0], None) for pair in pairs]
    codes, each = pd.factorize(pd.Series(lanes, dtype=object))
    yield from ((lane, rows[codes == code]) for code, lane in enumerate(each))


def _end_of_ramp(load: LoadProfile, rows: pd.DataFrame) -> float | None:
    """Return the end of a ramp whose length is in seconds, for a journal that does not store it; None for others."""
    return None if isinstance(load.ramp, str) else float(rows["sent_s"].min()) + load.ramp


def first_sent(sent: Floats, count: int, open_s: float | None = None) -> Positions:
    """Return the positions of the first requests sent: `count`, or all sent before `open_s` if these are more.

    Requests that were never sent, NaN in `sent`, are left out.

    Args:
        sent: times of sending in seconds; shape (requests,).
        count: number of requests that could be in flight.
        open_s: time at which all places were open; None if unknown.

    """
    order, known = _order_of(sent)
    before = 0 if open_s is None else int(np.count_nonzero(sent < open_s))
    return order[: min(max(count, before), known)]


def last_sent(sent: Floats, count: int, begins: NDArray[np.bool_]) -> Positions:
    """Return the positions of the last requests sent: `count` until the last conversation started, and all later ones.

    Args:
        sent: times of sending in seconds, NaN for requests that were never sent; shape (requests,).
        count: number of requests that could be in flight.
        begins: mask of the requests that started a conversation; shape (requests,).

    """
    order, known = _order_of(sent)
    began = sent[begins & ~np.isnan(sent)]
    before = int(np.count_nonzero(sent <= began.max())) if len(began) else known
    return order[max(0, before - count) : known]


def _order_of(sent: Floats) -> tuple[Positions, int]:
    """Return the positions in the order of sending, with those never sent last, and the number of requests sent."""
    return np.argsort(sent, kind="stable"), int(np.count_nonzero(~np.isnan(sent)))


def rate_span(rows: pd.DataFrame) -> tuple[float, float] | None:
    """Return the time span, in seconds, over which rates of one target at one level are counted; None if there is none.

    In a steady state the lane is full during the whole span. It starts when as many requests have ended as are flagged
    `filling`, and ends when the last conversation starts. Otherwise the span is from the first request sent to the last
    data. A lane that filled twice, because the run was resumed, was empty in between and has no span.
    """
    sent = _floats(rows["sent_s"])
    ended = sent + _floats(rows["total_s"])
    ends = np.sort(ended[~np.isnan(ended)])
    is_filling = ~has_none_of(rows, FILLING)
    filling, others = int(is_filling.sum()), sent[~is_filling & ~np.isnan(sent)]
    filled_twice = bool((sent[is_filling] > others.min(initial=np.inf)).any())
    if not len(ends) or len(ends) < filling or filled_twice:
        return None
    start = float(ends[filling - 1] if filling else np.nanmin(sent))
    began = sent[_begins(rows) & ~np.isnan(sent)]
    is_steady = len(began) > 0 and not has_none_of(rows, FILLING, DRAINING).all()
    end = float(began.max() if is_steady else ends[-1])
    return (start, end) if end > start else None


def end_within(rows: pd.DataFrame, span: tuple[float, float]) -> NDArray[np.bool_]:
    """Return a mask of the rows that ended after the start of a time span, and at its end at the latest; shape (rows,).

    Args:
        rows: rows with `sent_s` and `total_s`, in seconds.
        span: start and end, in seconds since the start of the run.

    """
    ended = _floats(rows["sent_s"]) + _floats(rows["total_s"])
    found: NDArray[np.bool_] = (ended > span[0]) & (ended <= span[1])
    return found


def rates_of(rows: pd.DataFrame, counted: NDArray[np.bool_], span: tuple[float, float]) -> tuple[float, float | None]:
    """Return the requests and the output tokens per second of some rows; None for tokens if any count is unknown.

    Args:
        rows: rows with `output_tokens`.
        counted: mask of the rows that count; shape (rows,).
        span: start and end of the time over which they count, in seconds.

    """
    seconds, tokens = span[1] - span[0], float(_floats(rows["output_tokens"])[counted].sum())
    return int(counted.sum()) / seconds, None if np.isnan(tokens) else tokens / seconds


def _begins(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Return a mask of the rows that started a conversation."""
    return (rows["turn"] == 1).to_numpy(dtype=np.bool_)


def _floats(column: "pd.Series[float]") -> Floats:
    return column.to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float64, copy=False)

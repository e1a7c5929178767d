"""The effect of prompt caches: each repetition in a cache probe, paired with the first request.

A pair is one target's request of one case in one round: first with a prefix that no cache can contain, then with the
same prefix again. The ratio of their TTFTs and its interval are estimated as in every comparison.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from runner.analysis.comparison_arms import Arm, arm_of, clock_error_s
from runner.analysis.cost import price_of, tokens_of
from runner.analysis.dataframe import is_timed, targets_of
from runner.analysis.diff_evidence import ComparedArms, gather_evidence, widen_for_autocorrelation
from runner.analysis.diff_measures import choose_measures
from runner.analysis.intervals import Interval, Statistic, median
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.run_results import Run
from runner.analysis.slow_requests import QUESTION
from runner.core.record import Record
from runner.pricing.money import Money
from runner.pricing.rates import Price, Tokens, cost


@dataclass(frozen=True, slots=True)
class Saving:
    """Mean saving by a cache over `n` requests; negative if the cache makes them more expensive."""

    of_1000: Money
    """Saving for 1,000 such requests."""
    share: float
    """Saving as a share of the input's cost without a cache."""
    n: int


@dataclass(frozen=True, slots=True)
class CacheStage:
    """Requests of one target at one stage of a cache probe: the first ones, or those after a pause."""

    target: MeasuredTarget
    turn: int
    idle_s: float | None
    """Planned idle time before the stage, without requests of this prefix; None for the first stage."""
    idled_p50_s: float | None
    """Median of the actual idle times, from the end of the previous reply to the request; None for the first stage."""
    n: int
    """Number of timed requests."""
    ttft_p50: Statistic | None
    ratio: float | None
    """Mean TTFT ratio to the first request, over pairs; None for the first stage, or without pairs."""
    interval: Interval | None
    """95 % confidence interval of the ratio; None with too few rounds."""
    p: float | None
    """Probability of a ratio at least this far from 1 if the cache had no effect."""
    pairs: int
    cached_p50: Statistic | None
    """Input tokens read from a cache; its `n` counts the requests whose usage reports them."""
    cached_share: float | None
    """Mean share of the input read from a cache, over the same requests."""
    saving: Saving | None
    """None if no price is known, or the provider does not report cached tokens."""


def measure_caches(run: Run) -> tuple[CacheStage, ...]:
    """Return each target's stages in their order; empty if the run was not a cache probe."""
    idle_s = run.header.cache_probe
    if not idle_s:
        return ()
    records = _by_target_and_turn(run)
    return tuple(
        _stage(run, target, turn, [records.get((target, number), []) for number in (turn - 1, turn)])
        for target in run.targets
        for turn in range(1, len(idle_s) + 1)
    )


def _by_target_and_turn(run: Run) -> dict[tuple[MeasuredTarget, int], list[Record]]:
    found: dict[tuple[MeasuredTarget, int], list[Record]] = {}
    for record in run.records:
        if record.timed:
            found.setdefault((run.split.target_of(record), record.identity.turn), []).append(record)
    return found


def _stage(run: Run, target: MeasuredTarget, turn: int, before_and_now: Sequence[Sequence[Record]]) -> CacheStage:
    before, records = before_and_now
    idle_s = run.header.cache_probe
    reported = [record for record in records if record.cached_tokens is not None]
    paired = _compare_with_first(run, target, turn) if turn > 1 else _PairedRatio()
    return CacheStage(
        target=target,
        turn=turn,
        idle_s=idle_s[turn - 1] if turn > 1 else None,
        idled_p50_s=_idled_p50_s(records, before),
        n=len(records),
        ttft_p50=_median_of(records, lambda record: record.ttft_s),
        ratio=paired.ratio,
        interval=paired.interval,
        p=paired.p,
        pairs=paired.pairs,
        cached_p50=_median_of(records, lambda record: record.cached_tokens),
        cached_share=_cached_share(reported),
        saving=_saving(price_of(run.header, target.name), records),
    )


def _median_of(records: Sequence[Record], read: Callable[[Record], float | None]) -> Statistic | None:
    known = [(float(value), record.identity.block) for record in records if (value := read(record)) is not None]
    return median([value for value, _ in known], [block for _, block in known])


def _idled_p50_s(records: Sequence[Record], before: Sequence[Record]) -> float | None:
    ended = {_series_of(record): record.timestamps.last_event for record in before}
    pairs = ((record.timestamps.sent, ended.get(_series_of(record))) for record in records)
    idled = median([(sent - end) / 1e9 for sent, end in pairs if sent is not None and end is not None])
    return None if idled is None else idled.value


def _series_of(record: Record) -> tuple[str, int, str | None]:
    return record.identity.case, record.identity.repeat, record.node


class _PairedRatio(NamedTuple):
    """A TTFT ratio to the first request; without any pair that has both, there is none."""

    ratio: float | None = None
    interval: Interval | None = None
    p: float | None = None
    pairs: int = 0


def _compare_with_first(run: Run, target: MeasuredTarget, turn: int) -> _PairedRatio:
    """Return the TTFT ratio of a stage to the first request."""
    all_turns = arm_of(run.table, target, str(target), {node: node for node in run.header.vantages})
    first, later = (_renumber_turn(all_turns, number) for number in (1, turn))
    error_s = clock_error_s(first, later, run.clock_errors, run.clock_errors)
    arms = ComparedArms(str(target), first, later, paired=True, clock_error_s=error_s)
    rows = widen_for_autocorrelation(gather_evidence(arms, choose_measures(("ttft",))))
    if not rows:
        return _PairedRatio()
    result = rows[0].result
    interval = None if result.interval is None else result.interval.exponential()
    return _PairedRatio(math.exp(result.estimate), interval, result.p, rows[0].n[0])


def _renumber_turn(arm: Arm, turn: int) -> Arm:
    """Return an arm's rows of one turn, renumbered as the first turn so that they pair with its rows."""
    return Arm(arm.label, arm.rows[arm.rows["turn"] == turn].assign(turn=1, flags=None))


def _cached_share(records: Sequence[Record]) -> float | None:
    shares = [(record.cached_tokens or 0) / record.input_tokens for record in records if record.input_tokens]
    return math.fsum(shares) / len(shares) if shares else None


def _saving(price: Price | None, records: Sequence[Record]) -> Saving | None:
    """Return the saving by a cache on the input's cost; writing to a cache may cost more than plain input."""
    if price is None:
        return None
    pairs = [pair for record in records if (pair := _input_costs(price, record)) is not None]
    without = sum((plain for plain, _ in pairs), Decimal(0))
    if not pairs or not without:
        return None
    saved = without - sum((actual for _, actual in pairs), Decimal(0))
    return Saving(Money(1000 * saved / len(pairs), price.currency), float(saved / without), len(pairs))


def _input_costs(price: Price, record: Record) -> tuple[Decimal, Decimal] | None:
    """Return the cost of a request's input without a cache and as served; None if either is unknown."""
    tokens = tokens_of(record)
    if record.identity.simulated or tokens.input is None or tokens.cached is None:
        return None
    started = datetime.fromisoformat(record.started_at) if record.started_at else None
    plain = cost(price, Tokens(tokens.input, 0, cached=0, cache_write=0, reasoning=0), started)
    served = Tokens(tokens.input, 0, tokens.cached, tokens.cache_write or 0, reasoning=0)
    actual = cost(price, served, started)
    return None if plain is None or actual is None else (plain, actual)


def unreported_repeats(run: Run) -> dict[MeasuredTarget, int]:
    """Return the targets that report cached tokens for no request, although a cache may serve their repeats.

    The value is the number of requests that repeat one of an earlier round. A simulated target that reports no token
    counts at all is left out, and so is every target of a run that does not store whether caches were allowed.
    """
    rows = run.measured[is_timed(run.measured)]
    found: dict[MeasuredTarget, int] = {}
    for target, own in rows.groupby(targets_of(rows), observed=True, sort=False):
        is_silent = own["cached_tokens"].isna().all() and not (
            own["simulated"].all() and own["input_tokens"].isna().all()
        )
        if is_silent and run.header.caches.get(target.name) == "allow" and not run.header.cache_probe:
            repeats = len(own) - len(own.drop_duplicates([*QUESTION]))
            if repeats:
                found[target] = repeats
    return found

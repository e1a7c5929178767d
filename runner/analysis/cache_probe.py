"""The effect of prompt caches: the repetitions of a cache probe against the first request of each, in pairs.

A pair is one target's request of one case in one round, first with a beginning that no cache can know, then with the
same beginning again. The ratio of the two times to the first text is estimated and bounded as in every comparison.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from runner.analysis.cost import price_of, tokens_of
from runner.analysis.dataframe import is_timed, targets_of
from runner.analysis.diff_measures import choose_measures
from runner.analysis.intervals import Interval
from runner.analysis.measured_target import MeasuredTarget
from runner.analysis.pairing import Arm, arm_of, clock_error_s
from runner.analysis.run_results import Run
from runner.analysis.slow_requests import QUESTION
from runner.analysis.summary import Statistic, median
from runner.analysis.verdict_evidence import ComparedArms, allow_for_spells, gather_evidence
from runner.core.record import Record
from runner.pricing.money import Money
from runner.pricing.rates import Price, Tokens, cost


@dataclass(frozen=True, slots=True)
class Saving:
    """The mean that a cache takes off a request's cost, negative where it adds to it, over `n` requests."""

    of_1000: Money
    """The saving of a thousand such requests."""
    share: float
    """The saving as a share of what the input would cost without a cache."""
    n: int


@dataclass(frozen=True, slots=True)
class CacheStage:
    """The requests of one target at one stage of a cache probe: the first ones, or those after a pause."""

    target: MeasuredTarget
    turn: int
    idle_s: float | None
    """The seconds before it without a request of this beginning, as planned; None for the first one."""
    idled_p50_s: float | None
    """The median of these seconds as they were, from the end of the reply before to the request; None for the first."""
    n: int
    """Timed requests."""
    ttft_p50: Statistic | None
    ratio: float | None
    """How many times the TTFT of the first request it takes, in the mean of pairs; None for the first, or no pair."""
    interval: Interval | None
    """The 95 % interval of the ratio; None where the rounds are too few for one."""
    p: float | None
    """The probability of a ratio this far from 1 if the cache changed nothing."""
    pairs: int
    cached_p50: Statistic | None
    """Tokens of the input that came from a cache; its `n` counts the requests whose usage says so."""
    cached_share: float | None
    """The mean share of the input that came from a cache, over the same requests."""
    saving: Saving | None
    """None where no price is known, or the provider does not say what came from its cache."""


def measure_caches(run: Run) -> tuple[CacheStage, ...]:
    """Return each target's stages in their order; empty if the run was no cache probe."""
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
    told = [record for record in records if record.cached_tokens is not None]
    paired = _compare_with_first(run, target, turn) if turn > 1 else None
    return CacheStage(
        target=target,
        turn=turn,
        idle_s=idle_s[turn - 1] if turn > 1 else None,
        idled_p50_s=_idled_p50_s(records, before),
        n=len(records),
        ttft_p50=_median_of(records, lambda record: record.ttft_s),
        ratio=paired.ratio if paired else None,
        interval=paired.interval if paired else None,
        p=paired.p if paired else None,
        pairs=paired.pairs if paired else 0,
        cached_p50=_median_of(records, lambda record: record.cached_tokens),
        cached_share=_cached_share(told),
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
    ratio: float
    interval: Interval | None
    p: float
    pairs: int


def _compare_with_first(run: Run, target: MeasuredTarget, turn: int) -> _PairedRatio | None:
    """Return the ratio of a stage's TTFT to that of the first request; None if no pair has both."""
    everything = arm_of(run.table, target, str(target), {node: node for node in run.header.vantages})
    first, later = (_as_one_turn(everything, number) for number in (1, turn))
    error_s = clock_error_s(first, later, run.clock_errors, run.clock_errors)
    arms = ComparedArms(str(target), first, later, paired=True, clock_error_s=error_s)
    rows = allow_for_spells(gather_evidence(arms, choose_measures(("ttft",))))
    if not rows:
        return None
    result = rows[0].result
    interval = None if result.interval is None else result.interval.exponential()
    return _PairedRatio(math.exp(result.estimate), interval, result.p, rows[0].n[0])


def _as_one_turn(arm: Arm, turn: int) -> Arm:
    """Return an arm's rows of one turn as if it were the first, so that they pair with those."""
    return Arm(arm.label, arm.rows[arm.rows["turn"] == turn].assign(turn=1, flags=None))


def _cached_share(records: Sequence[Record]) -> float | None:
    shares = [(record.cached_tokens or 0) / record.input_tokens for record in records if record.input_tokens]
    return math.fsum(shares) / len(shares) if shares else None


def _saving(price: Price | None, records: Sequence[Record]) -> Saving | None:
    """Return what a cache saved of the input's price; what was written to it may cost more than usual."""
    if price is None:
        return None
    pairs = [pair for record in records if (pair := _input_costs(price, record)) is not None]
    without = sum((plain for plain, _ in pairs), Decimal(0))
    if not pairs or not without:
        return None
    saved = without - sum((actual for _, actual in pairs), Decimal(0))
    return Saving(Money(1000 * saved / len(pairs), price.currency), float(saved / without), len(pairs))


def _input_costs(price: Price, record: Record) -> tuple[Decimal, Decimal] | None:
    """Return what a request's input costs without a cache, and as it was served; None where that is not known."""
    tokens = tokens_of(record)
    if record.identity.simulated or tokens.input is None or tokens.cached is None:
        return None
    started = datetime.fromisoformat(record.started_at) if record.started_at else None
    plain = cost(price, Tokens(tokens.input, 0, cached=0, cache_write=0, reasoning=0), started)
    served = Tokens(tokens.input, 0, tokens.cached, tokens.cache_write or 0, reasoning=0)
    actual = cost(price, served, started)
    return None if plain is None or actual is None else (plain, actual)


def unreported_repeats(run: Run) -> dict[MeasuredTarget, int]:
    """Return the targets that say of no request what came from a cache, though a cache may serve their repeats.

    The number of each counts the requests that repeat one of an earlier round. A simulated target that counts no tokens
    at all is not one of them. Runs that do not store whether a cache was allowed have none.
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

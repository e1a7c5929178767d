"""Comparability of two arms: the rows that may be compared, and warnings about what weakens a comparison."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.check_results import steps_in
from runner.analysis.comparison_arms import STRATUM_AND_ROUND, Arm
from runner.analysis.dataframe import is_timed_once, plain_cells
from runner.analysis.run_results import Run
from runner.analysis.slow_requests import QUESTION
from runner.errors import CompareError, counted
from runner.storage.journal import Header

LIBRARIES = ("compare", "python", "openai", "aiohttp")
"""Libraries whose version may affect timestamps."""

WEAK_ORDERS = {
    "as-written": "the order was not shuffled: the position of a target in it may affect its figures",
    "free": "the order was free: the two requests of a pair may have been sent far apart in time",
}
"""Warnings for the plan orders in which the two requests of a pair are not close in time and randomly ordered."""


def refuse_simulated_against_real(base: Arm, new: Arm) -> None:
    """Raise if one arm is simulated and the other is not.

    Raises:
        CompareError: exactly one arm is simulated.

    """
    simulated = [bool(arm.rows["simulated"].any()) for arm in (base, new)]
    if simulated[0] != simulated[1]:
        simulation, real = (base, new) if simulated[0] else (new, base)
        raise CompareError(
            f"{simulation.label} is simulated and {real.label} is real: their difference means nothing; "
            "compare runs of one kind"
        )


def warn_of_runs(base: Run, new: Run) -> tuple[str, ...]:
    """Return warnings about damage, missing requests and differing conditions of two runs."""
    same = [f"base and new are the same run, {base.header.run_id}"] if base.header.run_id == new.header.run_id else []
    damaged = [run.left_out for run in (base, new) if run.left_out]
    return (*damaged, *same, *_differing_facts(base, new), *_unfinished(base, "base"), *_unfinished(new, "new"))


def warn_of_run(run: Run) -> tuple[str, ...]:
    """Return warnings about what weakens a comparison within one run."""
    order = WEAK_ORDERS.get(run.header.order)
    found = [each for each in (run.left_out, order) if each]
    return (*found, *_unfinished(run, "the run"))


def _differing_facts(base: Run, new: Run) -> Iterator[str]:
    old, now = base.header, new.header
    facts: dict[str, tuple[object, object]] = {
        "suites": (_suite(old), _suite(now)),
        "machines": (old.platform, now.platform),
        "clocks": (old.clock, now.clock),
        "concurrencies": (old.concurrency or "default", now.concurrency or "default"),
        "loads": (_load_profile(old.load), _load_profile(now.load)),
        "regions": (_values(base.measured, "region"), _values(new.measured, "region")),
        "nodes": (_values(base.measured, "node"), _values(new.measured, "node")),
        **{f"versions of {name}": (old.versions.get(name), now.versions.get(name)) for name in LIBRARIES},
    }
    for name, (before, after) in facts.items():
        if before != after:
            yield f"{name} differ: {before or 'unknown'} in base, {after or 'unknown'} in new"


def _suite(header: Header) -> str:
    return f"{header.suite} (digest {header.short_digest})"


def _load_profile(load: Mapping[str, object]) -> str:
    """Return a load profile as text, without its span, which every output of a comparison states separately."""
    return ", ".join(f"{name} {value}" for name, value in sorted(load.items()) if name != "spread_s") or "default"


def _values(table: pd.DataFrame, column: str) -> str:
    return ", ".join(sorted(set(table[column].dropna())))


def _unfinished(run: Run, name: str) -> list[str]:
    if run.ended:
        return []
    asked = counted(len(run.measured), "request")
    if run.header.planned_requests is None:
        return [f"{name} is unfinished: {asked} so far"]
    return [f"{name} is unfinished: {asked} of {run.header.planned} planned"]


def warn_of_models(base: Arm, new: Arm) -> list[str]:
    """Return a warning if the replies of the arms name different models."""
    before, after = _values(base.rows, "response_model"), _values(new.rows, "response_model")
    differs = before and after and before != after
    return [f"{new.label}: another model answered: {before} in base, {after} in new"] if differs else []


MAX_MIX_APART = 0.1
"""Largest difference of a vendor's shares in two arms without a warning."""

MIXES = {
    "served_by": "the vendors that answered differ",
    "system_fingerprint": "the system fingerprints differ",
    "service_tier": "the service tiers differ",
}


def warn_of_mixes(base: Arm, new: Arm) -> list[str]:
    """Return a warning for each column of MIXES whose values are known for both arms and differ in their shares.

    If the vendors differ, fingerprints are left out, since they would add nothing.
    """
    warnings: dict[str, str] = {}
    for column, sentence in MIXES.items():
        before, after = _count_values(base, column), _count_values(new, column)
        apart = [abs(_share(before, name) - _share(after, name)) for name in before.keys() | after.keys()]
        if before and after and max(apart) > MAX_MIX_APART:
            counts = f"{_list_counts(before)} in base, {_list_counts(after)} in new"
            warnings[column] = f"{new.label}: {sentence}: {counts}"
    if "served_by" in warnings:
        warnings.pop("system_fingerprint", None)
    return list(warnings.values())


def _count_values(arm: Arm, column: str) -> dict[str, int]:
    return {str(name): int(n) for name, n in arm.timed[column].dropna().value_counts().items()}


def _share(counts: Mapping[str, int], name: str) -> float:
    return counts.get(name, 0) / max(1, sum(counts.values()))


def _list_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def warn_of_currencies(base: Arm, new: Arm) -> list[str]:
    """Return a warning if the costs of the arms are in different currencies."""
    before, after = _values(base.rows, "currency"), _values(new.rows, "currency")
    differs = before and after and before != after
    return [f"{new.label}: cost not compared: {before} in base, {after} in new"] if differs else []


# Timing of pairs


MAX_FIRST = 0.75
"""Largest share of pairs in which one side was sent first without a warning."""

MIN_PAIRS = 8
"""Minimum number of pairs to judge that share; of seven, one side is first in six or more too often by chance."""

MAX_LAG_ROUNDS = 0.5
"""Largest median time between the two requests of a pair without a warning, in rounds."""


@dataclass(frozen=True, slots=True)
class PairTiming:
    """Order and distance in time of the two requests of `n` pairs of one run."""

    n: int
    base_first: float
    """Share of pairs in which the base was sent first; a pair sent at the same time counts as half."""
    lag_rounds: float
    """Median time between the two requests of a pair, divided by the duration of a round."""


def time_pairs(base: Arm, new: Arm) -> PairTiming | None:
    """Return the timing of the pairs of two arms of one run; None if no pair has both times.

    The duration of a round is the time from the first request of either arm to the last, divided by the number of
    rounds.
    """
    places, round_of_row = _number_places(base, new)
    _, numbers = np.unique(places, return_inverse=True)
    first_s = np.full((2, numbers.max(initial=-1) + 1), np.inf)
    for of_side, arm, own in zip(first_s, (base, new), np.split(numbers, [len(base.rows)]), strict=True):
        np.fmin.at(of_side, own, arm.rows["sent_s"].to_numpy(dtype=float, na_value=np.nan))
    both = np.isfinite(first_s[0]) & np.isfinite(first_s[1])
    if not both.any():
        return None
    base_s, new_s = first_s[:, both]
    rounds = len(np.unique(round_of_row[both[numbers]]))
    both_s = np.concatenate([base_s, new_s])
    round_s = float(both_s.max() - both_s.min()) / rounds
    first = float(np.mean(base_s < new_s) + np.mean(base_s == new_s) / 2)
    lag_s = float(np.median(np.abs(new_s - base_s)))
    return PairTiming(len(base_s), first, lag_s / round_s if round_s > 0 else 0.0)


def _number_places(base: Arm, new: Arm) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return a number for each row's stratum and round, and one for its round; rows of base, then of new."""
    numbers = np.zeros(len(base.rows) + len(new.rows), dtype=np.intp)
    codes = numbers
    for name in STRATUM_AND_ROUND:
        cells = np.concatenate([arm.rows[name].to_numpy(dtype=object) for arm in (base, new)])
        codes, distinct = pd.factorize(cells, use_na_sentinel=False)
        numbers = numbers * len(distinct) + codes
    return numbers, codes


def warn_of_pairs(header: Header, base: Arm, new: Arm) -> list[str]:
    """Return a warning if the pairs of a run are far apart in time, or one side was mostly sent first.

    If the targets of a case start together, the order within a pair is random and only the distance is judged. A single
    pair is not judged, because it is the whole round.
    """
    timing = time_pairs(base, new)
    if timing is None or timing.n == 1:
        return []
    first, share = (base, timing.base_first) if timing.base_first >= 0.5 else (new, 1 - timing.base_first)
    is_uneven = share > MAX_FIRST and timing.n >= MIN_PAIRS and header.release != "together"
    if not is_uneven and timing.lag_rounds <= MAX_LAG_ROUNDS:
        return []
    warning = (
        f"{first.label} was sent first in {share:.0%} of {timing.n:,} pairs, and the median pair lay "
        f"{timing.lag_rounds:.1f} rounds apart: a change of load or network during the run can look like a difference; "
        "with --order blocks and without --lead, pairs are sent together"
    )
    return [warning]


# Caches

MAX_CACHED_APART = 0.1
"""Largest difference of the shares of cached requests without a warning, if both arms have some."""


def warn_of_caches(base: Arm, new: Arm) -> list[str]:
    """Return a warning if a prompt cache served requests of one arm and none, or a much smaller share, of the other."""
    shares = [_share_cached(arm) for arm in (base, new)]
    if (shares[0] > 0) == (shares[1] > 0) and abs(shares[0] - shares[1]) <= MAX_CACHED_APART:
        return []
    warning = (
        f"{new.label}: a prompt cache served {_describe_cached(base)} of base and {_describe_cached(new)} of new, "
        "which makes the first text faster than the model is; `cache: bust` in the suite keeps caches out"
    )
    return [warning]


def _share_cached(arm: Arm) -> float:
    return _count_cached(arm) / max(1, len(arm.timed))


def _count_cached(arm: Arm) -> int:
    return int((arm.timed["cached_tokens"].fillna(0) > 0).sum())


def _describe_cached(arm: Arm) -> str:
    """Return the number of timed requests that a cache served in part, and of those for which this is unknown."""
    tokens = arm.timed["cached_tokens"]
    unknown = int(tokens.isna().sum())
    of_unknown = f" ({unknown:,} did not report it)" if unknown else ""
    return f"{_count_cached(arm):,} of {len(tokens):,} requests{of_unknown}"


# What is compared


def keep_common(base: Arm, new: Arm, headers: tuple[Header, Header]) -> tuple[Arm, Arm, list[str]]:
    """Return the arms with only their common, equally worded questions and common vantages, and warnings.

    The checks of a case are compared unless a prompt of the user is left out. Steps that answer a model's tool calls
    depend on the model, and are part of what checks judge.
    """
    before, after = _prompts(base), _prompts(new)
    reworded = {key for key in before.keys() & after.keys() if _differ(before[key], after[key])}
    questions = (before.keys() & after.keys()) - reworded
    base_vantages, new_vantages = set(base.rows["vantage"]), set(new.rows["vantage"])
    warnings = [
        f"{new.label}: {what}: from {', '.join(sorted(vantages))}"
        for what, vantages in (
            ("only in base, not compared", base_vantages - new_vantages),
            ("only in new, not compared", new_vantages - base_vantages),
        )
        if vantages and base_vantages and new_vantages
    ]
    warnings += [
        f"{new.label}: {what}: {', '.join(sorted({_name_question(*key, headers[0]) for key in keys}))}"
        for what, keys in (
            ("only in base, not compared", before.keys() - after.keys()),
            ("only in new, not compared", after.keys() - before.keys()),
            ("asked in other words, not compared", reworded),
        )
        if keys
    ]
    left_out = (before.keys() | after.keys()) - questions
    excluded = {key[0] for key in left_out if not _is_step_of_model(*key, headers, is_reworded=key in reworded)}
    shared = base_vantages & new_vantages
    arms = (arm.only(_mask(arm, questions, shared)) for arm in (base, new))
    old, now = (replace(arm, checked=tuple(cell for cell in arm.checked if cell.case not in excluded)) for arm in arms)
    old, now, unsteady = keep_steady(old, now)
    return old, now, [*warnings, *unsteady]


def keep_steady(base: Arm, new: Arm) -> tuple[Arm, Arm, list[str]]:
    """Return the arms unchanged if both have a steady state; otherwise with all of their requests, and a warning."""
    if all(arm.are_timed.any() or not is_timed_once(arm.rows).any() for arm in (base, new)):
        return base, new, []
    warning = (
        f"{new.label}: a side has no steady state, so all requests are compared, also the first and the last ones, "
        "which meet another load; ask for ten times as many with --requests, --repeat or --duration"
    )
    return replace(base, with_unsteady=True), replace(new, with_unsteady=True), [warning]


def _name_question(case: str, turn: int, header: Header) -> str:
    """Return a case's name, with turn and step if it is a later step, which other targets may not have."""
    steps = steps_in(header.checks, case)
    return case if steps.turn_and_step(turn)[1] == 1 else steps.name_question(case, turn)


def _is_step_of_model(case: str, turn: int, headers: tuple[Header, Header], *, is_reworded: bool) -> bool:
    """Return whether a question that is not in both arms is a step caused by the model, not by the suite."""
    base, new = headers
    steps = steps_in(base.checks, case)
    if steps.turn_and_step(turn)[1] == 1:
        return False
    if base.digest == new.digest:
        return True
    return steps == steps_in(new.checks, case) and not is_reworded  # else the suites' results of tools may differ


def keep_same_checks(base: Run, new: Run, arms: tuple[Arm, Arm]) -> tuple[Arm, Arm, list[str]]:
    """Return the arms of two runs without cases whose checks or judges differ, and warnings that name these cases."""
    before, after = base.header.checks, new.header.checks
    both = before.keys() & after.keys()
    other = {
        case for case in both if any(before[case].get(each) != after[case].get(each) for each in ("checks", "turns"))
    }
    judges = [sorted(judge.target for judge in run.judge_costs) for run in (base, new)]
    judged = {case for case in both - other if "rubric" in before[case].get("checks", {})}
    reasons = {"checked by other checks": other}
    ids = [{judge.id for judge in run.judge_costs} for run in (base, new)]
    if all(judges) and judges[0] == judges[1] and ids[0] != ids[1]:
        reasons[f"judged by {', '.join(judges[0])} with other parameters, or by another prompt, in new"] = judged
    elif all(judges) and judges[0] != judges[1]:
        reasons[f"judged by {', '.join(judges[0])} in base and {', '.join(judges[1])} in new"] = judged
    warnings = [
        f"{arms[1].label}: {reason}, not in the pass rate: {', '.join(cases)}"
        for reason, left_out in reasons.items()
        if (cases := sorted(left_out & {cell.case for arm in arms for cell in arm.checked}))
    ]
    excluded = frozenset[str]().union(*reasons.values())
    old, now = (replace(arm, checked=tuple(cell for cell in arm.checked if cell.case not in excluded)) for arm in arms)
    return old, now, warnings


def warn_of_undecided(arms: tuple[Arm, Arm]) -> list[str]:
    """Return a warning that counts the repeats that the checks left undecided."""
    counts = [sum(cell.undecided for cell in arm.checked) for arm in arms]
    if not any(counts):
        return []
    return [f"{arms[1].label}: repeats that the checks left undecided are in no pass rate: {counts[0]} and {counts[1]}"]


def _prompts(arm: Arm) -> dict[tuple[str, int], frozenset[str]]:
    """Return the prompts of each question (case and turn), without those that a stripped journal lacks."""
    prompts: dict[tuple[str, int], set[str]] = {}
    for case, turn, prompt in {*zip(*(plain_cells(arm.rows[name]) for name in (*QUESTION, "prompt")), strict=True)}:
        prompts.setdefault((str(case), int(turn or 0)), set()).add(str(prompt or ""))
    return {question: frozenset(texts - {""}) for question, texts in prompts.items()}


def _differ(before: frozenset[str], after: frozenset[str]) -> bool:
    """Return whether two sets of prompts are known to differ."""
    return bool(before and after and before != after)


def _mask(arm: Arm, questions: set[tuple[str, int]], vantages: set[str]) -> "pd.Series[bool]":
    """Return a mask of the rows of an arm that have one of the questions and one of the vantages."""
    keys = zip(arm.rows["case"], arm.rows["turn"], arm.rows["vantage"], strict=True)
    kept = [(str(case), int(turn)) in questions and vantage in vantages for case, turn, vantage in keys]
    return pd.Series(kept, index=arm.rows.index, dtype=bool)

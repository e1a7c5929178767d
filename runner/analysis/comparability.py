"""Comparability of two arms: whether and which rows may be compared, and warnings of what weakens a comparison."""

from collections.abc import Iterator, Mapping

import pandas as pd

from runner.analysis.pairing import QUESTION, Arm
from runner.analysis.run import Run
from runner.errors import CompareError
from runner.storage.journal import Header

LIBRARIES = ("compare", "python", "openai", "aiohttp")
"""Libraries whose version may affect timestamps."""

WEAK_ORDERS = {
    "as-written": "the order was not shuffled: a target may owe its figures to its place",
    "free": "the order was free: what is compared as a pair may lie far apart in time",
}
"""Orders of a plan in which a pair is not two requests close in time and in random order."""


def refuse_simulated_against_real(base: Arm, new: Arm) -> None:
    """Raise if one arm is simulated and the other is not.

    Raises:
        CompareError: it is so.

    """
    simulated = [bool(arm.rows["simulated"].any()) for arm in (base, new)]
    if simulated[0] != simulated[1]:
        simulation, real = (base, new) if simulated[0] else (new, base)
        raise CompareError(
            f"{simulation.label} is simulated and {real.label} is real: their difference means nothing; "
            "compare runs of one kind"
        )


def warn_of_runs(base: Run, new: Run) -> tuple[str, ...]:
    """Return warnings of the differences between the circumstances of two runs."""
    same = [f"base and new are the same run, {base.header.run_id}"] if base.header.run_id == new.header.run_id else []
    return (*same, *_differing_facts(base, new), *_unfinished(base, "base"), *_unfinished(new, "new"))


def warn_of_run(run: Run) -> tuple[str, ...]:
    """Return warnings of what weakens a comparison within one run."""
    order = WEAK_ORDERS.get(run.header.order)
    return (*([order] if order else []), *_unfinished(run, "the run"))


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
    return ", ".join(f"{name} {value}" for name, value in sorted(load.items())) or "default"


def _values(table: pd.DataFrame, column: str) -> str:
    return ", ".join(sorted(set(table[column].dropna())))


def _unfinished(run: Run, name: str) -> list[str]:
    if run.ended:
        return []
    return [f"{name} is unfinished: {len(run.measured):,} requests of {run.header.planned} planned"]


def warn_of_models(base: Arm, new: Arm) -> list[str]:
    """Return a warning if the replies name another model than before."""
    before, after = _values(base.rows, "response_model"), _values(new.rows, "response_model")
    differs = before and after and before != after
    return [f"{new.label}: another model answered: {before} in base, {after} in new"] if differs else []


def warn_of_currencies(base: Arm, new: Arm) -> list[str]:
    """Return a warning if the costs of the arms are in different currencies."""
    before, after = _values(base.rows, "currency"), _values(new.rows, "currency")
    differs = before and after and before != after
    return [f"{new.label}: cost not compared: {before} in base, {after} in new"] if differs else []


def keep_common(base: Arm, new: Arm) -> tuple[Arm, Arm, list[str]]:
    """Return the arms without questions and places that only one has, or that differ; and warnings naming these."""
    before, after = _prompts(base), _prompts(new)
    reworded = {key for key in before.keys() & after.keys() if _differ(before[key], after[key])}
    questions = (before.keys() & after.keys()) - reworded
    here, there = set(base.rows["vantage"]), set(new.rows["vantage"])
    warnings = [
        f"{new.label}: {what}: from {', '.join(sorted(vantages))}"
        for what, vantages in (
            ("only in base, not compared", here - there),
            ("only in new, not compared", there - here),
        )
        if vantages and here and there
    ]
    warnings += [
        f"{new.label}: {what}: {', '.join(sorted({case for case, _ in keys}))}"
        for what, keys in (
            ("only in base, not compared", before.keys() - after.keys()),
            ("only in new, not compared", after.keys() - before.keys()),
            ("asked in other words, not compared", reworded),
        )
        if keys
    ]
    shared = here & there
    return base.only(_mask(base, questions, shared)), new.only(_mask(new, questions, shared)), warnings


def _prompts(arm: Arm) -> dict[tuple[str, int], frozenset[str]]:
    """Return the prompts of each question (case and turn); none where a stripped journal does not hold them."""
    distinct = arm.rows.drop_duplicates([*QUESTION, "prompt"])
    prompts: dict[tuple[str, int], set[str]] = {}
    for case, turn, prompt in zip(distinct["case"], distinct["turn"], distinct["prompt"].fillna(""), strict=True):
        prompts.setdefault((str(case), int(turn)), set()).add(prompt)
    return {question: frozenset(texts - {""}) for question, texts in prompts.items()}


def _differ(before: frozenset[str], after: frozenset[str]) -> bool:
    """Return whether two sets of prompts are known to differ."""
    return bool(before and after and before != after)


def _mask(arm: Arm, questions: set[tuple[str, int]], vantages: set[str]) -> "pd.Series[bool]":
    """Return which rows of an arm have one of the questions and one of the vantages."""
    keys = zip(arm.rows["case"], arm.rows["turn"], arm.rows["vantage"], strict=True)
    kept = [(str(case), int(turn)) in questions and vantage in vantages for case, turn, vantage in keys]
    return pd.Series(kept, index=arm.rows.index, dtype=bool)

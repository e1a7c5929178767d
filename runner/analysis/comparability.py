"""Whether two runs may be compared at all, and what a reader must know before believing it."""

from collections.abc import Iterator, Mapping

import pandas as pd

from runner.analysis.pairing import STRATUM, Arm
from runner.analysis.run import Run
from runner.errors import CompareError
from runner.storage.journal import Header

LIBRARIES = ("compare", "python", "openai", "aiohttp")
"""Whose versions may move a stamp."""

WEAK_ORDERS = {
    "as-written": "the order was not shuffled: a target may owe its figures to its place",
    "free": "the order was free: what is compared as a pair may lie far apart in time",
}
"""Orders in which a pair is less than two requests close in time, in random order."""


def refuse_mixture(base: Arm, new: Arm) -> None:
    """Raise CompareError where a simulated arm stands against a real one: the figures have nothing in common."""
    simulated = [bool(arm.rows["simulated"].any()) for arm in (base, new)]
    if simulated[0] != simulated[1]:
        made_up, real = (base, new) if simulated[0] else (new, base)
        raise CompareError(
            f"{made_up.label} is simulated and {real.label} is real: their difference means nothing; "
            "compare runs of one kind"
        )


def warn_of_runs(base: Run, new: Run) -> tuple[str, ...]:
    """Say how the circumstances of two runs differ, a sentence each."""
    same = [f"base and new are the same run, {base.header.run_id}"] if base.header.run_id == new.header.run_id else []
    return (*same, *_differing(base, new), *_unfinished(base, "base"), *_unfinished(new, "new"))


def warn_of_run(run: Run) -> tuple[str, ...]:
    """Say what weakens a comparison within one run."""
    order = WEAK_ORDERS.get(run.header.order)
    return (*([order] if order else []), *_unfinished(run, "the run"))


def _differing(base: Run, new: Run) -> Iterator[str]:
    old, now = base.header, new.header
    facts: dict[str, tuple[object, object]] = {
        "suites": (_suite(old), _suite(now)),
        "machines": (old.platform, now.platform),
        "clocks": (old.clock, now.clock),
        "concurrencies": (old.concurrency or "default", now.concurrency or "default"),
        "loads": (_spelled(old.load), _spelled(now.load)),
        "regions": (_values(base.measured, "region"), _values(new.measured, "region")),
        "nodes": (_values(base.measured, "node"), _values(new.measured, "node")),
        **{f"versions of {name}": (old.versions.get(name), now.versions.get(name)) for name in LIBRARIES},
    }
    for name, (before, after) in facts.items():
        if before != after:
            yield f"{name} differ: {before or 'unknown'} in base, {after or 'unknown'} in new"


def _suite(header: Header) -> str:
    return f"{header.suite} (digest {header.short_digest})"


def _spelled(load: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(load.items())) or "default"


def _values(table: pd.DataFrame, column: str) -> str:
    return ", ".join(sorted(set(table[column].dropna())))


def _unfinished(run: Run, name: str) -> list[str]:
    if run.ended:
        return []
    return [f"{name} is unfinished: {len(run.measured):,} requests of {run.header.planned} planned"]


def warn_of_models(base: Arm, new: Arm) -> list[str]:
    """Say where the replies themselves name another model than before."""
    before, after = _values(base.rows, "response_model"), _values(new.rows, "response_model")
    named = before and after and before != after
    return [f"{new.label}: another model answered: {before} in base, {after} in new"] if named else []


def warn_of_currencies(base: Arm, new: Arm) -> list[str]:
    """Say where the sides paid in two currencies."""
    before, after = _values(base.rows, "currency"), _values(new.rows, "currency")
    two = before and after and before != after
    return [f"{new.label}: cost not compared: {before} in base, {after} in new"] if two else []


def keep_common(base: Arm, new: Arm) -> tuple[Arm, Arm, list[str]]:
    """Leave out questions that not both arms were asked, or that were not the same; say which."""
    before, after = _prompts(base), _prompts(new)
    reworded = {key for key in before.keys() & after.keys() if _differ(before[key], after[key])}
    common = (before.keys() & after.keys()) - reworded
    here, there = set(base.rows["vantage"]), set(new.rows["vantage"])
    said = [
        f"{new.label}: {what}: from {', '.join(sorted(places))}"
        for what, places in (("only in base, not compared", here - there), ("only in new, not compared", there - here))
        if places and here and there
    ]
    said += [
        f"{new.label}: {what}: {', '.join(sorted({case for case, _ in keys}))}"
        for what, keys in (
            ("only in base, not compared", before.keys() - after.keys()),
            ("only in new, not compared", after.keys() - before.keys()),
            ("asked in other words, not compared", reworded),
        )
        if keys
    ]
    shared = here & there
    return base.only(_within(base, common, shared)), new.only(_within(new, common, shared)), said


def _prompts(arm: Arm) -> dict[tuple[str, int], frozenset[str]]:
    asked = arm.rows.drop_duplicates([*STRATUM, "prompt"])
    prompts: dict[tuple[str, int], set[str]] = {}
    for case, turn, prompt in zip(asked["case"], asked["turn"], asked["prompt"].fillna(""), strict=True):
        prompts.setdefault((str(case), int(turn)), set()).add(prompt)
    return {question: frozenset(said - {""}) for question, said in prompts.items()}


def _differ(before: frozenset[str], after: frozenset[str]) -> bool:
    """Tell whether two questions are known to differ; a stripped journal does not tell what was asked."""
    return bool(before and after and before != after)


def _within(arm: Arm, keys: set[tuple[str, int]], vantages: set[str]) -> "pd.Series[bool]":
    asked = zip(arm.rows["case"], arm.rows["turn"], arm.rows["vantage"], strict=True)
    kept = [(str(case), int(turn)) in keys and vantage in vantages for case, turn, vantage in asked]
    return pd.Series(kept, index=arm.rows.index, dtype=bool)

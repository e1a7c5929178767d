"""The stored summary of a run, made without a table of its records, has the values of tables and comparisons."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.comparison_arms import STRATUM, arm_of, logs_of
from runner.analysis.comparison_warnings import keep_steady
from runner.analysis.intervals import Statistic
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.run_results import Run
from runner.analysis.stored_summary import LEVELS, MEDIANS, summarize_journal, summarize_run
from runner.core.record import Record
from runner.pricing.rates import Price, Rates
from runner.storage import journal
from runner.storage.journal import JOURNAL_FILE
from runner.storage.stored_summary import StoredFigure
from tests.support.crafted_runs import BASE, NEW, answered, failed, header, write_run

PRICES = {BASE: Price("USD", (Rates(Decimal(1), Decimal(3)),), "test").to_plain()}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Return requests of two targets, answered, empty or failed, with warm-ups and repeats of a round among them."""
    target, case = draw(st.sampled_from([BASE, NEW])), draw(st.sampled_from(["one", "two", "三"]))
    block = draw(st.integers(1, 9))
    if draw(st.integers(0, 4)) == 0:
        return failed(target, case, block)
    made = answered(target, case, block, draw(st.floats(0.001, 90)), draw(st.sampled_from(["", "a", "Hello world"])))
    return replace(
        made,
        identity=replace(made.identity, turn=draw(st.integers(1, 2))),
        warmup=draw(st.integers(0, 5)) == 0,
        input_tokens=draw(st.none() | st.integers(0, 9_000)),
        attempts=draw(st.integers(0, 2)),
        in_flight=2,
        response_model=draw(st.sampled_from([None, "a", "b"])),
        timestamps=replace(made.timestamps, sent=draw(st.integers(1, 10**10))),
    )


KINDS: list[dict[str, Any]] = [{}, {"load": {"ramp_s": 2.0}}, {"cache_probe": (0.0, 60.0)}]
"""Plain runs, those in which a closed loop fills, and cache probes."""


@given(st.lists(records(), max_size=40), st.sampled_from(KINDS))
def test_a_summary_has_the_figures_of_tables_and_comparisons(found: Sequence[Record], kind: dict[str, Any]) -> None:
    """Counts, medians with their intervals, costs and levels equal those of the run's table."""
    run = Run.of(header(targets=[NEW, BASE], prices=PRICES, release="mixed", **kind), found)
    stored = summarize_run(run, "1")
    assert [each.target for each in stored.targets] == [str(each.target) for each in run.summary]
    for each, told in zip(stored.targets, run.summary, strict=True):
        assert (each.n, each.failed) == (told.n, told.failed)
        medians = {name: getattr(told, f"{name.removesuffix('_s')}_p50") for name in MEDIANS}
        assert {name: each.medians.get(name) for name in MEDIANS} == {
            name: _stored(median) for name, median in medians.items()
        }
        costs = {
            cost.spent.currency: (str(cost.spent.amount), cost.n) for cost in run.costs if cost.target == told.target
        }
        assert each.costs == {currency: amount for currency, (amount, _) in costs.items()}
        assert each.cost_n == sum(n for _, n in costs.values())
        assert each.levels == pytest.approx(dict(_levels(run, told.target)), rel=1e-12)


def _stored(median: Statistic | None) -> StoredFigure | None:
    if median is None:
        return None
    ends = (median.interval.low, median.interval.high) if median.interval else (None, None)
    return StoredFigure(median.value, median.n, *ends)


def _levels(run: Run, target: MeasuredTarget) -> Iterator[tuple[str, float]]:
    """Yield the levels by the logarithms that comparisons use."""
    arm = arm_of(run.table, target, "arm")
    arm, _, _ = keep_steady(arm, arm)
    for column in LEVELS:
        logs = logs_of(arm, column)
        if len(logs):
            yield column, float(np.exp(logs.groupby(level=STRATUM).mean().mean()))


def test_a_run_that_lacks_requests_has_not_ended(tmp_path: Path) -> None:
    """Its journal has an end line, but fewer records than were planned."""
    folder = write_run(tmp_path / "run", [answered(BASE), answered(NEW)])
    path = folder / JOURNAL_FILE
    found = path.stat()
    assert summarize_journal(journal.read(folder), found, "1").ended
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if f'"{NEW}-one-1"' not in line))
    assert not summarize_journal(journal.read(folder), found, "1").ended


def test_places_are_targets_of_their_own(tmp_path: Path) -> None:
    """A run that two nodes sent in full has a row for each place; an unknown node has its own."""
    nodes = (("a", 0.2), ("b", 0.4), ("c", 0.8))
    records = [answered(BASE, block=at, ttft_s=ttft_s, node=node) for at, (node, ttft_s) in enumerate(nodes)]
    folder = write_run(tmp_path / "run", records, vantages={"a": "north", "b": "south"})
    stored = summarize_journal(journal.read(folder), (folder / JOURNAL_FILE).stat(), "1")
    levels = {each.target: each.levels["ttft_s"] for each in stored.targets}
    assert levels == pytest.approx({f"{BASE} from north": 0.2, f"{BASE} from south": 0.4, BASE: 0.8})

"""Results of a cache probe: paired ratios, cached tokens, savings, and repeats without reported cached tokens."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from runner.analysis.cache_probe import CacheStage, measure_caches, unreported_repeats
from runner.analysis.diff import diff_within
from runner.analysis.input_sizes import measure_inputs
from runner.analysis.run_results import Run
from runner.analysis.target_figures import target_figures
from runner.core.record import Record
from runner.outputs.text.caches_and_inputs import cache_table, describe_caches, describe_inputs
from runner.pricing.rates import Price, Rates
from tests.support.crafted_runs import BASE, NEW, answered, failed, run_of, simulated

IDLE_S = (0.0, 0.0, 60.0, 300.0)
RATIOS = (1.0, 0.25, 0.5, 1.0)
CACHED = (0, 4_000, 2_000, 0)
DOLLARS = Price("USD", (Rates(Decimal(10), Decimal(20), cached=Decimal(1), cache_write=Decimal(12)),), "x", None)


def at_turn(record: Record, turn: int) -> Record:
    """Return a record as another turn of its conversation."""
    identity = record.identity
    return replace(record, identity=replace(identity, turn=turn, key=f"{identity.key}-{turn}"))


def probe(rounds: int, target: str = BASE, sigma: float = 0.2, **more: Any) -> Iterator[Record]:
    """Yield the records of a cache probe whose rounds differ in speed, and whose stages have known ratios."""
    random = Random(target)
    for block in range(1, rounds + 1):
        slow = random.lognormvariate(0, sigma)
        for turn, (ratio, cached) in enumerate(zip(RATIOS, CACHED, strict=True), 1):
            counts = {"input_tokens": 5_000, "cached_tokens": cached, **more}
            yield at_turn(answered(target, block=block, ttft_s=0.4 * slow * ratio, **counts), turn)


def stages(records: Iterator[Record], **details: Any) -> tuple[CacheStage, ...]:
    """Return the stages of a run of these records."""
    return measure_caches(run_of(records, cache_probe=IDLE_S, **details))


def test_ratios_are_those_of_pairs() -> None:
    """The interval contains the ratio within rounds, although the rounds differ."""
    found = stages(probe(8, sigma=1.0))
    assert [stage.idle_s for stage in found] == [None, 0.0, 60.0, 300.0]
    assert [stage.ratio for stage in found] == [None, *(pytest.approx(ratio, rel=1e-4) for ratio in RATIOS[1:])]
    assert [(stage.n, stage.pairs) for stage in found] == [(8, 0), (8, 8), (8, 8), (8, 8)]
    once = found[1]
    assert once.interval is not None
    assert 0.2 < once.interval.low <= 0.25 <= once.interval.high < 0.3
    assert once.p is not None
    assert once.p < 0.02


def test_too_few_rounds_have_no_interval() -> None:
    """All of five pairs may lie on one side by chance."""
    assert {stage.interval for stage in stages(probe(5))} == {None}


def test_a_pair_without_a_first_text_is_left_out() -> None:
    """A failed request has no time, and later requests of its series were not sent."""
    records = [record for record in probe(7) if record.identity.block < 7]
    first, *_ = probe(7)
    broken = replace(failed(BASE, block=7), identity=replace(first.identity, block=7, repeat=7, key="f"))
    found = stages(iter([*records, broken]))
    assert [(stage.n, stage.pairs) for stage in found] == [(6, 0), (6, 6), (6, 6), (6, 6)]


def test_cached_tokens_are_counted_where_they_are_told() -> None:
    """The share is relative to the input; it is None, not 0, if the provider does not report cached tokens."""
    told, untold = stages(probe(6)), stages(probe(6, cached_tokens=None))
    assert [stage.cached_p50 and stage.cached_p50.value for stage in told] == [0, 4_000, 2_000, 0]
    assert [stage.cached_share for stage in told] == pytest.approx([0.0, 0.8, 0.4, 0.0])
    assert {(stage.cached_p50, stage.cached_share, stage.saving) for stage in untold} == {(None, None, None)}


def test_the_saving_is_that_of_the_input_by_the_price() -> None:
    """Of 5,000 tokens at 10 USD per million, 4,000 cost a tenth; writing 5,000 to a cache costs a fifth more."""
    prices = {BASE: DOLLARS.to_plain()}
    found = stages(probe(6, usage={"cache_creation_input_tokens": 0}), prices=prices)
    assert [stage.saving and stage.saving.of_1000.amount for stage in found] == [0, 36, 18, 0]
    assert found[1].saving is not None
    assert (round(found[1].saving.share, 6), found[1].saving.n) == (0.72, 6)
    written = stages(probe(6, usage={"cache_creation_input_tokens": 5_000}, cached_tokens=0), prices=prices)
    assert written[0].saving is not None
    assert written[0].saving.of_1000.amount == -10
    assert {stage.saving for stage in stages(map(simulated, probe(6)), prices=prices)} == {None}
    assert {stage.saving for stage in stages(probe(6))} == {None}


def test_each_target_has_its_stages_in_a_table() -> None:
    """The text names the requests, and n stands beside each ratio."""
    run = run_of([*probe(6), *probe(6, NEW)], cache_probe=IDLE_S, prices={BASE: DOLLARS.to_plain()})
    table = cache_table(run)
    assert table is not None
    assert [row[:3] for row in table.table.rows][:5] == [
        (BASE, "cold", "6"),
        (BASE, "again at once", "6"),
        (BASE, "again after 1 min", "6"),
        (BASE, "again after 5 min", "6"),
        (NEW, "cold", "6"),
    ]
    once = table.table.rows[1]
    assert once[4].startswith("0.25x [")
    assert once[4].endswith("(n 6)")
    assert once[5:] == ("4,000", "80.0 %", "36.00 USD, 72.0 %")
    assert table.table.rows[5][7] == "–"


def test_an_ordinary_run_has_no_stages() -> None:
    """A run that is not a cache probe has no stages and no table of them."""
    run = run_of(list(probe(6)))
    assert measure_caches(run) == ()
    assert cache_table(run) is None


# Remarks


def repeated(n: int, **more: Any) -> list[Record]:
    """Return the records of a prompt that was sent n times."""
    return [answered(block=block, **{"input_tokens": 900, "cached_tokens": None, **more}) for block in range(1, n + 1)]


def allowed(records: list[Record], **caches: str) -> Run:
    """Return a run whose caches were allowed, unless a keyword overrides it."""
    return run_of(records, caches={BASE: caches.get("use", "allow")})


def test_repeats_without_a_count_of_cached_tokens_are_a_finding() -> None:
    """The remark has the number of requests that repeat an earlier one."""
    run = allowed(repeated(4))
    assert {str(target): n for target, n in unreported_repeats(run).items()} == {BASE: 3}
    (sentence,) = describe_caches(run)
    assert sentence.startswith("prompts were sent again, and the provider reports no cached tokens: later repeats may")
    assert sentence.endswith(f"a cache that it does not report; repeats: {BASE} (n 3)")


@pytest.mark.parametrize(
    "run",
    [
        allowed(repeated(1)),
        allowed(repeated(4, cached_tokens=0)),
        allowed([*repeated(3), answered(block=4, input_tokens=900, cached_tokens=0)]),
        allowed(repeated(4), use="bust"),
        allowed(repeated(4), use="warm"),
        run_of(repeated(4)),
        allowed([simulated(record) for record in repeated(4, input_tokens=None)]),
        allowed([replace(record, warmup=True) for record in repeated(4)]),
    ],
    ids=["asked once", "told", "told once", "bust", "warm", "an older run", "a simulator without usage", "warm-ups"],
)
def test_other_runs_have_no_such_finding(run: Run) -> None:
    """There is no remark without repeats, if caches were busted or probed, or if the provider reports cached tokens."""
    assert unreported_repeats(run) == {}


def test_a_simulator_with_an_unreported_cache_is_a_finding() -> None:
    """It is treated like any provider."""
    assert len(unreported_repeats(allowed([simulated(record) for record in repeated(2)]))) == 1


def test_a_probe_finds_a_cache_that_is_not_reported() -> None:
    """Repeated prefixes are answered significantly sooner, and no cached token is reported."""
    (untold,) = describe_caches(run_of(list(probe(8, cached_tokens=None)), cache_probe=IDLE_S))
    assert untold.startswith(f"sooner with a repeated beginning, and no cached tokens reported: {BASE} 0.25x [")
    assert describe_caches(run_of(list(probe(8)), cache_probe=IDLE_S)) == []


def test_targets_are_compared_by_cold_requests_alone() -> None:
    """Repeated requests are counted and flagged, and enter no latency, ranking or comparison."""
    cold = list(probe(8))
    slower = [at_turn(answered(NEW, block=block, ttft_s=4.0), turn) for block in range(1, 9) for turn in (2, 3, 4)]
    same = [
        answered(NEW, block=each.identity.block, ttft_s=each.ttft_s or 0.0) for each in cold if each.identity.turn == 1
    ]
    records = [*cold, *same, *slower]
    run = run_of(records, cache_probe=IDLE_S)
    summaries = {str(each.target): each for each in run.summary}
    assert {name: (each.n, each.flags["repeated"]) for name, each in summaries.items()} == {
        BASE: (8 * len(IDLE_S), 8 * (len(IDLE_S) - 1)),
        NEW: (8 * len(IDLE_S), 8 * (len(IDLE_S) - 1)),
    }
    base, new = (summaries[name].ttft_p50 for name in (BASE, NEW))
    assert base is not None
    assert (base.n, base) == (8, new)
    assert all(len(figures.rows) == 8 for figures in target_figures(run))
    assert all(len(rows) == 8 for rows in run.timed.values())
    (found,) = [each for each in diff_within(run, BASE, NEW).findings if each.measure.name == "ttft_s"]
    assert found.n == (8, 8)
    assert found.change == pytest.approx(1.0)
    assert {("repeated" in str(row["flags"]), row["turn"] == 1) for row in run.rows} == {(True, False), (False, True)}


# Sized inputs


def test_the_report_has_requested_and_reached_sizes() -> None:
    """Each size and target has its reached size and n; a target without token counts is named."""
    records = [
        *(answered(BASE, block=n, input_tokens=980 + n) for n in (1, 2, 3)),
        *(answered(NEW, block=n) for n in (1, 2)),
        answered(BASE, "two", input_tokens=44),
    ]
    run = run_of(records, inputs={"one": {"tokens": 1_000, "text": "book.txt"}})
    assert [(str(each.target), each.lowest, each.highest, each.n) for each in measure_inputs(run)] == [
        (BASE, 981, 983, 3),
        (NEW, None, None, 2),
    ]
    assert describe_inputs(run) == [
        f"1,000 input tokens wanted of book.txt; reached: {BASE} 981 to 983 (n 3), {NEW} not reported (n 2)"
    ]


@pytest.mark.parametrize("damaged", [{"one": {}}, {"one": {"tokens": "x", "text": 3}}])
def test_sizes_of_a_damaged_header_are_left_out(damaged: dict[str, dict[str, object]]) -> None:
    """They are unknown."""
    assert describe_inputs(run_of([answered()], inputs=damaged)) == []

"""Tests of a cache probe in the outputs: its savings as JSON, its flags in every format, and the names of repeats."""

import json
from dataclasses import replace
from decimal import Decimal

from runner.analysis.diff import diff_runs
from runner.analysis.run_results import Run
from runner.analysis.snapshot import SuiteScope, compare_snapshot
from runner.core.record import Record
from runner.outputs import otel
from runner.outputs.diff import markdown as diff_markdown
from runner.outputs.json import stream, stream_lines
from runner.outputs.markdown import sections
from runner.outputs.side_by_side import compose_side_by_side
from runner.pricing.rates import Price, Rates
from tests.support.crafted_runs import BASE, answered, run_of

IDLE_S = (0.0, 0.0, 300.0)
NAMES = ["one", "one · again at once", "one · again after 5 min"]
DOLLARS = Price("USD", (Rates(Decimal(10), Decimal(20), cached=Decimal(1), cache_write=Decimal(12)),), "x", None)
STARTED = "2026-01-02T03:04:05.678+00:00"


def probe(reply: str = "Hello world", run_id: str = "base") -> Run:
    """Return the run of a cache probe of one case, which reports cached tokens."""
    records = [at_turn(answered(reply=reply, block=block), turn) for block in (1, 2) for turn in (1, 2, 3)]
    prices = {BASE: DOLLARS.to_plain()}
    return run_of(records, run_id, cache_probe=IDLE_S, prices=prices)


def at_turn(record: Record, turn: int) -> Record:
    """Return a record as another turn, with cached tokens from the second on."""
    identity = record.identity
    return replace(
        record,
        identity=replace(identity, turn=turn, key=f"{identity.key}-{turn}"),
        started_at=STARTED,
        input_tokens=5_000,
        cached_tokens=4_000 if turn > 1 else 0,
    )


def test_savings_are_in_the_json_document() -> None:
    """An amount of money is text with its currency, as in the document of a plan."""
    first, again, _later = json.loads("".join(stream(probe())))["caches"]
    assert first["saving"]["of_1000"] == {"amount": "0.00", "currency": "USD"}
    assert again["saving"]["of_1000"]["currency"] == "USD"
    assert Decimal(again["saving"]["of_1000"]["amount"]) > 0
    assert again["saving"]["n"] == 2


def test_every_format_of_rows_has_the_flags_of_the_table() -> None:
    """That a request is a repeat follows from the run, not from its record."""
    run = probe()
    expected = [row["flags"] for row in run.rows]
    assert expected[:3] == [None, "cached;repeated", "cached;repeated"]
    assert [json.loads(line)["flags"] for line in stream_lines(run)] == expected
    spans = [
        json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for line in otel.write(run).text.splitlines()
    ]
    flags = [{each["key"]: each["value"] for each in span["attributes"]}.get("compare.flags") for span in spans]
    assert [each and each["stringValue"] for each in flags] == expected


def test_repeats_are_named_alike_everywhere() -> None:
    """They are no further turns of a conversation."""
    run, other = probe(), probe("Other words entirely", "new")
    assert [row.label for row in run.grid] == NAMES
    assert [turn.label for turn in compose_side_by_side(run.frame, (BASE,), idles=IDLE_S).turns] == NAMES
    assert all(f"| {name} " in "\n".join(sections(run)) for name in NAMES)
    comparisons = compare_snapshot({}, run, SuiteScope({"one": 1}, None))
    assert [str(each.question) for each in comparisons] == [f"{name} · {BASE}" for name in NAMES]
    assert "one · again after 5 min" in diff_markdown.write(diff_runs(run, other))

"""Tables of records, and statistics of tables."""

from dataclasses import replace
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.dataframe import frame_of_records, rows_of
from runner.analysis.intervals import Statistic
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.result_columns import COLUMNS, row
from runner.analysis.run_results import Run
from runner.analysis.side_by_side import grid_of_table
from runner.analysis.summary import (
    ErrorAdjustedPercentile,
    summarize,
    summarize_failures,
)
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.outputs.text.summary import tabulate_summary
from tests.support.crafted_runs import header

DOCUMENTED_COLUMNS = """
run_id, suite, case, turn, repeat, block, provider, model, variant, response_model, served_by,
system_fingerprint, service_tier, simulated, node, region, outcome,
error_type,
http_status, finish_reason, attempts, in_flight, planned_s, queue_s, backoff_s, dns_s, tcp_s, tls_s, reused, upload_s,
headers_s, ttfc_s, ttft_s, ttfa_s, tool_call_s, total_s, tpot_s, output_tps, output_cps, gap_p50_s, gap_p99_s,
gap_max_s, client_error_s, clock,
flags, input_tokens, output_tokens, reasoning_tokens, cached_tokens, tokens_source, chars, chunks, cost, currency,
checks_passed, checks_failed, started_at, request_id, prompt, reply, tool_calls, reasoning,
error
"""

HEADER = header("run-1", ("a/x", "b/y"), planned_requests=4)
IDENTITY = Identity(key="k", case="one", turn=1, repeat=1, block=1, provider="a", model="x", prompt="Hi")
SECOND = 1_000_000_000
A_X, B_Y = MeasuredTarget("a/x"), MeasuredTarget("b/y")


def ok_record(ttft_s: float = 0.3, **details: object) -> Record:
    """Return an ok record of two words, half a second apart."""
    first_us = round(ttft_s * 1e6)
    record = Record(
        identity=IDENTITY,
        timestamps=Timestamps(
            sent=SECOND, headers=SECOND, first_event=SECOND, last_event=SECOND + (first_us + 500_000) * 1000
        ),
        outcome=Outcome.OK,
        text_events=TextEvents((first_us, first_us + 500_000), "aa", (6, 5)),
        reply="Hello world",
        output_tokens=3,
    )
    return replace(record, **details)  # type: ignore[arg-type]


def identified(**details: object) -> Identity:
    """Return the identity of another request."""
    return replace(IDENTITY, **details)  # type: ignore[arg-type]


def test_columns_are_the_documented_ones_in_their_order() -> None:
    """The table has exactly the documented columns."""
    documented = DOCUMENTED_COLUMNS.replace("\n", " ").strip().split(", ")
    assert [column.name for column in COLUMNS] == [name.strip() for name in documented]
    assert list(frame_of_records(HEADER, [ok_record()]).columns) == [column.name for column in COLUMNS]


def test_row_has_observations_and_derived_figures() -> None:
    """Cells without a value are None."""
    cells = row(HEADER, ok_record(noted=("retired_model", "compressed"), backoff_ns=2 * SECOND))
    expected = {
        "run_id": "run-1",
        "provider": "a",
        "outcome": "ok",
        "simulated": False,
        "ttft_s": 0.3,
        "total_s": 0.8,
        "tpot_s": pytest.approx(0.5 / (3 * 5 / 11)),  # of 3 tokens, the part beyond 6 of 11 characters
        "output_tps": pytest.approx(3 * 5 / 11 / 0.5),
        "output_cps": 10.0,
        "gap_p50_s": 0.5,
        "backoff_s": 2.0,
        "flags": "compressed;retired_model",
        "chars": 11,
        "dns_s": None,
        "cost": None,
        "error": None,
    }
    assert {name: cells[name] for name in expected} == expected


def test_column_types_do_not_depend_on_the_rows() -> None:
    """Full rows, blank ones and no rows give the same types."""
    blank = Record(identity=IDENTITY, timestamps=Timestamps(), outcome=Outcome.CANCELLED)
    tables = [frame_of_records(HEADER, [ok_record()]), frame_of_records(HEADER, [blank]), frame_of_records(HEADER, [])]
    assert len({tuple(map(str, table.dtypes)) for table in tables}) == 1
    types = tables[0].dtypes
    assert [str(types[name]) for name in ("turn", "ttft_s", "reused", "reply")] == [
        "Int64",
        "float64",
        "boolean",
        "string",
    ]


def test_absent_cells_are_missing_and_never_zero() -> None:
    """An empty reply is not missing."""
    table = frame_of_records(HEADER, [Record(identity=IDENTITY, timestamps=Timestamps(), outcome=Outcome.OK, reply="")])
    assert table[["ttft_s", "total_s", "output_tokens", "reused", "reasoning", "error"]].isna().all(axis=None)
    assert table["reply"].tolist() == [""]
    assert table["flags"].tolist() == ["no_answer"]


def test_rows_of_a_table_are_those_it_was_made_of() -> None:
    """They have plain Python values of the same types."""
    records = [
        ok_record(),
        Record(identity=IDENTITY, timestamps=Timestamps(), outcome=Outcome.TIMEOUT, reply="half \ud83d"),
    ]
    rows = [row(HEADER, record) for record in records]
    given_back = list(rows_of(frame_of_records(HEADER, records)))
    assert given_back == rows
    assert [list(map(type, cells.values())) for cells in given_back] == [list(map(type, r.values())) for r in rows]


def test_only_ok_and_length_are_timed_and_all_outcomes_counted() -> None:
    """Warm-ups are neither timed nor counted."""
    records = [
        ok_record(0.1),
        ok_record(0.3, outcome=Outcome.LENGTH),
        ok_record(9.0, outcome=Outcome.TIMEOUT),
        ok_record(9.0, outcome=Outcome.TRUNCATED),
        ok_record(9.0, warmup=True),
    ]
    summary, silent = summarize(frame_of_records(HEADER, records), (A_X, B_Y))
    assert (summary.n, summary.ok, summary.timed, summary.failed, summary.warmups) == (4, 1, 2, 2, 1)
    assert summary.outcomes == {"ok": 1, "length": 1, "truncated": 1, "timeout": 1}
    assert summary.ttft_p50 == Statistic("p50", 0.2, 2)
    assert summary.ttft_p95 == Statistic("max", 0.3, 2)
    assert (silent.target, silent.n, silent.ttft_p50) == (B_Y, 0, None)


def test_each_statistic_has_its_own_n() -> None:
    """A request without a figure is missing from that figure's sample alone."""
    burst = ok_record(text_events=TextEvents((300_000, 300_100, 300_200), "aaa", (1, 1, 1)))
    (summary,) = summarize(frame_of_records(HEADER, [ok_record(), burst, ok_record(noted=("not_streamed",))]))
    assert summary.total_p50 == Statistic("p50", 0.8, 3)
    assert summary.ttft_p50 == Statistic("p50", 0.3, 2)
    assert summary.output_tps_p50 is not None
    assert summary.output_tps_p50.n == 1
    assert summary.output_tps_p50.value == pytest.approx(3 * 5 / 11 / 0.5)
    assert summary.flags == {"buffered": 1, "not_streamed": 1}


RECORDS = st.lists(
    st.builds(
        ok_record,
        ttft_s=st.floats(0.001, 100),
        outcome=st.sampled_from(Outcome),
        warmup=st.booleans(),
        error=st.sampled_from([None, "one", "two"]),
        identity=st.builds(identified, model=st.sampled_from("xyz"), repeat=st.integers(1, 3)),
    ),
    max_size=30,
)


@given(st.data(), RECORDS)
def test_order_of_records_changes_no_statistic(data: st.DataObject, records: list[Record]) -> None:
    """Summary and failures are the same in whatever order requests finished."""
    shuffled = data.draw(st.permutations(records))
    one, other = Run.of(HEADER, records), Run.of(HEADER, shuffled)
    assert one.summary == other.summary
    assert one.failures == other.failures


@given(RECORDS)
def test_outcomes_add_up_to_the_requests(records: list[Record]) -> None:
    """Outcomes add up to the requests made, failures to the requests not timed."""
    run = Run.of(HEADER, records)
    counted = [record for record in records if not record.warmup]
    assert sum(sum(each.outcomes.values()) for each in run.summary) == len(counted)
    assert sum(failure.count for failure in run.failures) == sum(not record.timed for record in counted)


def test_equal_failures_are_counted_together() -> None:
    """Each has the provider's message; the most frequent of a target comes first."""
    slow = ok_record(outcome=Outcome.RATE_LIMITED, error="slow down", http_status=429)
    refused = ok_record(outcome=Outcome.AUTH, error="bad key", http_status=401)
    gathered = summarize_failures(
        frame_of_records(HEADER, [refused, slow, ok_record(), slow, ok_record(outcome=Outcome.CANCELLED)])
    )
    assert [(f.count, f.outcome, f.http_status, f.error) for f in gathered] == [
        (2, "rate_limited", 429, "slow down"),
        (1, "auth", 401, "bad key"),
        (1, "cancelled", None, None),
    ]


def test_side_by_side_shows_the_first_ok_repeat() -> None:
    """An ok repeat is preferred to an earlier failure, a cut one to a failure; warm-ups are left out."""
    failed = ok_record(outcome=Outcome.AUTH, reply=None)
    second = ok_record(identity=identified(repeat=2), reply="second")
    third = ok_record(identity=identified(repeat=3))
    (row_,) = grid_of_table(frame_of_records(HEADER, [ok_record(warmup=True), third, second, failed]))
    assert row_.replies[A_X]["reply"] == "second"
    (row_,) = grid_of_table(frame_of_records(HEADER, [failed, replace(second, outcome=Outcome.LENGTH)]))
    assert row_.replies[A_X]["outcome"] == "length"


def test_side_by_side_is_in_the_suites_order() -> None:
    """Cases and turns are in their order; a target without a request is absent."""
    identities = [
        identified(case="two", turn=2),
        identified(case="unplanned"),
        identified(case="two", provider="b", model="y"),
        identified(case="one"),
    ]
    rows = grid_of_table(
        frame_of_records(HEADER, [ok_record(identity=identity) for identity in identities]), ("one", "two")
    )
    assert [(row_.label, list(row_.replies)) for row_ in rows] == [
        ("one", [A_X]),
        ("two", [B_Y]),
        ("two · turn 2", [A_X]),
        ("unplanned", [A_X]),
    ]


def test_any_simulated_row_makes_a_run_simulated() -> None:
    """A run is simulated if its header says so, or any row."""
    simulated = ok_record(identity=identified(simulated=True))
    assert not Run.of(HEADER, [ok_record()]).simulated
    assert Run.of(HEADER, [ok_record(), simulated]).simulated
    assert Run.of(replace(HEADER, simulated=True), []).simulated


def test_table_with_replies_adds_only_replies() -> None:
    """Each reply stands in the row of its request."""
    run = Run.of(
        HEADER, [ok_record(reply="one"), ok_record(outcome=Outcome.AUTH, reply=None), ok_record(reply="three")]
    )
    assert {*run.table_with_replies.columns} - {*run.table.columns} == {"reply", "tool_calls"}
    assert run.table_with_replies["reply"].equals(run.frame["reply"])
    assert "reasoning" not in run.table_with_replies


def test_table_works_with_plain_pandas() -> None:
    """Filters and grouping work, missing cells included."""
    table = frame_of_records(
        HEADER, [ok_record(), ok_record(0.5), ok_record(identity=identified(model="z"), outcome=Outcome.AUTH)]
    )
    medians = table[table["outcome"] == "ok"].groupby("model")["ttft_s"].median()
    assert isinstance(medians, pd.Series)
    assert medians.to_dict() == {"x": 0.4}


def test_figures_have_an_interval_where_the_sample_is_large_enough() -> None:
    """Six requests, one a round, are enough for the interval of a median, and 99 for that of a 95th percentile."""
    random = Random(1)
    records = [ok_record(0.1 + random.random(), identity=identified(block=number)) for number in range(1, 100)]
    (few,) = summarize(frame_of_records(HEADER, records[:5]))
    (six,) = summarize(frame_of_records(HEADER, records[:6]))
    (many,) = summarize(frame_of_records(HEADER, records), percents=(90, 95, 99))
    assert few.ttft_p50 is not None
    assert few.ttft_p50.interval is None
    assert six.ttft_p50 is not None
    assert six.ttft_p50.interval is not None
    assert six.ttft_p50.value in six.ttft_p50.interval
    assert [each.name for each in many.ttft_percentiles] == ["p90", "p95", "max"]
    assert [each.interval is not None for each in many.ttft_percentiles] == [True, True, False]
    assert {each.n for each in many.ttft_percentiles} == {99}


def test_error_adjusted_percentiles_count_a_failure_as_never_answered() -> None:
    """If two of ten requests failed, the 80th percentile is the slowest reply and the 90th is None."""
    answered = [ok_record(0.1 * number) for number in range(1, 9)]
    failed = [ok_record(outcome=Outcome.TIMEOUT), ok_record(outcome=Outcome.PROVIDER_ERROR)]
    aside = [ok_record(outcome=Outcome.CANCELLED), ok_record(outcome=Outcome.SKIPPED), ok_record(9.0, warmup=True)]
    (summary,) = summarize(frame_of_records(HEADER, [*failed, *answered, *aside]), percents=(80, 90))
    assert summary.ttft_adjusted == (
        ErrorAdjustedPercentile("p50", 0.5, 10),
        ErrorAdjustedPercentile("p80", 0.8, 10),
        ErrorAdjustedPercentile("p90", None, 10),
    )
    assert summarize(frame_of_records(HEADER, answered))[0].ttft_adjusted == ()


@given(st.integers(1, 40), st.integers(0, 40), st.sampled_from([50.0, 75.0, 90.0]))
def test_error_adjusted_percentile_is_numpys_with_infinity(answered: int, failed: int, percent: float) -> None:
    """It is the inverted CDF of the replies with an infinity for each failure."""
    records = [ok_record(0.1 * number) for number in range(1, answered + 1)]
    records += [ok_record(outcome=Outcome.TIMEOUT) for _ in range(failed)]
    (summary,) = summarize(frame_of_records(HEADER, records), percents=(percent,))
    for each in summary.ttft_adjusted:
        share = 1.0 if each.name == "max" else float(each.name.removeprefix("p")) / 100
        values = [0.1 * number for number in range(1, answered + 1)] + [np.inf] * failed
        expected = np.quantile(values, max(share - 1e-9, 0), method="inverted_cdf")
        assert (np.inf if each.value is None else each.value) == pytest.approx(expected)


def test_a_question_may_have_half_a_character_in_its_name() -> None:
    """Its slow requests are counted, whether or not pandas stores texts in pyarrow."""
    times = zip((1, 2, 3), (0.3, 0.9, 0.3), strict=True)
    records = [ok_record(ttft_s, identity=identified(case="half \ud800", block=block)) for block, ttft_s in times]
    (summary,) = summarize(frame_of_records(HEADER, records))
    assert summary.slow is not None
    assert summary.slow.value == pytest.approx(1 / 3)


def test_slow_requests_took_twice_the_median_of_their_question() -> None:
    """The median is over all targets, of TTFT or of total; other questions do not count."""
    records = [
        ok_record(ttft_s, identity=identified(provider=provider, model=model, case=case, block=block))
        for block in range(1, 11)
        for provider, model, case, ttft_s in (
            ("a", "x", "one", 0.3),
            ("b", "y", "one", 0.9 if block > 6 else 0.3),
            ("a", "x", "two", 2.0),
            ("b", "y", "two", 2.0),
        )
    ]
    fast, tail = (summary.slow for summary in summarize(frame_of_records(HEADER, records)))
    assert fast is not None
    assert tail is not None
    assert (fast.value, fast.n, tail.value, tail.n) == (0.0, 20, 0.2, 20)
    assert fast.interval is not None
    assert tail.interval is not None
    assert fast.interval.low == pytest.approx(0)
    assert 0.2 in tail.interval
    assert tail.interval.high > 0.41  # wider than that of 20 independent requests
    (few,) = summarize(frame_of_records(HEADER, records[:4:2]))
    assert few.slow is not None
    assert few.slow.interval is None
    table = tabulate_summary(summarize(frame_of_records(HEADER, records)))
    assert [row[table.headings.index("slow")][:6] for row in table.rows] == ["0.0 % ", "20.0 %"]

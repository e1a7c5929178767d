"""Beside every failure stands what to do about it, wherever a person meets it."""

from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.analysis.run import Run
from runner.analysis.workers import WORKER_LOST
from runner.cli.progress import describe
from runner.core.events import TIMED, Outcome
from runner.core.hints import HINTS, OUTCOME_HINTS, hint_for
from runner.core.record import Identity, Record, Timestamps
from runner.core.suite import Timeouts
from runner.outputs import WRITERS
from runner.outputs.terminal import render_summary
from runner.storage.journal import Header
from runner.wire.causes import CAUSES
from runner.wire.connection_failure import STAGES, WORDS

SPENT = Record(
    Identity("k", "hello", 1, 1, 1, "zhipu", "glm-5.3", "Hello"),
    Timestamps(sent=1),
    Outcome.AUTH,
    error_type="balance",
    error="余额不足",
    error_code="1113",
    http_status=429,
)
HEADER = Header(
    run_id="run-1",
    suite="basic",
    digest="d1",
    seed=7,
    started_at="2026-11-22T12:00:00+08:00",
    simulated=False,
    repeat=1,
    targets=("zhipu/glm-5.3",),
    cases=("hello",),
    planned_requests=3,
)


def test_every_kind_of_failure_has_a_hint() -> None:
    """Every cause, stage and timeout that a row can name is in the table, and nothing else is."""
    stages = {stage for _, stage in STAGES}
    assert set(HINTS) == {*CAUSES, *stages, *Timeouts.__dataclass_fields__, WORKER_LOST}
    assert set(WORDS) == stages


def test_advice_is_one_clause() -> None:
    """The clause says what is wrong, at whom, by which code, what to do, and what has been tried."""
    spent = hint_for("zhipu", "auth", "balance", code="1113")
    assert spent == "balance used up at zhipu (code 1113): top up; not retried"
    busy = hint_for("vllm", "provider_error", "overloaded", attempts=3)
    assert busy == "overloaded at vllm: try again later; given up after 3 attempts"
    assert "`compare providers --models openai`" in str(hint_for("openai", "not_found", "model"))


@pytest.mark.parametrize(
    ("outcome", "advised"),
    [(Outcome.TRUNCATED, True), (Outcome.FILTERED, True), (Outcome.CANCELLED, False), (Outcome.SKIPPED, False)],
)
def test_some_outcomes_need_no_kind(outcome: Outcome, advised: bool) -> None:
    """A reply that broke off needs advice without an error; what a person did needs none."""
    assert (hint_for("vllm", outcome, None) is not None) is advised


@given(st.sampled_from(Outcome), st.sampled_from([*HINTS, "kind of a later version", None]), st.text(max_size=9))
def test_any_failure_is_survived(outcome: Outcome, error_type: str | None, code: str) -> None:
    """Whatever a journal holds, advice is a line without a gap in it, or none."""
    advice = hint_for("vllm", outcome, error_type, code=code)
    known = error_type in HINTS or outcome in OUTCOME_HINTS
    assert (advice is not None) is known
    assert "{" not in str(advice).replace(code, "")


def test_good_ends_need_no_advice() -> None:
    """What is timed has not failed."""
    assert not set(OUTCOME_HINTS) & TIMED


def test_progress_says_what_to_do_with_the_providers_own_code() -> None:
    """The line of a failed request ends with the clause."""
    advice = "balance used up at zhipu (code 1113): top up; not retried"
    assert describe(SPENT) == f"zhipu/glm-5.3  hello  auth 429: 余额不足 · {advice}"
    silent = replace(SPENT, error=None, error_type=None, http_status=None, outcome=Outcome.SKIPPED)
    assert describe(silent) == "zhipu/glm-5.3  hello  skipped: no reason given"


def rendered(run: Run) -> dict[str, str]:
    """Return what a person reads of a run, by where."""
    console = Console(file=StringIO(), width=200)
    console.print(render_summary(run))
    return {
        "terminal": console.file.getvalue(),  # type: ignore[attr-defined]
        "markdown": WRITERS[".md"](run),
        "html": WRITERS[".html"](run),
    }


@pytest.mark.parametrize("place", ["terminal", "markdown", "html"])
def test_summaries_say_what_to_do(place: str) -> None:
    """Failures told alike are one line with one clause; those that were tried more often are another."""
    records = [SPENT, SPENT, replace(SPENT, attempts=3)]
    text = rendered(Run.of(HEADER, records))[place]
    assert text.count("balance used up at zhipu: top up; not retried") == 1
    assert text.count("balance used up at zhipu: top up; given up after 3 attempts") == 1
    assert "2 × key or balance refused (balance, HTTP 429)" in text

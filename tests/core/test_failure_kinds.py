"""Hints on failed requests: their table, and every place that shows them."""

from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.analysis.cluster_workers import WORKER_LOST
from runner.analysis.run_results import Run
from runner.cli.progress import describe_record
from runner.core.events import TIMED, Outcome
from runner.core.failure_kinds import FAILURE_KINDS, OUTCOME_HINTS, hint_for
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.core.suite import Timeouts
from runner.outputs import WRITERS
from runner.outputs.terminal import render_summary
from runner.wire.connection_failures import DESCRIPTIONS, STAGES
from runner.wire.decoders.provider_failures import BASE_RESP_CODES, CAPS, CODES, PHRASES, STATUSES, TYPES
from tests.support.crafted_runs import header

SPENT = Record(
    Identity("k", "hello", 1, 1, 1, "zhipu", "glm-5.3", "Hello"),
    Timestamps(sent=1),
    Outcome.AUTH,
    error_type="balance",
    error="余额不足",
    error_code="1113",
    http_status=429,
)
HEADER = header("run-1", ("zhipu/glm-5.3",), cases=("hello",), planned_requests=3)


def test_every_error_type_is_a_kind_of_failure() -> None:
    """Every code, stage and timeout that a row can name is in the table."""
    stages = {stage for _, stage in STAGES}
    codes = (*STATUSES.values(), *CODES.values(), *BASE_RESP_CODES.values(), *TYPES.values())
    phrases = (kind for kind, _ in (*CAPS, *PHRASES))
    assert {*codes, *phrases, *stages, *Timeouts.__dataclass_fields__, WORKER_LOST} <= FAILURE_KINDS.keys()
    assert set(DESCRIPTIONS) == stages
    assert all(FAILURE_KINDS[stage].outcome is Outcome.CONNECTION for stage in stages)


def test_a_hint_is_one_clause() -> None:
    """The clause has the problem, the provider, its code, what to do, and the number of attempts."""
    spent = hint_for("zhipu", "auth", "balance", code="1113")
    assert spent == "balance used up at zhipu (code 1113): top up; not retried"
    busy = hint_for("vllm", "provider_error", "overloaded", attempts=3)
    assert busy == "overloaded at vllm: try again later; given up after 3 attempts"
    assert "`compare providers --models openai`" in str(hint_for("openai", "not_found", "model"))


@pytest.mark.parametrize(
    ("outcome", "advised"),
    [(Outcome.TRUNCATED, True), (Outcome.FILTERED, True), (Outcome.CANCELLED, False), (Outcome.SKIPPED, False)],
)
def test_outcomes_without_error_type_have_a_hint_if_one_helps(outcome: Outcome, advised: bool) -> None:
    """A truncated or filtered reply has a hint; a cancelled or skipped one has none."""
    assert (hint_for("vllm", outcome, None) is not None) is advised


@given(
    st.sampled_from(Outcome), st.sampled_from([*FAILURE_KINDS, "kind of a later version", None]), st.text(max_size=9)
)
def test_a_hint_for_any_failure_is_complete_or_none(outcome: Outcome, error_type: str | None, code: str) -> None:
    """For any content of a journal, no placeholder is left unfilled."""
    advice = hint_for("vllm", outcome, error_type, code=code)
    known = error_type in FAILURE_KINDS or outcome in OUTCOME_HINTS
    assert (advice is not None) is known
    assert "{" not in str(advice).replace(code, "")


def test_successful_outcomes_have_no_hint() -> None:
    """No outcome that enters timing statistics has a hint."""
    assert not set(OUTCOME_HINTS) & TIMED


def test_progress_line_of_a_failure_ends_with_its_hint() -> None:
    """The hint includes the provider's own error code."""
    advice = "balance used up at zhipu (code 1113): top up; not retried"
    assert describe_record(SPENT) == f"zhipu/glm-5.3  hello  auth 429: 余额不足 · {advice}"
    silent = replace(SPENT, error=None, error_type=None, http_status=None, outcome=Outcome.SKIPPED)
    assert describe_record(silent) == "zhipu/glm-5.3  hello  skipped: without a message"


def rendered(run: Run) -> dict[str, str]:
    """Return the text of a run in each output, by the output's name."""
    console = Console(file=StringIO(), width=200)
    console.print(render_summary(run))
    return {
        "terminal": console.file.getvalue(),  # type: ignore[attr-defined]
        "markdown": WRITERS[".md"](run),
        "html": WRITERS[".html"](run),
    }


@pytest.mark.parametrize("place", ["terminal", "markdown", "html"])
def test_summaries_show_a_hint_for_each_kind_of_failure(place: str) -> None:
    """Equal failures share one line with one hint; those with another number of attempts have their own."""
    records = [SPENT, SPENT, replace(SPENT, attempts=3)]
    text = rendered(Run.of(HEADER, records))[place]
    assert text.count("balance used up at zhipu: top up; not retried") == 1
    assert text.count("balance used up at zhipu: top up; given up after 3 attempts") == 1
    assert "2 × key or balance refused (balance, HTTP 429)" in text

"""Token counts: those of any provider fit every table, or are absent."""

import json
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.run_results import Run
from runner.core.events import Outcome, Usage
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.outputs import WRITERS
from runner.storage import journal
from runner.wire.decoders.response_decoder import ResponseDecoder
from tests.support.crafted_runs import header

COUNTS = ("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens")
ANY_COUNT = st.integers() | st.integers(2**52, 2**65) | st.floats() | st.booleans() | st.none()


def decode_usage_chunk(usage: object) -> Usage | None:
    """Return the usage event of a stream with one chunk; NaN and Infinity are written as Python writes them."""
    decoder = ResponseDecoder(200, {})
    body = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    events = [*decoder.feed(1, body), *decoder.close(2)]
    return next((event for event in events if isinstance(event, Usage)), None)


@given(st.fixed_dictionaries(dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), ANY_COUNT)))
def test_every_token_count_fits_64_bits(counted: dict[str, object]) -> None:
    """A count of any provider is a whole number of 64 bits, or absent."""
    usage = decode_usage_chunk(counted)
    counts = [] if usage is None else [getattr(usage, name) for name in COUNTS]
    assert pd.Series(counts, dtype="Int64").dropna().ge(0).all()


def test_absurd_token_counts_reach_the_journal_and_no_table(tmp_path: Path) -> None:
    """Counts beyond all bounds are kept in the journal as they were sent, and every output can be written."""
    usage = decode_usage_chunk({"prompt_tokens": 2**63, "completion_tokens": 10**30, "total_tokens": 7})
    assert usage is not None
    record = Record(
        Identity("k", "hello", 1, 1, 1, "zhipu", "glm-5.3", "Hello"),
        Timestamps(sent=1),
        Outcome.OK,
        **{name: getattr(usage, name) for name in COUNTS},
        usage=dict(usage.raw),
    )
    with journal.JournalWriter(tmp_path) as writer:
        writer.append_header(header(targets=("zhipu/glm-5.3",)))
        writer.append_record(record)
    run = Run.of_journal(journal.read(tmp_path / journal.JOURNAL_FILE))
    assert run.frame[list(COUNTS)].isna().all(axis=None)
    assert all(write(run) for write in WRITERS.values())

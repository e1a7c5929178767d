"""The time to the first 100 tokens: whole replies compared at equal length, since the shortest one ends first."""

from collections.abc import Iterable
from itertools import accumulate

import pandas as pd

from runner.core.record import Record
from runner.core.token_estimate import likely_tokens

TOKENS = 100
COLUMN = "to_100_tokens_s"
"""A column of tables made here; it is derived from a journal's records, and not a column of results."""


def time_to_tokens(record: Record) -> float | None:
    """Return the seconds from `sent` until 100 tokens had come; None where the reply has fewer, or was no stream.

    Thinking counts, since it is streamed, too. A token is taken for as many characters as the reply's tokens have on
    average, by the provider's count; without one, by a rule of thumb.
    """
    if not record.timed or record.ttft_s is None:
        return None
    events = record.text_events
    characters = sum(events.lengths)
    counted = record.streamed_tokens or likely_tokens((record.reasoning or "") + (record.reply or ""))
    if counted < TOKENS or characters == 0:
        return None
    wanted = characters * TOKENS / counted
    reached = zip(events.at_us, accumulate(events.lengths), strict=True)
    return next((at_us / 1e6 for at_us, so_far in reached if so_far >= wanted), None)


def with_time_to_tokens(table: pd.DataFrame, records: Iterable[Record]) -> pd.DataFrame:
    """Return the table of these records, in their order, with the time to the first 100 tokens of each."""
    return table.assign(**{COLUMN: pd.Series([time_to_tokens(each) for each in records], table.index, dtype=float)})

"""The time to the first 100 tokens, which compares replies at equal length, because the shortest one ends first."""

from collections.abc import Iterable
from itertools import accumulate

import pandas as pd

from runner.core.record import Record
from runner.core.token_estimate import likely_tokens

TOKENS = 100
COLUMN = "to_100_tokens_s"
"""Column that is added to tables here. It is derived from a journal's records and is not a result column."""


def time_to_tokens(record: Record) -> float | None:
    """Return the seconds from `sent` to the 100th token; None if the reply has fewer or was not streamed.

    Reasoning counts, because it is streamed as well. A token is assumed to have the reply's mean number of characters
    per token, by the provider's count, or else by a rule of thumb.
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
    """Return a table with the time to the first 100 tokens of each row; `records` are in the order of the rows."""
    return table.assign(**{COLUMN: pd.Series([time_to_tokens(each) for each in records], table.index, dtype=float)})

"""The event loop's lateness is measured, and reported only for timestamps that it can have made wrong."""

import asyncio
import time
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from runner.engine.event_loop_lateness import NEGLIGIBLE_NS, PERIOD_NS, LateSpans, doubtful_timestamps, measure_lateness

MS = 1_000_000
steps = st.lists(st.integers(0, 30 * MS), min_size=1, max_size=30)


@given(steps, st.lists(st.tuples(st.integers(0, 20 * MS), st.integers(0, 20 * MS)), max_size=20))
def test_worst_lateness_is_that_of_the_spans_that_hold_a_timestamp(
    timestamp_steps: list[int], ticks: list[tuple[int, int]]
) -> None:
    """A late tick counts if, and only if, a timestamp lies between its due time and one period after it ran.

    It counts with the period before it, in which the loop may have been busy already.
    """
    timestamps_ns = list(accumulate(timestamp_steps))
    spans, at_ns, worst_ns = LateSpans(), 0, NEGLIGIBLE_NS
    for wait_ns, late_ns in ticks:
        due_ns = at_ns + wait_ns
        at_ns = due_ns + late_ns
        spans.add(due_ns, at_ns)
        if any(due_ns <= timestamp_ns <= at_ns + PERIOD_NS for timestamp_ns in timestamps_ns):
            worst_ns = max(worst_ns, late_ns + PERIOD_NS if late_ns >= NEGLIGIBLE_NS else 0)

    assert spans.worst_ns(timestamps_ns) == worst_ns


@given(steps, st.data())
def test_only_shared_kernel_timestamps_are_doubtful(timestamp_steps: list[int], data: st.DataObject) -> None:
    """A read with one piece of text has an exact timestamp; one with several has the time of the last."""
    timestamps_ns = list(accumulate(timestamp_steps))

    shared = data.draw(st.sets(st.sampled_from(timestamps_ns)))
    assert set(doubtful_timestamps(timestamps_ns, shared, by_kernel=True)) == shared
    assert list(doubtful_timestamps(timestamps_ns, shared, by_kernel=False)) == timestamps_ns


def test_blocked_loop_is_detected() -> None:
    """A timestamp taken while the loop was blocked for 30 ms may be late by most of that."""

    async def block() -> int:
        with measure_lateness() as late:
            await asyncio.sleep(0.01)
            timestamp_ns = time.perf_counter_ns() + 20 * MS
            time.sleep(0.03)  # noqa: ASYNC251 -- blocks on purpose
            await asyncio.sleep(0.01)
        return late.worst_ns([timestamp_ns])

    assert asyncio.run(block()) > 20 * MS

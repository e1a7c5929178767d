"""How late the loop was is measured, and told of those stamps only that it can have falsified."""

import asyncio
import time
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from runner.engine.lateness import NEGLIGIBLE_NS, PERIOD_NS, LateSpans, doubtful, measure_lateness

MS = 1_000_000
steps = st.lists(st.integers(0, 30 * MS), min_size=1, max_size=30)


@given(steps, st.lists(st.tuples(st.integers(0, 20 * MS), st.integers(0, 20 * MS)), max_size=20))
def test_the_worst_lateness_is_that_of_the_spans_that_hold_a_stamp(
    stamp_steps: list[int], ticks: list[tuple[int, int]]
) -> None:
    """A late tick counts if, and only if, a stamp lies between its due time and a period behind its run."""
    stamps_ns = list(accumulate(stamp_steps))
    spans, at_ns, worst_ns = LateSpans(), 0, NEGLIGIBLE_NS
    for wait_ns, late_ns in ticks:
        due_ns = at_ns + wait_ns
        at_ns = due_ns + late_ns
        spans.add(due_ns, at_ns)
        if any(due_ns <= stamp_ns <= at_ns + PERIOD_NS for stamp_ns in stamps_ns):
            worst_ns = max(worst_ns, late_ns)

    assert spans.worst_ns(stamps_ns) == worst_ns


@given(steps)
def test_of_the_kernels_stamps_only_shared_ones_are_in_doubt(stamp_steps: list[int]) -> None:
    """A read that brought one piece is told exactly; one that brought several is told by its last."""
    stamps_ns = list(accumulate(stamp_steps))

    assert set(doubtful(stamps_ns, by_kernel=True)) == {at for at in stamps_ns if stamps_ns.count(at) > 1}
    assert list(doubtful(stamps_ns, by_kernel=False)) == stamps_ns


def test_a_loop_that_is_held_up_is_seen() -> None:
    """A stamp taken while the loop was blocked for 30 ms may be late by most of that."""

    async def block() -> int:
        with measure_lateness() as late:
            await asyncio.sleep(0.01)
            stamp_ns = time.perf_counter_ns() + 20 * MS
            time.sleep(0.03)  # noqa: ASYNC251 -- what is to be seen
            await asyncio.sleep(0.01)
        return late.worst_ns([stamp_ns])

    assert asyncio.run(block()) > 20 * MS

"""Time slices: the intervals at which requests leave."""

import asyncio
import time

import pytest

from runner.wire import event_loop_time_slices
from runner.wire.event_loop_time_slices import CATCH_UP_NS, SEND_INTERVAL_NS, TimeSlices


def test_requests_leave_one_after_the_other_even_after_the_loop_has_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that became due while the loop was blocked do not leave in a burst."""
    readings: list[int] = []

    def read_clock() -> int:
        readings.append(time.perf_counter_ns())
        return readings[-1]

    async def send(slices: TimeSlices, sent_ns: list[int]) -> None:
        await slices.acquire_to_send()
        sent_ns.append(readings[-1])
        slices.release()

    async def send_many() -> list[int]:
        slices, sent_ns = TimeSlices(), list[int]()
        tasks = [asyncio.create_task(send(slices, sent_ns)) for _ in range(40)]
        await asyncio.sleep(0.002)
        time.sleep(0.02)  # noqa: ASYNC251 -- the loop does not run
        await asyncio.gather(*tasks)
        return sent_ns

    monkeypatch.setattr(event_loop_time_slices, "perf_counter_ns", read_clock)
    sent_ns = asyncio.run(send_many())
    for first in range(len(sent_ns)):
        for last in range(first + 1, len(sent_ns)):
            assert (last - first) * SEND_INTERVAL_NS <= sent_ns[last] - sent_ns[first] + CATCH_UP_NS


def test_requests_leave_one_after_the_other_after_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle time gives no credit: the next requests do not leave together."""
    readings: list[int] = []

    def read_clock() -> int:
        readings.append(time.perf_counter_ns())
        return readings[-1]

    async def send(slices: TimeSlices) -> int:
        await slices.acquire_to_send()
        sent_ns = readings[-1]
        slices.release()
        return sent_ns

    async def send_after_idle_time() -> list[int]:
        slices = TimeSlices()
        await send(slices)
        await asyncio.sleep(0.02)
        readings.clear()  # the next one is the time at which the first of these requests is asked for
        return await asyncio.gather(*(send(slices) for _ in range(4)))

    monkeypatch.setattr(event_loop_time_slices, "perf_counter_ns", read_clock)
    sent = asyncio.run(send_after_idle_time())
    for place, sent_ns in enumerate(sent):
        assert sent_ns - readings[0] >= place * SEND_INTERVAL_NS - 100_000

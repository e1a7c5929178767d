"""Where requests wait for their lane: the real clock and loop around what the lane decides."""

from dataclasses import dataclass, field
from time import perf_counter_ns

import anyio
import anyio.lowlevel

from runner.engine.lane import Lane, Permit, Waiter
from runner.planning.plan import Request


@dataclass(slots=True)
class LaneTimer:
    """Wakes one who waits, before the time or without one."""

    _event: anyio.Event = field(default_factory=anyio.Event)

    def ring(self) -> None:
        """Wake whoever waits now."""
        self._event.set()
        self._event = anyio.Event()

    async def wait_until(self, at_ns: int | None) -> None:
        """Return at a time, or earlier if the bell rings; None waits for the bell alone."""
        left_s = None if at_ns is None else (at_ns - perf_counter_ns()) / 1e9
        if left_s is not None and left_s <= 0:
            await anyio.lowlevel.checkpoint()
            return
        with anyio.move_on_after(left_s):
            await self._event.wait()


@dataclass(slots=True)
class LaneQueue:
    """The door of one lane. It wakes only those whose turn it may be: the first of the row, and who begins new ones."""

    lane: Lane
    newcomers: LaneTimer = field(default_factory=LaneTimer)
    _row: dict[Waiter, LaneTimer] = field(default_factory=dict)

    async def enter(self, request: Request) -> Permit:
        """Wait for leave to send a request, behind those who came before."""
        claim, bell = self.lane.queue(request), LaneTimer()
        self._row[claim] = bell
        try:
            while (at_ns := self.lane.returns_at(claim, now_ns := perf_counter_ns())) is None or at_ns > now_ns:
                await bell.wait_until(at_ns)
            return self.lane.readmit(claim, now_ns)
        except BaseException:
            self.lane.withdraw(claim)
            raise
        finally:
            del self._row[claim]
            self.ring()  # for the next in the row

    def ring(self) -> None:
        """Let those be woken who may go, now that something has changed."""
        first = self.lane.first
        if first is not None:
            self._row[first].ring()
        self.newcomers.ring()

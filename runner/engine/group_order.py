"""The order in which the targets of a case begin together. Pure.

A group is one case of one round: the conversations of all targets, in shuffled order. It is released when every lane
involved may begin, so that no lane waits for a place while others are in progress. Its conversations then begin one
right after the other, in that order, whatever the lanes' speeds. So each of two targets is first in half of the pairs,
and the two requests of a pair are as close in time as the lanes' limits allow.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from runner.engine.lane_limits import RateWindow
from runner.engine.provider_lane import Lane
from runner.planning.request import Request

FirstMissing = Callable[[Request], Request | None]
"""Returns, given a conversation's first request, the first one without a record; None if all of them have one."""


@dataclass(slots=True)
class GroupOrder:
    """The remaining groups of a level, in order, and the one that is next."""

    groups: Iterator[tuple[Request, ...]]
    lane_of: Mapping[str, Lane]
    """Target -> its lane."""
    first_missing: FirstMissing
    pending: deque[Request] = field(default_factory=deque)
    """Remaining conversations of the next group, each as its first missing request."""
    is_released: bool = False
    is_over: bool = False
    begun: int = 0
    """Number of conversations that have begun. A change of it or of `is_released` concerns other lanes."""

    @property
    def next(self) -> Request | None:
        """The request that begins next, in whichever lane; None if it is not found yet, or all have begun."""
        return self.pending[0] if self.pending else None

    @property
    def next_lane(self) -> str | None:
        """The name of the lane that begins next."""
        return self._lane(self.pending[0]).name if self.pending else None

    def find_next(self, most_skips: int) -> int:
        """Advance to the next group with a missing request; return how many requests the skipped ones have at most.

        Stops once at least `most_skips` completed conversations have been skipped.
        """
        skipped = turns = 0
        while not self.pending and not self.is_over and skipped < most_skips:
            group = next(self.groups, None)
            if group is None:
                self.is_over = True
                break
            self.is_released = False
            for opening in group:
                missing = self.first_missing(opening)
                if missing is None:
                    skipped += 1
                    turns += opening.case.steps.most
                else:
                    self.pending.append(missing)
        return turns

    def begins_at(self, now_ns: int) -> int | None:
        """Return when the next request may begin; None if something in a lane must end first.

        The first request of a group waits until each lane may begin its own first request of the group.
        """
        if self.is_released:
            return self._lane(self.pending[0]).may_begin_at(self.pending[0], now_ns)
        latest_ns = now_ns
        for lane, request in self._first_of_each_lane():
            opens_ns = lane.may_begin_at(request, now_ns)
            if opens_ns is None:
                return None
            latest_ns = max(latest_ns, opens_ns)
        return max([latest_ns, *self._rates_open_at(now_ns)])

    def _first_of_each_lane(self) -> list[tuple[Lane, Request]]:
        firsts: dict[str, tuple[Lane, Request]] = {}
        for request in self.pending:
            lane = self._lane(request)
            firsts.setdefault(lane.name, (lane, request))
        return list(firsts.values())

    def _rates_open_at(self, now_ns: int) -> Iterator[int]:
        """Yield when each limit per minute has room for the whole group, leaving out limits that never have.

        Otherwise one target of a pair could get the last permit of a minute, and the other would follow a minute later.
        """
        needs: dict[int, tuple[RateWindow, int]] = {}
        for request in self.pending:
            for window, amount in self._lane(request).rates_for(request):
                needs[id(window)] = (window, needs.get(id(window), (window, 0))[1] + amount)
        return (window.opens_at(amount, now_ns) for window, amount in needs.values() if amount <= window.limit)

    def take(self) -> Request:
        """Return the next request, which begins now."""
        self.begun += 1
        self.is_released = True
        return self.pending.popleft()

    def _lane(self, request: Request) -> Lane:
        return self.lane_of[request.target.name]

"""What a run tells those who watch it. Measuring knows no view; a view overrides what it wants to hear."""

from collections.abc import Mapping, Sequence

from runner.core.events import Event
from runner.core.record import Record
from runner.planning.plan import Plan, Request, Target


class Observer:
    """Hears of each request, and by itself does nothing. Calls share the loop that measures: keep them short."""

    watches_text = False
    """Whether `heard` is wanted; decoding early for a view has a price."""

    def planned(self, plan: Plan) -> None:
        """Learn of the whole run before it starts."""

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Learn how many requests to each target need not be asked, since the run goes on where it was left."""

    def connected(self, provider: str, connections: int) -> None:
        """Learn that a provider's connections are open, before the first request."""

    def started(self, request: Request) -> None:
        """Learn that a request has left its lane."""

    def heard(self, request: Request, event: Event) -> None:
        """Learn of an event of a reply, soon after it arrived."""

    def opened(self, lane: str, targets: Sequence[Target], limit: int) -> None:
        """Learn of a lane, whom it asks and how many requests it may have under way, before the first request."""

    def limited(self, lane: str, limit: int, why: str) -> None:
        """Learn that a lane may have more, or fewer, requests under way from now on."""

    def paused(self, lane: str, wait_s: float, why: str) -> None:
        """Learn that a lane is given time before anything more is sent."""

    def finished(self, record: Record) -> None:
        """Learn of a finished request; its record is in the journal already."""

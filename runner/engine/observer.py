"""What a run tells those who watch it. Measuring knows no view; a view overrides what it wants to hear."""

from runner.events import Event
from runner.plan import Plan, Request
from runner.record import Record


class Observer:
    """Hears of each request, and by itself does nothing. Calls share the loop that measures: keep them short."""

    watches_text = False
    """Whether `heard` is wanted; decoding early for a view has a price."""

    def planned(self, plan: Plan) -> None:
        """Learn of the whole run before it starts."""

    def connected(self, provider: str, connections: int) -> None:
        """Learn that a provider's connections are open, before the first request."""

    def started(self, request: Request) -> None:
        """Learn that a request has left its lane."""

    def heard(self, request: Request, event: Event) -> None:
        """Learn of an event of a reply, soon after it arrived."""

    def paused(self, provider: str, wait_s: float, why: str) -> None:
        """Learn that a provider is given time before it is asked again."""

    def finished(self, record: Record) -> None:
        """Learn of a finished request; its record is in the journal already."""

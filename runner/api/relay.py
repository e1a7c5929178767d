"""What a run tells in the thread that measures, told on in the thread that watches."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter_ns

from runner.api.notebook.view import View
from runner.core.events import Event
from runner.core.record import Record
from runner.engine.observer import Observer
from runner.planning.plan import Plan, Request, Target


class Relay(Observer):
    """Keeps each call until `pass_on` makes it, in the order they came; a call costs the run no more than a queue."""

    def __init__(self, listener: View) -> None:
        self._listener = listener
        self._calls: SimpleQueue[tuple[int, Callable[[], None]]] = SimpleQueue()
        self.watches_text = listener.watches_text

    def pass_on(self) -> None:
        """Tell the listener all that was told since, in this thread."""
        try:
            while True:
                self._listener.told_ns, call = self._calls.get_nowait()
                call()
        except Empty:
            return

    def _keep(self, call: Callable[[], None]) -> None:
        self._calls.put((perf_counter_ns(), call))

    def planned(self, plan: Plan) -> None:
        """Keep it."""
        self._keep(partial(self._listener.planned, plan))

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Keep it."""
        self._keep(partial(self._listener.resumed, recorded))

    def connected(self, provider: str, connections: int) -> None:
        """Keep it."""
        self._keep(partial(self._listener.connected, provider, connections))

    def started(self, request: Request) -> None:
        """Keep it."""
        self._keep(partial(self._listener.started, request))

    def heard(self, request: Request, event: Event) -> None:
        """Keep it."""
        self._keep(partial(self._listener.heard, request, event))

    def opened(self, lane: str, targets: Sequence[Target], limit: int) -> None:
        """Keep it."""
        self._keep(partial(self._listener.opened, lane, targets, limit))

    def limited(self, lane: str, limit: int, why: str) -> None:
        """Keep it."""
        self._keep(partial(self._listener.limited, lane, limit, why))

    def paused(self, lane: str, wait_s: float, why: str) -> None:
        """Keep it."""
        self._keep(partial(self._listener.paused, lane, wait_s, why))

    def finished(self, record: Record) -> None:
        """Keep it."""
        self._keep(partial(self._listener.finished, record))

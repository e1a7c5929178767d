"""A queue of observer calls between the thread that measures and the thread that shows."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import perf_counter_ns

from runner.api.notebook.view import View
from runner.engine.observer import ForwardingObserver, Observer


class Relay(ForwardingObserver):
    """Queues each call until `pass_on` makes it, in order; a call costs the run no more than a queue does."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._calls: SimpleQueue[tuple[int, Callable[[Observer], None]]] = SimpleQueue()
        self.watches_text = view.watches_text

    def forward(self, call: Callable[[Observer], None]) -> None:
        """Queue a call."""
        self._calls.put((perf_counter_ns(), call))

    def pass_on(self) -> None:
        """Make all queued calls, in this thread."""
        try:
            while True:
                self._view.told_ns, call = self._calls.get_nowait()
                call(self._view)
        except Empty:
            return

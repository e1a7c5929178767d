"""Pass the calls of an observer from the thread that measures to the thread that shows them."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import perf_counter_ns

from runner.engine.observer import ForwardingObserver, Observer


class View(Observer):
    """An observer that draws only when it is asked to; by itself it shows nothing."""

    called_ns = 0
    """When the present call was made in the run's thread, by `perf_counter_ns`."""

    def draw(self) -> None:
        """Show how the run stands."""

    def conclude(self, sentence: str) -> None:
        """Show that the run is over, and what became of it."""


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
        """Make the queued calls, in this thread."""
        try:
            while True:
                self._view.called_ns, call = self._calls.get_nowait()
                call(self._view)
        except Empty:
            return

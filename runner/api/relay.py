"""Pass what an observer is told from the thread that measures to the thread that shows it."""

from collections.abc import Callable
from functools import partial
from inspect import isfunction
from queue import Empty, SimpleQueue
from time import perf_counter_ns

from runner.engine.observer import Observer

CALLS = tuple(name for name, member in vars(Observer).items() if isfunction(member))
"""Names of the calls that an observer gets."""


class View(Observer):
    """An observer that draws only when it is asked to; by itself it shows nothing."""

    called_ns = 0
    """When the present call was made in the run's thread, by `perf_counter_ns`."""

    def draw(self) -> None:
        """Show how the run stands."""

    def conclude(self, sentence: str) -> None:
        """Show that the run is over, and what became of it."""


class Relay(Observer):
    """Queues each call until `pass_on` makes it, in the order they came; a call costs the run no more than a queue."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: SimpleQueue[tuple[int, Callable[[], None]]] = SimpleQueue()
        self.watches_text = view.watches_text
        for name in CALLS:
            setattr(self, name, partial(self._put, getattr(view, name)))

    def _put(self, call: Callable[..., None], *arguments: object) -> None:
        self._queue.put((perf_counter_ns(), partial(call, *arguments)))

    def pass_on(self) -> None:
        """Make the queued calls in this thread."""
        try:
            while True:
                self._view.called_ns, call = self._queue.get_nowait()
                call()
        except Empty:
            return

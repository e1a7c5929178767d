"""What watches a run in a notebook: it hears as every observer does, and draws only when it is told to."""

from runner.engine.observer import Observer


class View(Observer):
    """Shows nothing by itself."""

    told_ns = 0
    """When that happened which it is being told of, by `perf_counter_ns`; it may hear of it a little later."""

    def draw(self) -> None:
        """Show how the run stands."""

    def conclude(self, sentence: str) -> None:
        """Show that the run is over, and what became of it."""

"""The progress of a run in a line that is overwritten, with the run's notes above it."""

from collections.abc import Mapping, Sequence
from html import escape
from time import perf_counter

from runner.api.notebook.screen import Screen, write_lines
from runner.api.watched_run import View
from runner.core.conversation import SettledRequests
from runner.core.record import Record
from runner.outputs.text.escape import one_line
from runner.outputs.text.figures import count, seconds
from runner.planning.plan import Plan, Request


class Progress(View):
    """Shows counts of requests."""

    def __init__(self, screen: Screen, notes: Sequence[str]) -> None:
        self._screen = screen
        self._notes = [f"note: {one_line(note)}" for note in notes]
        self._settled: SettledRequests | None = None
        self._total: int | None = None
        self._finished = self._failed = self._in_flight = 0
        self._started_s = perf_counter()

    def planned(self, plan: Plan) -> None:
        """Note how many requests there will be at most, if that is known."""
        self._settled, self._total = (
            SettledRequests(plan.cases),
            None if plan.requests is None else self._finished + plan.requests,
        )

    def resumed(self, recorded: Mapping[str, int]) -> None:
        """Leave out the completed requests."""
        self._total = None if self._total is None else self._total - sum(recorded.values())

    def started(self, request: Request) -> None:  # noqa: ARG002 -- one is as good as another
        """Count a request as under way."""
        self._in_flight += 1

    def finished(self, record: Record) -> None:
        """Count a request as done; a skipped one was never under way."""
        self._in_flight -= record.attempts > 0
        if not record.warmup:
            self._finished += 1
            if self._total is not None and self._settled is not None:
                self._total -= self._settled.left_out(record)
            self._failed += record.failed

    def draw(self) -> None:
        """Show the counts."""
        in_flight = f"{self._in_flight} under way"
        self._show(", ".join([*self._counts(), in_flight, seconds(perf_counter() - self._started_s)]))

    def conclude(self, sentence: str) -> None:
        """Show the final counts, and where the run is."""
        took = f"in {seconds(perf_counter() - self._started_s)}"
        self._show(f"{', '.join([*self._counts(), took])}; {one_line(sentence)}")
        self._screen.settle()

    def _counts(self) -> list[str]:
        done = (
            count(self._finished, "request")
            if self._total is None
            else f"{self._finished:,} of {self._total:,} requests"
        )
        return [f"{done} done", *([f"{self._failed:,} failed"] if self._failed else [])]

    def _show(self, line: str) -> None:
        bar = (
            ""
            if self._total is None
            else f'<progress value="{self._finished}" max="{max(self._total, 1)}"></progress> '
        )
        html = f"{write_lines(self._notes)}<div>{bar}{escape(line)}</div>"
        self._screen.show("\n".join([*self._notes, line]), html)

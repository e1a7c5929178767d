"""`stream`: one reply, piece by piece as it arrives."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Any, Literal, NamedTuple, Self

import pandas as pd

from runner.api.ask import Files, prepare_conversation, read_attached
from runner.api.load_results import tabulate
from runner.api.options import TARGET_OPTIONS, refuse_unknown
from runner.api.run_in_thread import ThreadedTask, start_in_thread
from runner.commands.ask import PARAMETERS
from runner.commands.run.perform import FinishedRun, perform, write_outputs
from runner.commands.run.prepared_run import PreparedRun
from runner.core.events import TIMED, CallPiece, Channel, Event, Text
from runner.core.record import Record
from runner.engine.run_observers import Observer
from runner.errors import CompareError, JournalError
from runner.planning.plan import Request

WAIT_S = 0.1
"""Seconds of one wait for a piece; short, so that an interruption is noticed on every platform."""

_CHANNELS: dict[Channel, Literal["reasoning", "answer", "tool"]] = {
    Channel.REASONING: "reasoning",
    Channel.ANSWER: "answer",
    Channel.TOOL: "tool",
}


class StreamPiece(NamedTuple):
    """A piece of a reply's text.

    A `failure` is the last piece; its text gives the reason.
    """

    at_s: float
    """Arrival time in seconds since the request left its lane. TTFT counts from the moment the request was sent, so it
    is slightly less; the stream's `frame` has it when the reply has ended."""
    channel: Literal["reasoning", "answer", "tool", "failure"]
    text: str


class Stream(Iterator[StreamPiece]):
    """An iterator over the pieces of a reply as they arrive. `close`, or leaving a `with` block, ends it early."""

    def __init__(self, prepared: PreparedRun) -> None:
        self.frame: pd.DataFrame | None = None
        """Table with the reply's row and the columns of `run`; None until the reply has ended."""
        self._pieces = self._stream(prepared)

    def __next__(self) -> StreamPiece:
        return next(self._pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the request; the text received so far is in the run's folder."""
        self._pieces.close()

    def _stream(self, prepared: PreparedRun) -> Generator[StreamPiece, None, None]:
        observer, finished = _StreamObserver(), None
        try:
            with start_in_thread(partial(perform, prepared, observer)) as task:
                yield from _pieces_of(task, observer)
                finished = task.result()
        finally:
            with suppress(JournalError):  # the run never started
                finished = finished or write_outputs(prepared, interrupted=True)
                self.frame = tabulate(finished.run, finished.folder, prepared.notes)


class _StreamObserver(Observer):
    """Queues the pieces of a reply."""

    watches_text = True

    def __init__(self) -> None:
        self.pieces: SimpleQueue[StreamPiece] = SimpleQueue()
        self._started_ns = 0

    def started(self, request: Request) -> None:  # noqa: ARG002 -- there is only one
        self._started_ns = perf_counter_ns()

    def received(self, request: Request, event: Event) -> None:  # noqa: ARG002
        if isinstance(event, CallPiece):
            event = event.text
        if isinstance(event, Text):
            self._put(event.at_ns, _CHANNELS[event.channel], event.text)

    def finished(self, record: Record) -> None:
        if record.outcome not in TIMED:
            self._put(perf_counter_ns(), "failure", f"{record.outcome.value}: {record.error or 'no reason given'}")

    def _put(self, at_ns: int, channel: Literal["reasoning", "answer", "tool", "failure"], text: str) -> None:
        self.pieces.put(StreamPiece((at_ns - self._started_ns) / 1e9, channel, text))


def _pieces_of(task: ThreadedTask[FinishedRun], observer: _StreamObserver) -> Iterator[StreamPiece]:
    """Yield pieces as they arrive, until the task has ended and the queue is empty."""
    while not task.has_ended():
        with suppress(Empty):
            yield observer.pieces.get(timeout=WAIT_S)
    while not observer.pieces.empty():
        yield observer.pieces.get()


def stream(prompt: str, target: str | None = None, *, attach: Files = (), **options: Any) -> Stream:
    """Send one prompt to one target; return its reply as it arrives.

        for piece in stream("讲一个故事。", "deepseek/deepseek-flash"):
            print(piece.text, end="", flush=True)

    Args:
        prompt: the prompt, sent unchanged.
        target: the target, as `provider/model`; may be omitted if only one model is configured.
        attach: as for `ask`.
        **options: options of `ask`, apart from targets.

    Returns:
        An iterator over pieces (seconds, channel, text). Its `frame` has the exact timings when the reply has ended.

    Raises:
        CompareError: an option, a name or a key is wrong, or several targets are selected; nothing was sent.

    """
    known = ("attach", *(name for name in TARGET_OPTIONS if name != "targets"), *PARAMETERS)
    refuse_unknown(options, known, "stream")
    prepared = prepare_conversation((prompt,), (read_attached(attach),), {**options, "targets": target})
    names = [each.name for each in prepared.plan.targets]
    if len(names) != 1:
        raise CompareError(f"a stream has one target, and {len(names)} are meant: {', '.join(names)}. Name one of them")
    return Stream(prepared)

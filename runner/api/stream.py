"""One reply as it arrives, piece by piece."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Any, Literal, NamedTuple, Self

import pandas as pd

from runner.api.ask import PARAMETERS, prepare_turns
from runner.api.options import TARGET_OPTIONS, refuse_unknown
from runner.api.tables import tabulate
from runner.api.thread import ThreadedTask, start_apart
from runner.commands.run.job import PreparedRun
from runner.commands.run.perform import FinishedRun, perform, write_outputs
from runner.core.events import TIMED, Channel, Event, Text
from runner.core.record import Record
from runner.engine.observer import Observer
from runner.errors import CompareError, JournalError
from runner.planning.plan import Request

WAIT_S = 0.1
"""How long one wait for a piece is, so that an interruption is heard on every platform."""

_CHANNELS: dict[Channel, Literal["reasoning", "answer", "tool"]] = {
    Channel.REASONING: "reasoning",
    Channel.ANSWER: "answer",
    Channel.TOOL: "tool",
}


class StreamPiece(NamedTuple):
    """Some text of a reply.

    `at_s` is how long after the request had left its lane it arrived, in seconds; TTFT proper, which counts from when
    the request was sent, is a little less, and stands in the stream's `frame` when all is over. A `failure` comes last,
    and its text says why.
    """

    at_s: float
    channel: Literal["reasoning", "answer", "tool", "failure"]
    text: str


class Stream(Iterator[StreamPiece]):
    """The pieces of one reply in the order they arrived; `close`, or leaving a `with` block, ends it early."""

    def __init__(self, job: PreparedRun) -> None:
        self.frame: pd.DataFrame | None = None
        """The reply's row, with the columns of `run`; None until the reply is over."""
        self._pieces = self._listen(job)

    def __next__(self) -> StreamPiece:
        return next(self._pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; what was heard so far is in the run's folder."""
        self._pieces.close()

    def _listen(self, job: PreparedRun) -> Generator[StreamPiece, None, None]:
        ears, done = _StreamObserver(), None
        try:
            with start_apart(partial(perform, job, ears)) as apart:
                yield from _pieces_of(apart, ears)
                done = apart.result()
        finally:
            with suppress(JournalError):  # it never began
                done = done or write_outputs(job, interrupted=True)
                self.frame = tabulate(done.run, done.folder, job.notes)


class _StreamObserver(Observer):
    """Makes pieces of what is heard."""

    watches_text = True

    def __init__(self) -> None:
        self.pieces: SimpleQueue[StreamPiece] = SimpleQueue()
        self._started_ns = 0

    def started(self, request: Request) -> None:  # noqa: ARG002 -- there is but one
        self._started_ns = perf_counter_ns()

    def received(self, request: Request, event: Event) -> None:  # noqa: ARG002
        if isinstance(event, Text):
            self._put(event.at_ns, _CHANNELS[event.channel], event.text)

    def finished(self, record: Record) -> None:
        if record.outcome not in TIMED:
            said = f"{record.outcome.value}: {record.error or 'no reason given'}"
            self._put(perf_counter_ns(), "failure", said)

    def _put(self, at_ns: int, channel: Literal["reasoning", "answer", "tool", "failure"], text: str) -> None:
        self.pieces.put(StreamPiece((at_ns - self._started_ns) / 1e9, channel, text))


def _pieces_of(apart: ThreadedTask[FinishedRun], ears: _StreamObserver) -> Iterator[StreamPiece]:
    """Yield pieces as they come, and those that were left when all was over."""
    while not apart.has_ended():
        with suppress(Empty):
            yield ears.pieces.get(timeout=WAIT_S)
    while not ears.pieces.empty():
        yield ears.pieces.get()


def stream(prompt: str, target: str | None = None, **options: Any) -> Stream:
    """Ask one target one prompt, and listen to its reply as it arrives.

        for piece in stream("讲一个故事。", "deepseek/deepseek-flash"):
            print(piece.text, end="", flush=True)

    Args:
        prompt: what to ask, as it stands.
        target: whom to ask, as `provider/model`; may be left out where only one model is configured.
        **options: those of `ask`, apart from targets.

    Returns:
        An iterator of pieces: seconds, channel, text. Its `frame` holds the exact timings when all is over.

    Raises:
        CompareError: an option, a name or a key is wrong, or several targets are meant; nothing was sent.

    """
    refuse_unknown(options, (*(name for name in TARGET_OPTIONS if name != "targets"), *PARAMETERS), "stream")
    job = prepare_turns((prompt,), {**options, "targets": target})
    names = [each.name for each in job.plan.targets]
    if len(names) != 1:
        raise CompareError(f"a stream has one target, and {len(names)} are meant: {', '.join(names)}. Name one of them")
    return Stream(job)

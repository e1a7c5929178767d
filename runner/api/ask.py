"""`ask`: send one prompt to every target, and continue the conversation; `stream`: one reply, piece by piece."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Any, Literal, NamedTuple, Self

import pandas as pd

from runner.analysis.dataframe import rows_of
from runner.analysis.result_columns import target_of_row
from runner.api.keywords import TARGET_OPTIONS, refuse_unknown
from runner.api.options import read_options
from runner.api.progress_display import NoDisplay, StreamingReplies, find_display
from runner.api.run_in_thread import ThreadedTask, perform_watched, start_in_thread
from runner.api.run_table import tabulate
from runner.api.side_by_side import side_by_side
from runner.commands.ask import PARAMETERS, ReplyHistory, ask_last_turn, prepare_turns
from runner.commands.run.perform import FinishedRun, perform, write_outputs
from runner.commands.run.prepared_run import PreparedRun
from runner.core.attachment_parts import Attachment
from runner.core.events import TIMED, CallPiece, Channel, Event, Text
from runner.core.failure_kinds import NO_MESSAGE
from runner.core.record import Record
from runner.engine.run_observers import Observer
from runner.errors import CompareError, JournalError
from runner.planning.request import Request
from runner.suite.attachments import attach as attach_files

Files = str | PathLike[str] | Sequence[str | PathLike[str]]
"""One path or URL, or several."""


@dataclass(frozen=True, eq=False)
class Replies:
    """The replies of all targets, turn by turn. A notebook shows them side by side."""

    frame: pd.DataFrame
    """A row for each target and turn, with the columns of `run`."""
    asked: tuple[str, ...]
    """The user's turns so far."""
    attached: tuple[tuple[Attachment, ...], ...]
    """Attachments of each turn."""
    said: ReplyHistory
    """Target -> its replies so far. A target that failed in a turn is left out, and is not asked again."""
    options: Mapping[str, Any]

    @property
    def texts(self) -> dict[str, str | None]:
        """Target -> its reply to the last turn; None if the request failed."""
        last = self.frame[self.frame["turn"] == len(self.asked)]
        return {str(target_of_row(row)): _reply_in(row) for row in rows_of(last)}

    def then(self, prompt: str, *, attach: Files = ()) -> "Replies":
        """Send the next turn. Each target sees the earlier turns with their attachments, and its own replies.

        Args:
            prompt: the prompt, sent unchanged.
            attach: as for `ask`.

        Raises:
            CompareError: no target has answered all turns, the prompt is empty, or a file cannot be attached.
            KeyboardInterrupt: the user interrupted the run.

        """
        if not self.said:
            raise CompareError("no target answered the last turn, so the next cannot be asked; start again with ask()")
        attached = (*self.attached, read_attached(attach, [each for turn in self.attached for each in turn]))
        turn = _converse((*self.asked, prompt), attached, self.said, {**self.options, "targets": tuple(self.said)})
        frame = pd.concat([self.frame, turn.frame], ignore_index=True)
        frame.attrs = turn.frame.attrs
        return replace(turn, frame=frame)

    def __repr__(self) -> str:
        return repr(side_by_side(self.frame))

    def _repr_html_(self) -> str:
        return side_by_side(self.frame)._repr_html_()


def ask(prompt: str, *, attach: Files = (), live: bool = True, **options: Any) -> Replies:
    """Send one prompt to every target. A notebook shows the replies side by side as they stream, then whole.

        ask("你是谁？", targets=["dashscope/qwen3.8-flash", "deepseek/deepseek-flash"], max_tokens=200)
        ask("My name is Ada.").then("What is my name?")
        ask("Which bar is the highest?", attach="chart.png").then("And now?", attach=["new.png", "notes.txt"])

    Args:
        prompt: the prompt, sent unchanged.
        attach: an image, a file or audio to send before the prompt: a path or a URL, or a list of several.
        live: whether a notebook shows the replies while they stream.
        **options: target options, as for `run`: targets, provider, skip_missing, env_file, concurrency, output, bom;
            and parameters, as in a suite: system, temperature, max_tokens, top_p, seed, stop, thinking, stream,
            cache, timeouts, extra_body.

    Raises:
        CompareError: an option, a name or a key is wrong, or a file cannot be attached; nothing was sent.
        KeyboardInterrupt: the user interrupted the run; the message says where the finished replies are.

    """
    refuse_unknown(options, ("attach", *TARGET_OPTIONS, *PARAMETERS), "ask")
    return _converse((prompt,), (read_attached(attach),), {}, {**options, "live": live})


def read_attached(attached: Files, earlier: Sequence[Attachment] = ()) -> tuple[Attachment, ...]:
    """Return the attachments of a turn.

    Args:
        attached: paths or URLs.
        earlier: attachments that the conversation sends already.

    Raises:
        CompareError: `attached` is of another type, or a file cannot be attached.

    """
    names: object = [attached] if isinstance(attached, str | PathLike) else attached
    if not isinstance(names, list | tuple) or not all(isinstance(name, str | PathLike) for name in names):
        raise CompareError(f"attach={attached!r}: give a path or a URL, or several in a list")
    return attach_files(names, earlier)


def prepare_conversation(
    turns: tuple[str, ...], attached: Sequence[Sequence[Attachment]], options: Mapping[str, Any]
) -> PreparedRun:
    """Return a prepared run of a conversation, with the attachments of each turn; `options` are those of `ask`."""
    given = {name: value for name, value in options.items() if name in PARAMETERS and value is not None}
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    run_options = read_options({name: value for name, value in options.items() if name in TARGET_OPTIONS})
    return prepare_turns(turns, attached, parameters, run_options)


def _converse(
    turns: tuple[str, ...],
    attached: tuple[tuple[Attachment, ...], ...],
    replies: ReplyHistory,
    options: Mapping[str, Any],
) -> Replies:
    """Send the last turn; `replies` holds the targets' replies to the turns before it."""
    prepared = prepare_conversation(turns, attached, options)
    view = StreamingReplies(find_display() if options["live"] else NoDisplay(), prepared.notes)
    finished = perform_watched(prepared, view, partial(ask_last_turn, replies=replies))
    frame = tabulate(finished.run, finished.folder, prepared.notes)
    answered = {str(target_of_row(row)): _reply_in(row) for row in rows_of(frame)}
    history = {target: (*replies.get(target, ()), reply) for target, reply in answered.items() if reply is not None}
    next_options = {name: value for name, value in options.items() if name != "output"}
    return Replies(frame, turns, attached, history, next_options)


def _reply_in(row: Mapping[str, Any]) -> str | None:
    return str(row["reply"] or "") if row["outcome"] in TIMED else None


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
            self._put(perf_counter_ns(), "failure", f"{record.outcome.value}: {record.error or NO_MESSAGE}")

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

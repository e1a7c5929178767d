"""`ask`: send one prompt to every target, show the replies side by side, and continue the conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Any

import pandas as pd

from runner.analysis.dataframe import rows_of
from runner.analysis.result_columns import target_of_row
from runner.api.load_results import tabulate
from runner.api.notebook import Nowhere, StreamingReplies, find_screen
from runner.api.options import TARGET_OPTIONS, read_options, refuse_unknown
from runner.api.run_in_thread import perform_watched
from runner.api.side_by_side import side_by_side
from runner.commands.ask import PARAMETERS, ReplyHistory, ask_last_turn, prepare_turns
from runner.commands.run.prepared_run import PreparedRun
from runner.core.attachment_parts import Attachment
from runner.core.events import TIMED
from runner.errors import CompareError
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
    view = StreamingReplies(find_screen() if options["live"] else Nowhere(), prepared.notes)
    finished = perform_watched(prepared, view, partial(ask_last_turn, replies=replies))
    frame = tabulate(finished.run, finished.folder, prepared.notes)
    answered = {str(target_of_row(row)): _reply_in(row) for row in rows_of(frame)}
    history = {target: (*replies.get(target, ()), reply) for target, reply in answered.items() if reply is not None}
    next_options = {name: value for name, value in options.items() if name != "output"}
    return Replies(frame, turns, attached, history, next_options)


def _reply_in(row: Mapping[str, Any]) -> str | None:
    return str(row["reply"] or "") if row["outcome"] in TIMED else None

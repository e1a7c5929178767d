"""One prompt to everyone, the replies side by side; and the next turn, to which each brings its own history."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from runner.analysis.frame import rows_of
from runner.api.notebook.replies import GrowingReplies
from runner.api.notebook.screen import Nowhere, find_screen
from runner.api.options import TARGET_OPTIONS, read_options, refuse_unknown
from runner.api.perform import perform_watched
from runner.api.side_by_side import side_by_side
from runner.api.tables import tabulate
from runner.commands.run.job import PreparedRun
from runner.commands.run.perform import FinishedRun, open_run, write_outputs
from runner.commands.run.prepare import load_registry, prepare
from runner.core.events import TIMED
from runner.engine.observer import Observer
from runner.errors import CompareError
from runner.planning.plan import Request
from runner.suite.load import suite_from_data
from runner.suite.schema import ParametersSchema

NAME = "ask"
PARAMETERS = tuple(ParametersSchema.model_fields)
History = Mapping[str, tuple[str, ...]]
"""Target -> what it has replied so far."""


@dataclass(frozen=True, eq=False)
class Replies:
    """What everyone said, turn by turn. In a notebook it is shown side by side.

    `frame` has a row for each target and turn, with the columns of `run`.
    """

    frame: pd.DataFrame
    asked: tuple[str, ...]
    """The user's turns so far."""
    said: History
    """Target -> its replies; whoever failed in a turn is not there, and is not asked any more."""
    options: Mapping[str, Any]

    @property
    def texts(self) -> dict[str, str | None]:
        """Target -> its reply to the last turn, None where it failed."""
        last = self.frame[self.frame["turn"] == len(self.asked)]
        return {f"{row['provider']}/{row['model']}": _reply(row) for row in rows_of(last)}

    def then(self, prompt: str) -> "Replies":
        """Ask the next turn: each target sees what was asked, and its own replies to it.

        Raises:
            CompareError: nobody is left to ask, or the prompt is empty.
            KeyboardInterrupt: it was interrupted.

        """
        if not self.said:
            raise CompareError(
                "nobody answered the last turn, so there is nobody to ask the next; begin anew with ask()"
            )
        turn = _converse((*self.asked, prompt), self.said, {**self.options, "targets": tuple(self.said)})
        frame = pd.concat([self.frame, turn.frame], ignore_index=True)
        frame.attrs = turn.frame.attrs
        return replace(turn, frame=frame)

    def __repr__(self) -> str:
        return repr(side_by_side(self.frame))

    def _repr_html_(self) -> str:
        return side_by_side(self.frame)._repr_html_()


def ask(prompt: str, *, live: bool = True, **options: Any) -> Replies:
    """Ask everyone one prompt; in a notebook the replies grow side by side, and stay when they are whole.

        ask("你是谁？", targets=["dashscope/qwen3.8-flash", "deepseek/deepseek-flash"], max_tokens=200)
        ask("My name is Ada.").then("What is my name?")

    Args:
        prompt: what to ask, as it stands.
        live: show in a notebook how the replies grow.
        **options: whom to ask, as for `run`: targets, provider, skip_missing, env_file, concurrency, output, bom.
            And what is asked of the models beside the prompt, as in a suite: system, temperature, max_tokens, top_p,
            seed, stop, thinking, stream, cache, timeouts, extra_body.

    Raises:
        CompareError: an option, a name or a key is wrong; nothing was sent.
        KeyboardInterrupt: it was interrupted; the message says where the finished replies are.

    """
    refuse_unknown(options, (*TARGET_OPTIONS, *PARAMETERS), "ask")
    return _converse((prompt,), {}, {**options, "live": live})


def prepare_turns(turns: tuple[str, ...], options: Mapping[str, Any]) -> PreparedRun:
    """Make a conversation ready whose options are those of `ask`."""
    parameters = {name: _plain(options[name]) for name in PARAMETERS if options.get(name) is not None}
    asked: dict[str, Any] = {"prompt": turns[0]} if len(turns) == 1 else {"turns": list(turns)}
    suite = suite_from_data([{"id": NAME} | asked], parameters, name=NAME)
    chosen = read_options({name: value for name, value in options.items() if name in TARGET_OPTIONS})
    return prepare(suite, load_registry(Path.cwd()), chosen)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _converse(turns: tuple[str, ...], said: History, options: Mapping[str, Any]) -> Replies:
    """Ask the last of these turns of those who answered all before it."""
    job = prepare_turns(turns, options)
    view = GrowingReplies(find_screen() if options["live"] else Nowhere(), job.notes)
    done = perform_watched(job, view, partial(ask_last_turn, said=said))
    frame = tabulate(done.run, done.folder, job.notes)
    answered = {f"{row['provider']}/{row['model']}": _reply(row) for row in rows_of(frame)}
    history = {target: (*said.get(target, ()), reply) for target, reply in answered.items() if reply is not None}
    again = {name: value for name, value in options.items() if name != "output"}
    return Replies(frame, turns, history, again)


async def ask_last_turn(job: PreparedRun, observer: Observer, said: History) -> FinishedRun:
    """Perform a job of one conversation, of which all turns but the last were answered before."""
    from runner.engine.run import execute  # noqa: PLC0415 -- brings the SDK

    def take_up(opening: Request) -> Request:
        return replace(opening, replies=said.get(opening.target.name, ()))

    observer.planned(job.plan)
    async with open_run(job, observer) as (exchanges, writer):
        finished = await execute(job.plan, exchanges, writer, load=job.load, first_missing=take_up)
    return write_outputs(job, interrupted=not finished)


def _reply(row: Mapping[str, Any]) -> str | None:
    return str(row["reply"] or "") if row["outcome"] in TIMED else None

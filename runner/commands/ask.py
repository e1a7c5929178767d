"""Send one prompt, or the next turn of a conversation whose earlier turns each target has answered."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.commands.allowed_hosts import AskUser
from runner.commands.providers import load_registry
from runner.commands.run.open_run import open_run
from runner.commands.run.options import RunOptions
from runner.commands.run.perform import FinishedRun, write_outputs
from runner.commands.run.prepare import prepare
from runner.commands.run.prepared_run import PreparedRun
from runner.core.attachment_parts import Attachment
from runner.core.conversation_state import EarlierReply
from runner.core.suite import Parameters
from runner.engine.run_observers import Observer
from runner.planning.request import Request
from runner.suite.attachments import attach
from runner.suite.from_python_data import suite_from_prompts, suite_from_turns
from runner.suite.schema import ParametersSchema

NAME = "ask"
PARAMETERS = tuple(name for name in ParametersSchema.model_fields if name != "reply_limit")  # which is an option
"""Names of the parameters of a conversation's requests."""

ReplyHistory = Mapping[str, tuple[str, ...]]
"""Target -> its replies to the turns so far."""


def prepare_prompt(
    prompt: str,
    options: RunOptions,
    *,
    system: str | None = None,
    max_tokens: int | None = None,
    attached: Sequence[str] = (),
    ask: AskUser | None = None,
) -> PreparedRun:
    """Return a run that sends one prompt unchanged, after attached files and URLs; `ask` is as for `prepare`.

    Raises:
        CompareError: an attachment cannot be used, or as for `prepare`.

    """
    parameters = Parameters(system=system, max_tokens=max_tokens)
    suite = suite_from_prompts([prompt], name=NAME, parameters=parameters, attached=attach(attached))
    return prepare(suite, load_registry(Path.cwd()), options, ask=ask)


def prepare_turns(
    turns: Sequence[str],
    attached: Sequence[Sequence[Attachment]],
    parameters: Mapping[str, Any],
    options: RunOptions,
) -> PreparedRun:
    """Return a run of one conversation, whose turns each follow their attachments.

    `parameters` have the names and values of a suite file.
    """
    suite = suite_from_turns(turns, attached, parameters, name=NAME)
    return prepare(suite, load_registry(Path.cwd()), options)


async def ask_last_turn(prepared: PreparedRun, observer: Observer, replies: ReplyHistory) -> FinishedRun:
    """Perform a run of one conversation whose turns have all been answered, except the last one."""
    from runner.engine.run import send_plan  # brings the SDK

    def last_turn(opening: Request) -> Request:
        return replace(opening, replies=tuple(map(EarlierReply, replies.get(opening.target.name, ()))))

    (case,) = prepared.plan.cases
    prepared = replace(prepared, answered_turns=len(case.turns) - 1)
    observer.planned(prepared.plan)
    async with open_run(prepared, observer) as (senders, writer):
        finished = await send_plan(prepared.plan, senders, writer, load=prepared.load, first_missing=last_turn)
    return write_outputs(prepared, interrupted=not finished, observer=observer)

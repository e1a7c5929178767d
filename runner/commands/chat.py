"""Hold a conversation that is typed turn by turn; every target keeps its own history."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING

import anyio

from runner.commands.allowed_hosts import AskUser
from runner.commands.load_stored_run import load_run
from runner.commands.providers import load_registry
from runner.commands.run.make_thumbnails import add_thumbnails
from runner.commands.run.open_run import open_run, plain_attachments
from runner.commands.run.options import RunOptions
from runner.commands.run.perform import FinishedRun, write_outputs
from runner.commands.run.prepare import prepare
from runner.commands.run.prepared_run import PreparedRun
from runner.commands.run.refuse_secrets_and_attachments import (
    known_secrets,
    refuse_secret_files,
    refuse_unsendable,
)
from runner.core.attachment_parts import Attachment
from runner.core.conversation_state import EarlierReply, earlier_reply
from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.process_limits_and_signals import cancel_on_signals
from runner.engine.run_observers import Observer
from runner.errors import CompareError
from runner.outputs import find_writer, known_suffixes
from runner.planning.request import Request, Target
from runner.providers.environment import read_environment
from runner.storage.atomic_write import write_by_suffix
from runner.storage.journal.writer import JournalWriter
from runner.storage.run_folder import check_outputs
from runner.suite.attachments import attach
from runner.suite.from_python_data import suite_from_prompts

if TYPE_CHECKING:
    from runner.engine.send_requests import RequestSender

NAME = "chat"
PLACEHOLDER = "(typed by hand)"
"""Prompt in the plan, in place of those that will be typed."""


class Chat:
    """A conversation with several targets. Every target keeps its own history; a failed turn adds nothing to it."""

    def __init__(self, targets: Sequence[Target], check: Callable[[Case], None]) -> None:
        """Start without turns; `check` raises CompareError if an attachment of a case must not be sent."""
        self._targets = tuple(targets)
        self._check = check
        self._senders: dict[str, RequestSender] = {}
        self._journal: JournalWriter | None = None
        self._number = 0
        self.cases: dict[str, Case] = {}
        """Conversations so far, each as a case with the turns that were sent."""
        self.reset()

    def open(self, senders: dict[str, "RequestSender"], journal: JournalWriter) -> None:
        """Set what sends the turns, and the journal of the run; needed before the first turn is sent."""
        self._senders, self._journal = senders, journal

    def reset(self) -> None:
        """Start a new conversation; no target gets the turns of earlier ones."""
        self._number += 1
        self._prompts: tuple[str, ...] = ()
        self._attached: tuple[tuple[Attachment, ...], ...] = ()
        self._next: tuple[Attachment, ...] = ()
        self._replies: dict[str, tuple[EarlierReply, ...]] = {target.name: () for target in self._targets}

    def attach(self, names: Sequence[str]) -> tuple[Attachment, ...]:
        """Attach files and URLs to the next turn; return all of its attachments.

        Raises:
            CompareError: one cannot be attached, a target's API has no form for it, or a file holds a secret.

        """
        earlier = [each for turn in self._attached for each in turn]
        attached = (*self._next, *attach(names, [*earlier, *self._next]))
        self._check(Case(NAME, ("",)).with_attached([attached]))
        self._next = attached
        return attached

    async def ask(self, text: str, observer: Observer) -> list[Record]:
        """Send the next turn to all targets at once; return the records in the order of the targets."""
        self._prompts += (text,)
        self._attached += (self._next,)
        case = Case(NAME if self._number == 1 else f"{NAME}-{self._number}", self._prompts)
        case = case.with_attached(self._attached)
        self.cases[case.id] = case
        if self._next and self._journal is not None:
            self._journal.append({"kind": "attached", "case": case.id, "turns": plain_attachments(case)})
        self._next = ()
        next(iter(self._senders.values())).context.observer = observer  # the senders share one context
        records: dict[str, Record] = {}

        async def ask_target(target: Target) -> None:
            request = Request(target, case, repeat=1, block=1, replies=self._replies[target.name])
            record = await self._senders[target.provider].send(request, perf_counter_ns())
            records[target.name] = record
            reply = earlier_reply(record) if record.outcome in TIMED else EarlierReply(None)
            self._replies[target.name] += (reply,)

        async with anyio.create_task_group() as tasks:
            for target in self._targets:
                tasks.start_soon(ask_target, target)
        return [records[target.name] for target in self._targets]


def prepare_chat(options: RunOptions, *, system: str | None = None, ask: AskUser | None = None) -> PreparedRun:
    """Return a run for a conversation with an open number of turns. `ask` is as for `prepare`."""
    suite = suite_from_prompts([PLACEHOLDER], name=NAME, parameters=Parameters(system=system))
    suite = replace(suite, cases=(Case(NAME, (PLACEHOLDER,)),))
    prepared = prepare(suite, load_registry(Path.cwd()), options, ask=ask)
    return replace(prepared, plan=replace(prepared.plan, repeat=None))


async def hold_chat(
    prepared: PreparedRun,
    read_turn: Callable[[Chat], Awaitable[str | None]],
    send_turn: Callable[[Chat, str], Awaitable[None]],
) -> FinishedRun | None:
    """Hold a conversation with a run's targets, and write the run's tables; without a turn, write nothing.

    The first signal cancels the requests in flight and ends the conversation; the tables are written nevertheless.

    Args:
        prepared: the run.
        read_turn: returns the next turn; None ends the conversation.
        send_turn: sends a turn by `Chat.ask`, and shows the replies.

    Returns:
        The run; None if no turn was read.

    Raises:
        KeyboardInterrupt: a signal came before the first turn.

    """
    chat = Chat(prepared.plan.targets, partial(_refuse_attached, prepared))
    text = await _read_first_turn(prepared, chat, read_turn)
    if text is None:
        return None
    async with open_run(prepared, Observer()) as (senders, writer):
        chat.open(senders, writer)
        async with cancel_on_signals() as scope:
            with scope:
                while text is not None:
                    await send_turn(chat, text)
                    text = await read_turn(chat)
        if not scope.cancel_called:
            writer.append({"kind": "end"})
    add_thumbnails(prepared.folder, chat.cases.values())
    return write_outputs(prepared, interrupted=scope.cancel_called)


async def _read_first_turn(
    prepared: PreparedRun, chat: Chat, read_turn: Callable[[Chat], Awaitable[str | None]]
) -> str | None:
    """Return the first turn; without one, release the run's folder."""
    text = None
    try:
        async with cancel_on_signals() as scope:
            with scope:
                text = await read_turn(chat)
        if scope.cancel_called:
            raise KeyboardInterrupt
    finally:
        if text is None and prepared.claim is not None:
            prepared.claim.release()
    return text


def _refuse_attached(prepared: PreparedRun, case: Case) -> None:
    """Raise CompareError if an attachment of a case cannot be sent to a target, or holds a secret."""
    suite, endpoints = replace(prepared.suite, cases=(case,)), prepared.selected.endpoints
    refuse_unsendable(suite, prepared.plan.targets, endpoints)
    environ = read_environment(prepared.options.env_files, Path.cwd(), os.environ)
    rows = load_registry(Path.cwd()).rows.values()
    refuse_secret_files(suite, known_secrets(endpoints.values(), rows, environ))


def save_chat(prepared: PreparedRun, path: Path) -> None:
    """Write the conversation so far to a file, in the format of its suffix.

    Raises:
        CompareError: the file exists already, its format is not known, or it cannot be written.

    """
    check_outputs([path], known_suffixes([path.suffix.lower()]))
    if path.exists():
        raise CompareError(f"{path} exists already; choose another name")
    so_far = replace(load_run(prepared.folder), ended=True)
    write_by_suffix([path], lambda suffix: find_writer(suffix)(so_far))

"""A conversation that is typed turn by turn; every target keeps its own history."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING

import anyio

from runner.commands.load_run import load_run
from runner.commands.providers import load_registry
from runner.commands.run.options import RunOptions
from runner.commands.run.prepare import AskUser, prepare
from runner.commands.run.prepared_run import PreparedRun
from runner.commands.run.send_and_write import FinishedRun, open_run, write_outputs
from runner.core.conversation import EarlierReply, earlier_reply
from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.observer import Observer
from runner.engine.process_limits_and_signals import cancel_on_signals
from runner.errors import CompareError
from runner.outputs import find_writer, known_suffixes
from runner.planning.plan import Request, Target
from runner.storage.run_folder import check_outputs, write_atomically
from runner.suite.from_data import suite_from_prompts

if TYPE_CHECKING:
    from runner.engine.exchange import RequestExchange

NAME = "chat"
PLACEHOLDER = "(typed by hand)"
"""The prompt that is planned in place of those that will be typed."""


class Chat:
    """A conversation with several targets. Every target keeps its own history; a failed turn adds nothing to it."""

    def __init__(self, targets: Sequence[Target], exchanges: dict[str, "RequestExchange"]) -> None:
        self._exchanges = exchanges
        self._targets = tuple(targets)
        self._number = 0
        self.reset()

    def reset(self) -> None:
        """Begin a new conversation, of which no target knows the earlier ones."""
        self._number += 1
        self._prompts: tuple[str, ...] = ()
        self._replies: dict[str, tuple[EarlierReply, ...]] = {target.name: () for target in self._targets}

    async def ask(self, text: str, observer: Observer) -> list[Record]:
        """Ask every target the next turn at the same time; return their records in the order of the targets."""
        self._prompts += (text,)
        case = Case(NAME if self._number == 1 else f"{NAME}-{self._number}", self._prompts)
        for exchange in self._exchanges.values():
            exchange.observer = observer
        records: dict[str, Record] = {}

        async def ask_target(target: Target) -> None:
            request = Request(target, case, repeat=1, block=1, replies=self._replies[target.name])
            record = await self._exchanges[target.provider].send(request, perf_counter_ns())
            records[target.name] = record
            reply = earlier_reply(record) if record.outcome in TIMED else EarlierReply(None)
            self._replies[target.name] += (reply,)

        async with anyio.create_task_group() as tasks:
            for target in self._targets:
                tasks.start_soon(ask_target, target)
        return [records[target.name] for target in self._targets]


def prepare_chat(options: RunOptions, *, system: str | None = None, ask: AskUser | None = None) -> PreparedRun:
    """Return a run whose targets can be talked with, with an open number of turns. `ask` is as for `prepare`."""
    suite = suite_from_prompts([PLACEHOLDER], name=NAME, parameters=Parameters(system=system))
    suite = replace(suite, cases=(Case(NAME, (PLACEHOLDER,)),))
    prepared = prepare(suite, load_registry(Path.cwd()), options, ask=ask)
    return replace(prepared, plan=replace(prepared.plan, repeat=None))


async def hold_chat(prepared: PreparedRun, talk: Callable[[Chat], Awaitable[None]]) -> FinishedRun:
    """Open a conversation with a run's targets, let `talk` hold it, and write the run's tables.

    The first signal cancels the replies under way and ends the conversation; the tables are written all the same.
    """
    async with open_run(prepared, Observer()) as (exchanges, writer):
        async with cancel_on_signals() as scope:
            with scope:
                await talk(Chat(prepared.plan.targets, exchanges))
        if not scope.cancel_called:
            writer.append({"kind": "end"})
    return write_outputs(prepared, interrupted=scope.cancel_called)


def save_chat(prepared: PreparedRun, path: Path) -> None:
    """Write what was said so far to a file, in the format of its suffix.

    Raises:
        CompareError: there is such a file already, its format is not known, or it cannot be written.

    """
    suffix = path.suffix.lower()
    check_outputs([path], known_suffixes([suffix]))
    if path.exists():
        raise CompareError(f"{path} exists already; choose another name")
    so_far = replace(load_run(prepared.folder), ended=True)
    write_atomically(path, find_writer(suffix)(so_far))

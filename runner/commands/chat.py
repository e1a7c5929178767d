"""A conversation that is typed turn by turn; every target keeps its own history."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING

import anyio

from runner.commands.ask import prepare_prompt
from runner.commands.run.options import RunOptions
from runner.commands.run.perform import open_run, write_outputs
from runner.commands.run.prepare import AskUser
from runner.commands.run.prepared_run import PreparedRun
from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.suite import Case
from runner.engine.observer import Observer
from runner.planning.plan import Request, Target

if TYPE_CHECKING:
    from runner.engine.exchange import RequestExchange

NAME = "chat"
PLACEHOLDER = "(typed by hand)"
"""The prompt that is planned in place of those that will be typed."""


class Chat:
    """A conversation with several targets. Every target keeps its own history; a failed turn adds nothing to it."""

    def __init__(self, targets: Sequence[Target], exchanges: dict[str, "RequestExchange"]) -> None:
        self._exchanges = exchanges
        self._histories: dict[str, tuple[tuple[str, str], ...]] = {target.name: () for target in targets}
        self._targets = tuple(targets)
        self._turns = 0

    async def ask(self, text: str, observer: Observer) -> list[Record]:
        """Ask every target the next turn at the same time; return their records in the order of the targets."""
        self._turns += 1
        for exchange in self._exchanges.values():
            exchange.observer = observer
        records: dict[str, Record] = {}

        async def ask_target(target: Target) -> None:
            history = self._histories[target.name]
            case = Case(NAME, (*(prompt for prompt, _ in history), text))
            replies = tuple(reply for _, reply in history)
            request = Request(target, case, repeat=self._turns, block=self._turns, replies=replies)
            record = await self._exchanges[target.provider].send(request, perf_counter_ns())
            records[target.name] = record
            if record.outcome in TIMED:
                self._histories[target.name] += ((text, record.reply or ""),)

        async with anyio.create_task_group() as tasks:
            for target in self._targets:
                tasks.start_soon(ask_target, target)
        return [records[target.name] for target in self._targets]


def prepare_chat(options: RunOptions, *, system: str | None = None, ask: AskUser | None = None) -> PreparedRun:
    """Return a run whose targets can be talked with; `ask` is as for `prepare`."""
    return prepare_prompt(PLACEHOLDER, options, system=system, name=NAME, ask=ask)


@asynccontextmanager
async def open_chat(prepared: PreparedRun) -> AsyncIterator[Chat]:
    """Open a conversation with a run's targets; its tables are in the run's folder afterwards."""
    async with open_run(prepared, Observer()) as (exchanges, _):
        yield Chat(prepared.plan.targets, exchanges)
    write_outputs(prepared, interrupted=False)

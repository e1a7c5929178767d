"""A conversation typed by hand: every target keeps its own history, as in a notebook's loop."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING

import anyio

from runner.commands.run.job import PreparedRun
from runner.commands.run.perform import open_run, write_outputs
from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.suite import Case
from runner.engine.observer import Observer
from runner.planning.plan import Request, Target

if TYPE_CHECKING:
    from runner.engine.exchange import RequestExchange


class Chat:
    """A conversation typed by hand. Every target keeps its own history; a failed turn leaves none."""

    def __init__(self, targets: Sequence[Target], exchanges: dict[str, "RequestExchange"]) -> None:
        self._exchanges = exchanges
        self._said: dict[str, tuple[tuple[str, str], ...]] = {target.name: () for target in targets}
        self._targets = tuple(targets)
        self._turns = 0

    async def say(self, text: str, observer: Observer) -> list[Record]:
        """Ask every target at once; return their records in the targets' order."""
        self._turns += 1
        for exchange in self._exchanges.values():
            exchange.observer = observer
        records: dict[str, Record] = {}

        async def ask(target: Target) -> None:
            asked = tuple(question for question, _ in self._said[target.name])
            replies = tuple(reply for _, reply in self._said[target.name])
            case = Case("chat", (*asked, text))
            request = Request(target, case, repeat=self._turns, block=self._turns, replies=replies)
            record = await self._exchanges[target.provider].send(request, perf_counter_ns())
            records[target.name] = record
            if record.outcome in TIMED:
                self._said[target.name] += ((text, record.reply or ""),)

        async with anyio.create_task_group() as asking:
            for target in self._targets:
                asking.start_soon(ask, target)
        return [records[target.name] for target in self._targets]


@asynccontextmanager
async def open_chat(job: PreparedRun) -> AsyncIterator[Chat]:
    """Open a conversation with a job's targets; what was said is in its folder afterwards."""
    async with open_run(job, Observer()) as (exchanges, _):
        yield Chat(job.plan.targets, exchanges)
    write_outputs(job, interrupted=False)

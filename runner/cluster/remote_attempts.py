"""The engine's asker on a cluster: hands each attempt to the worker that has least to do."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter_ns

import anyio

from runner.analysis.workers import WORKER_LOST
from runner.cluster.messages import RemoteOpened, Report, shift
from runner.cluster.worker_handle import WorkerHandle, WorkerLost
from runner.cluster.worker_pool import WorkerPool
from runner.core.events import Failed, Outcome
from runner.core.nodes import Node
from runner.engine.attempts import Vantage
from runner.wire.completion_request import CompletionRequest
from runner.wire.read_loop import Attempt, Watch
from runner.wire.response_body import Phases, ResponseBody

HUSH_LIMIT_S = 5.0
"""How long an interrupted run waits for what a worker has heard so far."""


class _RemoteBody(ResponseBody):
    """What is known here of a response that another process hears."""

    standpoint = Vantage()

    def take_from(self, report: Report, hand: WorkerHandle, handed_ns: int) -> None:
        """Keep what a worker reports."""
        self.sent_ns, self.headers_ns = report.sent_ns, report.headers_ns
        self.phases, self.clock = report.phases, report.clock
        ahead_ns = report.stay.clock_ahead_ns(handed_ns, perf_counter_ns())
        self.standpoint = Vantage(report.late_ns, ahead_ns, hand.node.name, hand.node.region)


@dataclass(frozen=True, slots=True)
class RemoteAttemptRunner:
    """Asks one provider through a crew."""

    provider: str
    crew: WorkerPool

    async def warm_up(self, connections: int) -> list[Phases]:
        """Open connections from all workers, as many from each."""
        hands = tuple(self.crew.hands) or (await self.crew.choose(),)
        shares = _share_out(connections, len(hands), evenly=bool(self.crew.vantages))
        opened: list[Phases] = []

        async def open_share(hand: WorkerHandle, share: int) -> None:
            handed_ns = perf_counter_ns()
            try:
                found: RemoteOpened = await self.crew.collect(hand, hand.handle.warm_up.remote(self.provider, share))
            except WorkerLost:
                return  # another takes its place, and opens connections when it needs them
            ahead_ns = found.stay.clock_ahead_ns(handed_ns, perf_counter_ns())
            opened.extend(shift(phases, -ahead_ns) for phases in found.phases)

        async with anyio.create_task_group() as opening:
            for hand, share in zip(hands, shares, strict=True):
                opening.start_soon(open_share, hand, share)
        return opened

    async def ask(
        self,
        question: CompletionRequest,
        attempt: Attempt,
        watch: Watch | None = None,  # noqa: ARG002
        *,
        vantage: Node | None = None,
    ) -> None:
        """Have a question asked, from a vantage or by anybody; events are not passed on one by one."""
        attempt.body = body = _RemoteBody()
        if vantage is not None:
            body.standpoint = _at(vantage)
        try:
            hand = await self.crew.choose(vantage)
        except WorkerLost as lost:
            attempt.fold.add(Failed(perf_counter_ns(), Outcome.CONNECTION, str(lost), WORKER_LOST))
            return
        await self._have_heard(hand, question, attempt, body)

    async def _have_heard(
        self, hand: WorkerHandle, question: CompletionRequest, attempt: Attempt, body: _RemoteBody
    ) -> None:
        body.standpoint = _at(hand.node)
        number, handed_ns = self.crew.next_number(), perf_counter_ns()
        reference = hand.handle.hear.remote(self.provider, number, question)

        async def fetch() -> None:
            report: Report = await self.crew.collect(hand, reference)
            body.take_from(report, hand, handed_ns)
            attempt.fold = report.fold

        hand.busy += 1
        try:
            await fetch()
        except anyio.get_cancelled_exc_class():
            await _hush(hand, number, fetch)
            raise
        except WorkerLost as lost:
            failed = Failed(perf_counter_ns(), Outcome.CONNECTION, str(lost), WORKER_LOST, worth_repeating=True)
            attempt.fold.add(failed)
        finally:
            hand.busy -= 1

    def standpoint(self, attempt: Attempt) -> Vantage:
        """Tell which worker heard an attempt, and how its stamps are to be read."""
        return attempt.body.standpoint if isinstance(attempt.body, _RemoteBody) else Vantage()


def _at(node: Node) -> Vantage:
    return Vantage(node=node.name, region=node.region)


def _share_out(connections: int, hands: int, *, evenly: bool) -> list[int]:
    """Return how many connections each opens: no more in all than are needed, or the same number each, rounded up."""
    if evenly:
        return [-(-connections // hands)] * hands
    return [connections // hands + (at < connections % hands) for at in range(hands)]


async def _hush(hand: WorkerHandle, number: int, fetch: Callable[[], Awaitable[None]]) -> None:
    """Let a worker end an attempt here and now, and fetch what it has heard by then, if it can still tell."""
    with anyio.move_on_after(HUSH_LIMIT_S, shield=True), contextlib.suppress(WorkerLost):
        await hand.collect(hand.handle.hush.remote(number))
        await fetch()

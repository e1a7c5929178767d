"""Sweeps on a server with a queue of known solution, under a virtual clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from runner.analysis.steady_state import LevelEntry
from runner.core.events import Outcome
from runner.core.load_profile import LoadProfile, RampSetting
from runner.core.record import Record
from runner.core.record_fields import TextEvents, Timestamps
from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit
from runner.engine.provider_lane import Lane
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.storage.journal import Header
from tests.support.crafted_runs import header
from tests.support.virtual_run import SECOND_NS, TimedConversation, VirtualRun

PREFILL_S, DECODE_S = 0.03, 1.0
"""A prompt is read in 30 ms in the mean, one at a time; a reply then takes a second, however many others do so."""


EACH = 1000
"""Requests at each level."""


@dataclass
class QueueServer:
    """A server that reads prompts one at a time, first come, first served, and answers all of them concurrently."""

    random: Random
    free_ns: int = 0
    now_ns: Callable[[], int] = lambda: 0
    ttft_ns: dict[str, int] = field(default_factory=dict)

    def lasts_ns(self, request: Request) -> int:
        """Return the duration of a request that arrives now."""
        self.free_ns = max(self.now_ns(), self.free_ns) + self._draw_ns(PREFILL_S)
        self.ttft_ns[request.key] = self.free_ns - self.now_ns()
        return self.ttft_ns[request.key] + self._draw_ns(DECODE_S)

    def _draw_ns(self, mean_s: float) -> int:
        return round(self.random.expovariate(1 / mean_s) * SECOND_NS)


def sweep_records(levels: tuple[int, ...], each: int, seed: int = 7, ramp: RampSetting = "none") -> list[Record]:
    """Return the records of a sweep on such a server."""
    return sweep_run(levels, each, seed, ramp)[0]


def sweep_run(
    levels: tuple[int, ...], each: int, seed: int = 7, ramp: RampSetting = "none"
) -> tuple[list[Record], list[LevelEntry]]:
    """Return the records of a sweep on such a server, and the times at which its lane reached each level."""
    server = QueueServer(Random(seed))
    plan = Plan((Case("one", ("Hello?",)),), (Target("acme", "m", Parameters()),), each, seed=1, levels=len(levels))
    load = LoadProfile(levels=levels, ramp=ramp)
    run = VirtualRun(plan, {"acme": Lane("acme", ConcurrencyLimit.of(1))}, server.lasts_ns, load)
    server.now_ns = lambda: run.now_ns
    records = [record_of(held, server) for held in run.run_levels()]
    return records, entries_of(run)


def entries_of(run: VirtualRun) -> list[LevelEntry]:
    """Return the times at which the one lane of a run reached its levels."""
    return [LevelEntry("acme", None, each.width, each.at_ns / 1e9, each.open_ns / 1e9) for each in run.openings]


def header_of(**load: object) -> Header:
    """Return the header of a run with a load profile, as this version writes it."""
    return header("run", ("acme/m",), cases=("one",), repeat=EACH, planned_requests=None, release="free", load=load)


def record_of(held: TimedConversation, server: QueueServer) -> Record:
    """Return the record of a conversation."""
    ttft_ns = server.ttft_ns[held.request.key]
    return Record(
        identity=held.request.identity(),
        timestamps=Timestamps(sent=held.start_ns, first_event=held.start_ns + ttft_ns, last_event=held.end_ns),
        outcome=Outcome.OK,
        text_events=TextEvents((ttft_ns // 1000, (held.end_ns - held.start_ns) // 1000), "aa", (1, 1)),
        reply="ab",
        output_tokens=10,
    )

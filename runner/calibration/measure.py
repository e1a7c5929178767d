"""Calibration: send requests to the simulator, whose clock is known, through the engine, and compare timestamps."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, process_time_ns
from typing import TYPE_CHECKING

from runner.analysis.calibration import TimestampErrors, is_sustained, measure_errors, next_concurrency, read_timestamps
from runner.calibration.stored_calibration import identify_machine
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.run_observers import CompositeObserver, Observer
from runner.planning.plan import Plan, Request, Target
from runner.providers.endpoint import find_endpoint
from runner.providers.redaction import Redactor
from runner.providers.registry import builtin
from runner.simulator.model_names import PROVIDER as SIMULATOR
from runner.storage import journal
from runner.version import __version__
from runner.wire.event_loop_time_slices import SEND_INTERVAL_NS

if TYPE_CHECKING:
    from runner.engine.attempt_runners import OpenAttemptRunners


SEARCH_S = 30.0
"""Seconds that the search for the highest concurrency may take: no trial begins that would not end by then."""

MOST = 10_000
"""The highest concurrency that is tried; a run accepts no more either."""


class CalibrationInterrupted(Exception):
    """A signal came before everything was measured."""


@dataclass(frozen=True, slots=True)
class CalibrationLoad:
    """A number of requests, some of them in flight at once, each answered with some tokens at an exact pace."""

    concurrency: int
    requests: int
    ttft_ms: float
    gap_ms: float
    tokens: int

    @property
    def model(self) -> str:
        """The simulated model that answers at this pace."""
        return f"exact?ttft_ms={self.ttft_ms:.3f}&gap_ms={self.gap_ms:.3f}&tokens={self.tokens}"

    @property
    def ideal_s(self) -> float:
        """The seconds that the load takes if nothing but the server takes time."""
        rounds = -(-self.requests // self.concurrency)
        return rounds * (self.ttft_ms + self.gap_ms * (self.tokens - 1)) / 1000

    def at(self, concurrency: int) -> "CalibrationLoad":
        """Return the same pace at another concurrency, with requests enough for a 99th percentile."""
        return replace(self, concurrency=concurrency, requests=max(100, 2 * concurrency)).overlapping()

    def overlapping(self) -> "CalibrationLoad":
        """Return the load with replies that last at least twice as long as it takes to send all concurrent requests.

        Requests are sent one after the other: otherwise the first streams would end before the last one begins, and the
        named concurrency would never be reached.
        """
        sending_ms = self.concurrency * SEND_INTERVAL_NS / 1e6
        tokens = ceil((2 * sending_ms - self.ttft_ms) / self.gap_ms) + 1
        return replace(self, tokens=max(self.tokens, tokens))


@dataclass(frozen=True, slots=True)
class Effort:
    """CPU and wall-clock seconds of a load, from its first request to its last record."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The errors and the effort of a trial, and the `clock` of its rows."""

    errors: TimestampErrors
    effort: Effort
    clock: str | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The highest concurrency that was measured well, and one that was too much; None if none was."""

    sustained: int
    exceeded: int | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """The result of a calibration: the errors, and on which machine, when and with what they were measured."""

    calibrated_at: str
    machine: Mapping[str, object]
    versions: Mapping[str, str]
    clock: str | None
    load: CalibrationLoad
    errors: TimestampErrors
    cpu_per_token_s: float | None
    capacity: Capacity | None

    def to_json(self) -> str:
        """Return the calibration as it is stored."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


class EffortTimer(Observer):
    """Times a load from its first request to its latest record, so that opening and closing do not count."""

    def __init__(self) -> None:
        self._start: tuple[int, int] | None = None
        self._end = (0, 0)

    def started(self, request: Request) -> None:  # noqa: ARG002
        """Note when the first request is sent."""
        if self._start is None:
            self._start = process_time_ns(), perf_counter_ns()

    def finished(self, record: Record) -> None:  # noqa: ARG002
        """Note when the latest record is in the journal."""
        self._end = process_time_ns(), perf_counter_ns()

    @property
    def effort(self) -> Effort:
        """The time between the two."""
        start_cpu_ns, start_ns = self._start or self._end
        return Effort((self._end[0] - start_cpu_ns) / 1e9, (self._end[1] - start_ns) / 1e9)


async def run_load(
    base_url: str,
    load: CalibrationLoad,
    folder: Path,
    open_runners: "OpenAttemptRunners | None" = None,
    observer: Observer | None = None,
) -> Effort:
    """Run a load against a simulator, as any run does, into a journal in `folder`; return its effort.

    Args:
        base_url: the simulator's address.
        load: the load.
        folder: where the journal is written.
        open_runners: opens what runs attempts; in this process, if not given.
        observer: follows the load, too.

    Raises:
        CalibrationInterrupted: a signal came.

    """
    from runner.engine.attempt_runners import open_local_runners  # noqa: PLC0415 -- brings the SDK
    from runner.engine.run import execute, open_exchanges  # noqa: PLC0415

    parameters = Parameters()
    target = Target(SIMULATOR, load.model, parameters, simulated=True)
    plan = Plan((Case("calibrate", ("Count.",)),), (target,), repeat=load.requests)
    endpoint = find_endpoint(SIMULATOR, builtin(), {}).moved_to(base_url)
    timer = EffortTimer()
    with journal.JournalWriter(folder) as writer:
        writer.append_header(_header(plan, load))
        async with open_exchanges(
            {SIMULATOR: endpoint},
            limits={SIMULATOR: load.concurrency},
            connect_s=parameters.timeouts.connect,
            journal=writer,
            observer=timer if observer is None else CompositeObserver((timer, observer)),
            redactor=Redactor(()),
            salt="calibrate",
            open_runners=open_runners or open_local_runners,
        ) as exchanges:
            if not await execute(plan, exchanges, writer):
                raise CalibrationInterrupted
    return timer.effort


def _header(plan: Plan, load: CalibrationLoad) -> journal.Header:
    return journal.Header(
        run_id="calibrate",
        suite="calibrate",
        digest="",
        seed=plan.seed,
        started_at=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        simulated=True,
        repeat=plan.repeat,
        targets=tuple(target.name for target in plan.targets),
        cases=tuple(case.id for case in plan.cases),
        planned_requests=len(plan),
        concurrency=load.concurrency,
    )


async def run_trial(base_url: str, load: CalibrationLoad, observer: Observer | None = None) -> TrialResult:
    """Run a load against a simulator and compare all timestamps.

    Raises:
        CalibrationInterrupted: a signal came.

    """
    with TemporaryDirectory(prefix="compare-") as name:
        effort = await run_load(base_url, load, Path(name), observer=observer)
        records = list(journal.read(Path(name)).records)
    stamps = [each for record in records if (each := read_timestamps(record)) is not None]
    return TrialResult(measure_errors(stamps, load.requests), effort, records[0].clock)


class CalibrationObserver(Observer):
    """Follows a calibration: ignores everything; a view overrides what it needs."""

    def announced(self, load: CalibrationLoad, longest_s: float) -> None:
        """Handle the first load, and how long the whole calibration takes at most on a machine with nothing to do."""

    def trial_begun(self, load: CalibrationLoad, *, again: bool) -> None:
        """Handle the beginning of a trial; `again` for a second one of the same load."""


@dataclass(slots=True)
class TrialSeries:
    """Trials, one after the other, as long as the next one would end in time."""

    base_url: str
    observer: CalibrationObserver
    ends_ns: int | None = None
    """When the last trial must have ended; None for no limit."""
    _slowdown: float = 1.0
    """How many times as long as planned the latest trial took."""

    async def run(self, load: CalibrationLoad, *, again: bool = False) -> TrialResult | None:
        """Return the result of a trial; None where there is no time for it."""
        began_ns = perf_counter_ns()
        if self.ends_ns is not None and began_ns + load.ideal_s * self._slowdown * 1e9 > self.ends_ns:
            return None
        self.observer.trial_begun(load, again=again)
        trial = await run_trial(self.base_url, load, self.observer)
        self._slowdown = max(1.0, (perf_counter_ns() - began_ns) / 1e9 / load.ideal_s)
        return trial

    async def is_sustained(self, trial: TrialResult, load: CalibrationLoad) -> bool | None:
        """Return whether a load was measured well, in a second trial if not in the first, which other work may disturb.

        None where there is no time for the second.
        """
        if is_sustained(trial.errors):
            return True
        second = await self.run(load, again=True)
        return None if second is None else is_sustained(second.errors)


async def calibrate(load: CalibrationLoad, *, search: bool, observer: CalibrationObserver) -> Calibration:
    """Measure this machine's error at a load and, with `search`, the highest concurrency that it sustains.

    Raises:
        CalibrationInterrupted: a signal came; what was measured by then is not kept.

    """
    from runner.simulator.child_process import launch  # noqa: PLC0415 -- few commands need it

    observer.announced(load, load.ideal_s + (SEARCH_S if search else 0))
    async with launch() as base_url:
        series = TrialSeries(base_url, observer)
        trial = await series.run(load)
        assert trial is not None, "there was no limit"
        capacity = await _search(trial, series, load) if search else None
    tokens = trial.errors.tokens
    return Calibration(
        calibrated_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        machine={**identify_machine(), "platform": platform.platform(), "cpus": os.cpu_count()},
        versions={"compare": __version__, **{name: version(name) for name in ("openai", "aiohttp")}},
        clock=trial.clock,
        load=load,
        errors=trial.errors,
        cpu_per_token_s=trial.effort.cpu_s / tokens if tokens else None,
        capacity=capacity,
    )


async def _search(first: TrialResult, series: TrialSeries, load: CalibrationLoad) -> Capacity:
    """Try one concurrency after the other, as long as there is time."""
    series.ends_ns = perf_counter_ns() + round(SEARCH_S * 1e9)
    sustained, exceeded = 0, None
    trial: TrialResult | None = first
    tried: CalibrationLoad = load
    while trial is not None:
        holds = await series.is_sustained(trial, tried)
        if holds is None:
            break
        if holds:
            sustained = tried.concurrency
        else:
            exceeded = tried.concurrency
        level = next_concurrency(sustained, exceeded, MOST)
        if level is None:
            break
        tried = load.at(level)
        trial = await series.run(tried)
    return Capacity(sustained, exceeded)

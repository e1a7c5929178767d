"""Calibration: requests to the simulator, whose clock is known, through the engine, and a comparison of timestamps."""

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

from runner.analysis.timestamp_errors import (
    TimestampErrors,
    is_sustained,
    measure_errors,
    read_timestamps,
)
from runner.calibration.stored_calibration import identify_machine
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.core.target_name import SIMULATOR
from runner.engine.run_observers import CompositeObserver, Observer
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.providers.endpoint import find_endpoint
from runner.providers.redaction import Redactor
from runner.providers.registry import builtin
from runner.storage import journal
from runner.version import __version__
from runner.wire.event_loop_time_slices import SEND_INTERVAL_NS

if TYPE_CHECKING:
    from runner.engine.attempt_runners import OpenAttemptRunners


SEARCH_S = 30.0
"""Seconds that the search for the highest concurrency may take; a trial that would end later is not started."""

MAX_CONCURRENCY = 10_000
"""Highest concurrency that is tried, which is also the highest of a run."""


class CalibrationInterrupted(Exception):
    """A signal interrupted the calibration."""


@dataclass(frozen=True, slots=True)
class CalibrationLoad:
    """The load of a trial: requests at a concurrency, each answered with a number of tokens at an exact pace."""

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
        """Seconds that the load takes if only the server takes time."""
        rounds = -(-self.requests // self.concurrency)
        return rounds * (self.ttft_ms + self.gap_ms * (self.tokens - 1)) / 1000

    def at(self, concurrency: int) -> "CalibrationLoad":
        """Return a load at the same pace and another concurrency, with enough requests for a 99th percentile."""
        return replace(self, concurrency=concurrency, requests=max(100, 2 * concurrency)).overlapping()

    def overlapping(self) -> "CalibrationLoad":
        """Return the load with replies that last at least twice as long as sending all concurrent requests.

        Requests are sent one after the other. With shorter replies, the first streams would end before the last one
        starts, so the load would never reach its concurrency.
        """
        sending_ms = self.concurrency * SEND_INTERVAL_NS / 1e6
        tokens = ceil((2 * sending_ms - self.ttft_ms) / self.gap_ms) + 1
        return replace(self, tokens=max(self.tokens, tokens))


@dataclass(frozen=True, slots=True)
class Effort:
    """The CPU and wall-clock seconds of a load, from its first request to its last record."""

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
    """The highest concurrency that the machine sustained, and the lowest one that it did not; None if there is none."""

    sustained: int
    exceeded: int | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """The result of a calibration: the errors, and the machine, time, versions and load of the measurement."""

    calibrated_at: str
    machine: Mapping[str, object]
    versions: Mapping[str, str]
    clock: str | None
    load: CalibrationLoad
    errors: TimestampErrors
    cpu_per_token_s: float | None
    capacity: Capacity | None

    def to_json(self) -> str:
        """Return the calibration as JSON, as it is stored."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


class EffortTimer(Observer):
    """An observer that times a load from its first request to its latest record, without opening and closing."""

    def __init__(self) -> None:
        self._start: tuple[int, int] | None = None
        self._end = (0, 0)

    def started(self, request: Request) -> None:  # noqa: ARG002
        """Note the time of the first request."""
        if self._start is None:
            self._start = process_time_ns(), perf_counter_ns()

    def finished(self, record: Record) -> None:  # noqa: ARG002
        """Note the time at which the latest record is in the journal."""
        self._end = process_time_ns(), perf_counter_ns()

    @property
    def effort(self) -> Effort:
        """The effort between the first request and the latest record."""
        start_cpu_ns, start_ns = self._start or self._end
        return Effort((self._end[0] - start_cpu_ns) / 1e9, (self._end[1] - start_ns) / 1e9)


async def run_load(
    base_url: str,
    load: CalibrationLoad,
    folder: Path,
    open_runners: "OpenAttemptRunners | None" = None,
    observer: Observer | None = None,
) -> Effort:
    """Run a load against a simulator like any run, with a journal in `folder`; return its effort.

    Args:
        base_url: the simulator's address.
        load: the load.
        folder: the folder of the journal.
        open_runners: opens the attempt runners; by default they run in this process.
        observer: a further observer of the load.

    Raises:
        CalibrationInterrupted: a signal interrupted the load.

    """
    from runner.engine.attempt_runners import open_local_runners  # noqa: PLC0415 -- brings the SDK
    from runner.engine.run import open_senders, send_plan  # noqa: PLC0415
    from runner.engine.send_requests import SendContext  # noqa: PLC0415

    parameters = Parameters()
    target = Target(SIMULATOR, load.model, parameters, simulated=True)
    plan = Plan((Case("calibrate", ("Count.",)),), (target,), repeat=load.requests)
    endpoint = find_endpoint(SIMULATOR, builtin(), {}).moved_to(base_url)
    timer = EffortTimer()
    with journal.JournalWriter(folder) as writer:
        writer.append_header(_header(plan, load))
        observers = timer if observer is None else CompositeObserver((timer, observer))
        async with open_senders(
            {SIMULATOR: endpoint},
            {SIMULATOR: load.concurrency},
            SendContext(writer, observers, Redactor(()), salt="calibrate"),
            connect_s=parameters.timeouts.connect,
            open_runners=open_runners or open_local_runners,
        ) as senders:
            if not await send_plan(plan, senders, writer):
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
    """Run a load against a simulator and compare all timestamps with the simulator's.

    Raises:
        CalibrationInterrupted: a signal interrupted the trial.

    """
    with TemporaryDirectory(prefix="compare-") as name:
        effort = await run_load(base_url, load, Path(name), observer=observer)
        records = list(journal.read(Path(name)).records)
    timestamps = [each for record in records if (each := read_timestamps(record)) is not None]
    return TrialResult(measure_errors(timestamps, load.requests), effort, records[0].clock)


class CalibrationObserver(Observer):
    """An observer of a calibration whose methods do nothing; a view overrides those that it needs."""

    def announced(self, load: CalibrationLoad, longest_s: float) -> None:
        """Handle the first load, and the longest time in seconds that a calibration takes on an idle machine."""

    def trial_begun(self, load: CalibrationLoad, *, again: bool) -> None:
        """Handle the start of a trial; `again` is True for a second one of the same load."""


@dataclass(slots=True)
class TrialSeries:
    """A series of trials, each run only if it would end in time."""

    base_url: str
    observer: CalibrationObserver
    ends_ns: int | None = None
    """Time by which the last trial must end, in `perf_counter_ns`; None for no limit."""
    _slowdown: float = 1.0
    """Ratio of the latest trial's duration to its ideal one; at least 1."""

    async def run(self, load: CalibrationLoad, *, again: bool = False) -> TrialResult | None:
        """Return the result of a trial; None if there is no time for it."""
        began_ns = perf_counter_ns()
        if self.ends_ns is not None and began_ns + load.ideal_s * self._slowdown * 1e9 > self.ends_ns:
            return None
        self.observer.trial_begun(load, again=again)
        trial = await run_trial(self.base_url, load, self.observer)
        self._slowdown = max(1.0, (perf_counter_ns() - began_ns) / 1e9 / load.ideal_s)
        return trial

    async def is_sustained(self, trial: TrialResult, load: CalibrationLoad) -> bool | None:
        """Return whether a load was sustained in its trial, or else in a second one; None if there is no time for that.

        Other work on the machine may disturb a single trial.
        """
        if is_sustained(trial.errors):
            return True
        second = await self.run(load, again=True)
        return None if second is None else is_sustained(second.errors)


async def calibrate(load: CalibrationLoad, *, search: bool, observer: CalibrationObserver) -> Calibration:
    """Measure this machine's error at a load and, with `search`, the highest concurrency that it sustains.

    Raises:
        CalibrationInterrupted: a signal interrupted the calibration; the results so far are discarded.

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
    """Try one concurrency after the other as long as there is time; return the highest that was sustained."""
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
        level = next_concurrency(sustained, exceeded, MAX_CONCURRENCY)
        if level is None:
            break
        tried = load.at(level)
        trial = await series.run(tried)
    return Capacity(sustained, exceeded)


def next_concurrency(sustained: int, exceeded: int | None, most: int) -> int | None:
    """Return the concurrency to try next, given the highest one sustained and the lowest one exceeded.

    It doubles until a concurrency is exceeded, then bisects; None once the two are within an eighth of each other.
    """
    if exceeded is None:
        return min(2 * sustained, most) if sustained < most else None
    if exceeded - sustained <= max(1, sustained // 8):
        return None
    return (sustained + exceeded) // 2

"""Calibration: send requests to the simulator, whose clock is known, through the engine, and compare timestamps."""

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, process_time_ns
from typing import TYPE_CHECKING

from runner.analysis.calibration import TimestampErrors, is_sustained, measure_errors, next_concurrency, read_timestamps
from runner.calibration.stored import identify_machine
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.observer import Observer
from runner.planning.plan import Plan, Request, Target
from runner.providers.endpoint import find_endpoint
from runner.providers.redaction import Redactor
from runner.providers.registry import builtin
from runner.simulator.model import PROVIDER as SIMULATOR
from runner.storage import journal
from runner.version import __version__
from runner.wire.time_slices import SEND_INTERVAL_NS

if TYPE_CHECKING:
    from runner.engine.attempts import OpenAttemptRunners


SEARCH_S = 30.0
"""Seconds by which the last trial of the search for the highest concurrency must have begun."""

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
    base_url: str, load: CalibrationLoad, folder: Path, open_runners: "OpenAttemptRunners | None" = None
) -> Effort:
    """Run a load against a simulator, as any run does, into a journal in `folder`; return its effort.

    Args:
        base_url: the simulator's address.
        load: the load.
        folder: where the journal is written.
        open_runners: opens what runs attempts; in this process, if not given.

    Raises:
        CalibrationInterrupted: a signal came.

    """
    from runner.engine.attempts import open_local_runners  # noqa: PLC0415 -- brings the SDK
    from runner.engine.run import execute, open_exchanges  # noqa: PLC0415

    parameters = Parameters()
    target = Target(SIMULATOR, load.model, parameters, simulated=True)
    plan = Plan((Case("calibrate", ("Count.",)),), (target,), repeat=load.requests)
    endpoint = replace(find_endpoint(SIMULATOR, builtin(), {}), base_url=base_url)
    timer = EffortTimer()
    with journal.JournalWriter(folder) as writer:
        writer.append_header(_header(plan, load))
        async with open_exchanges(
            {SIMULATOR: endpoint},
            limits={SIMULATOR: load.concurrency},
            connect_s=parameters.timeouts.connect,
            journal=writer,
            observer=timer,
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


async def run_trial(base_url: str, load: CalibrationLoad) -> TrialResult:
    """Run a load against a simulator and compare all timestamps.

    Raises:
        CalibrationInterrupted: a signal came.

    """
    with TemporaryDirectory(prefix="compare-") as name:
        effort = await run_load(base_url, load, Path(name))
        records = list(journal.read(Path(name)).records)
    stamps = [each for record in records if (each := read_timestamps(record)) is not None]
    return TrialResult(measure_errors(stamps, load.requests), effort, records[0].clock)


async def calibrate(load: CalibrationLoad, *, search: bool, report: Callable[[str], object]) -> Calibration:
    """Measure this machine's error at a load and, with `search`, the highest concurrency that it sustains.

    `report` is called with a line on each trial before it starts.

    Raises:
        CalibrationInterrupted: a signal came; what was measured by then is not kept.

    """
    from runner.simulator.process import launch  # noqa: PLC0415 -- few commands need it

    async with launch() as base_url:
        report(f"{load.requests} requests, {load.concurrency} at a time: about {load.ideal_s:.0f} s")
        trial = await run_trial(base_url, load)
        capacity = await _search(trial, base_url, load, report) if search else None
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


async def _search(
    first: TrialResult, base_url: str, load: CalibrationLoad, report: Callable[[str], object]
) -> Capacity:
    """Try one concurrency after the other, until a trial as long as the last one no longer fits the time."""
    start_ns = perf_counter_ns()
    starts_well = await _sustains(first, base_url, load, report)
    sustained, exceeded = (load.concurrency, None) if starts_well else (0, load.concurrency)
    tried_s = 0.0
    while (level := next_concurrency(sustained, exceeded, MOST)) is not None:
        began_s = (perf_counter_ns() - start_ns) / 1e9
        if began_s + tried_s > SEARCH_S:
            break
        report(f"{level} at a time ...")
        trial = await run_trial(base_url, load.at(level))
        if await _sustains(trial, base_url, load.at(level), report):
            sustained = level
        else:
            exceeded = level
        tried_s = (perf_counter_ns() - start_ns) / 1e9 - began_s
    return Capacity(sustained, exceeded)


async def _sustains(trial: TrialResult, base_url: str, load: CalibrationLoad, report: Callable[[str], object]) -> bool:
    """Return whether a load was measured well, in a second trial if not in the first, which other work may have met."""
    if is_sustained(trial.errors):
        return True
    report(f"{load.concurrency} at a time, once more ...")
    return is_sustained((await run_trial(base_url, load)).errors)

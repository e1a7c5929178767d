"""Finds out how far this machine's stamps can be trusted: asks the simulator, through the engine, and compares.

The result is kept beside the results of runs, whose headers then say it.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, process_time_ns
from typing import TYPE_CHECKING, Any

from runner.analysis.calibration import (
    ClockError,
    TimestampErrors,
    is_sustained,
    measure_errors,
    next_concurrency,
    read_timestamps,
)
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.engine.observer import Observer
from runner.errors import CompareError
from runner.planning.plan import Plan, Request, Target
from runner.providers.endpoint import find_endpoint
from runner.providers.redaction import Redactor
from runner.providers.registry import builtin
from runner.storage import journal
from runner.storage.run_folder import RESULTS, write_atomically
from runner.version import __version__
from runner.wire.time_slices import DEPARTURE_INTERVAL_NS

if TYPE_CHECKING:
    from runner.engine.attempts import OpenAskers

CALIBRATION = RESULTS / "calibration.json"
GOOD_FOR = timedelta(days=30)
SIMULATOR = "sim"

SEARCH_S = 30.0
"""By when the last trial of the search for the highest concurrency must have begun, judged by the one before."""

MOST = 10_000
"""The highest concurrency that is tried; a run takes no more either."""


class CalibrationInterrupted(Exception):
    """A signal came before all was measured."""


@dataclass(frozen=True, slots=True)
class CalibrationLoad:
    """So many requests, so many at a time, each answered with so many tokens at an exact pace."""

    concurrency: int
    requests: int
    ttft_ms: float
    gap_ms: float
    tokens: int

    @property
    def model(self) -> str:
        """The simulated model that answers like that."""
        return f"exact?ttft_ms={self.ttft_ms:.3f}&gap_ms={self.gap_ms:.3f}&tokens={self.tokens}"

    @property
    def ideal_s(self) -> float:
        """How long it takes where nothing but the server takes time."""
        rounds = -(-self.requests // self.concurrency)
        return rounds * (self.ttft_ms + self.gap_ms * (self.tokens - 1)) / 1000

    def at(self, concurrency: int) -> "CalibrationLoad":
        """Return the same pace at another concurrency, with requests enough for a 99th percentile."""
        return replace(self, concurrency=concurrency, requests=max(100, 2 * concurrency)).overlapping()

    def overlapping(self) -> "CalibrationLoad":
        """Return the load with replies that last twice as long as beginning all of them takes, at the least.

        Requests leave one after the other: the first streams would else be over before the last one begins, and so
        many as are named never heard at once.
        """
        begun_ms = self.concurrency * DEPARTURE_INTERVAL_NS / 1e6
        tokens = ceil((2 * begun_ms - self.ttft_ms) / self.gap_ms) + 1
        return replace(self, tokens=max(self.tokens, tokens))


@dataclass(frozen=True, slots=True)
class Effort:
    """What a load took, from its first request to its last record."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class CalibrationStep:
    """How a load went, and what a row's `clock` said."""

    errors: TimestampErrors
    effort: Effort
    clock: str | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The highest concurrency found to be measured well; `exceeded` was too much, None if nothing was."""

    sustained: int
    exceeded: int | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found, on which machine, when, and with what."""

    calibrated_at: str
    machine: Mapping[str, object]
    versions: Mapping[str, str]
    clock: str | None
    load: CalibrationLoad
    errors: TimestampErrors
    cpu_per_token_s: float | None
    capacity: Capacity | None

    def to_json(self) -> str:
        """Return it as it is stored."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


class CpuTimer(Observer):
    """Notes the time at a load's first request and at each record, so that opening and closing do not count."""

    def __init__(self) -> None:
        self._start: tuple[int, int] | None = None
        self._end = (0, 0)

    def started(self, request: Request) -> None:  # noqa: ARG002
        """Note when the first request leaves."""
        if self._start is None:
            self._start = process_time_ns(), perf_counter_ns()

    def finished(self, record: Record) -> None:  # noqa: ARG002
        """Note when the latest record is in the journal."""
        self._end = process_time_ns(), perf_counter_ns()

    @property
    def effort(self) -> Effort:
        """What lies between the two."""
        start_cpu_ns, start_ns = self._start or self._end
        return Effort((self._end[0] - start_cpu_ns) / 1e9, (self._end[1] - start_ns) / 1e9)


async def drive(base_url: str, load: CalibrationLoad, folder: Path, open_askers: "OpenAskers | None" = None) -> Effort:
    """Ask a running simulator as any run asks, into a journal in `folder`, from this process or by other askers.

    Raises:
        Interrupted: a signal came.

    """
    from runner.engine.attempts import open_own_askers  # noqa: PLC0415 -- brings the SDK
    from runner.engine.run import execute, open_exchanges  # noqa: PLC0415

    parameters = Parameters()
    target = Target(SIMULATOR, load.model, parameters, simulated=True)
    plan = Plan((Case("calibrate", ("Count.",)),), (target,), repeat=load.requests)
    endpoint = replace(find_endpoint(SIMULATOR, builtin(), {}), base_url=base_url)
    stopwatch = CpuTimer()
    with journal.JournalWriter(folder) as writer:
        writer.append_header(_header(plan, load))
        async with open_exchanges(
            {SIMULATOR: endpoint},
            limits={SIMULATOR: load.concurrency},
            connect_s=parameters.timeouts.connect,
            journal=writer,
            observer=stopwatch,
            redactor=Redactor(()),
            salt="calibrate",
            open_askers=open_askers or open_own_askers,
        ) as exchanges:
            if not await execute(plan, exchanges, writer):
                raise CalibrationInterrupted
    return stopwatch.effort


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


async def probe(base_url: str, load: CalibrationLoad) -> CalibrationStep:
    """Put a load on a running simulator and compare all stamps."""
    with TemporaryDirectory(prefix="compare-") as name:
        effort = await drive(base_url, load, Path(name))
        records = list(journal.read(Path(name)).records)
    stamps = [each for record in records if (each := read_timestamps(record)) is not None]
    return CalibrationStep(measure_errors(stamps, load.requests), effort, records[0].clock)


async def calibrate(load: CalibrationLoad, *, search: bool, say: Callable[[str], object]) -> Calibration:
    """Find this machine's error at a load and, if told to `search`, the highest concurrency that it can measure.

    `say` is told what is being waited for.

    Raises:
        Interrupted: a signal came; what was measured by then is not kept.

    """
    from runner.simulator.process import launch  # noqa: PLC0415 -- few commands need it

    async with launch() as base_url:
        say(f"{load.requests} requests, {load.concurrency} at a time: about {load.ideal_s:.0f} s")
        found = await probe(base_url, load)
        capacity = await _search(found, base_url, load, say) if search else None
    errors, tokens = found.errors, found.errors.tokens
    return Calibration(
        calibrated_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        machine={**_identify_machine(), "platform": platform.platform(), "cpus": os.cpu_count()},
        versions={"compare": __version__, **{name: version(name) for name in ("openai", "aiohttp")}},
        clock=found.clock,
        load=load,
        errors=errors,
        cpu_per_token_s=found.effort.cpu_s / tokens if tokens else None,
        capacity=capacity,
    )


async def _search(
    first: CalibrationStep, base_url: str, load: CalibrationLoad, say: Callable[[str], object]
) -> Capacity:
    """Try one concurrency after the other, as long as another trial as long as the last still fits the time."""
    start_ns = perf_counter_ns()
    starts_well = await _sustains(first, base_url, load, say)
    sustained, exceeded = (load.concurrency, None) if starts_well else (0, load.concurrency)
    tried_s = 0.0
    while (level := next_concurrency(sustained, exceeded, MOST)) is not None:
        began_s = (perf_counter_ns() - start_ns) / 1e9
        if began_s + tried_s > SEARCH_S:
            break
        say(f"{level} at a time ...")
        found = await probe(base_url, load.at(level))
        if await _sustains(found, base_url, load.at(level), say):
            sustained = level
        else:
            exceeded = level
        tried_s = (perf_counter_ns() - start_ns) / 1e9 - began_s
    return Capacity(sustained, exceeded)


async def _sustains(found: CalibrationStep, base_url: str, load: CalibrationLoad, say: Callable[[str], object]) -> bool:
    """Whether a load was measured well, by a second trial where the first says no: it may have met other work."""
    if is_sustained(found.errors):
        return True
    say(f"{load.concurrency} at a time, once more ...")
    return is_sustained((await probe(base_url, load)).errors)


def _identify_machine() -> dict[str, str]:
    """Return what must be equal for a calibration to speak for a run."""
    return {"node": platform.node(), "python": platform.python_version()}


def store(found: Calibration, path: Path) -> None:
    """Write a calibration to its file; raise CompareError where that fails."""
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"{path.parent} cannot be created: {error.strerror}") from error
    write_atomically(path, found.to_json())


def find_clock_error(now: datetime, path: Path = CALIBRATION) -> ClockError | None:
    """Return what the stored calibration says; None if there is none, or it is old or of another machine."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return _read_clock_error(stored, now)
    except (OSError, ValueError, KeyError, TypeError):
        # A convenience: a run does not fail because a file beside it is damaged.
        return None


def _read_clock_error(stored: Mapping[str, Any], now: datetime) -> ClockError | None:
    machine, errors = stored["machine"], stored["errors"]
    is_ours = all(machine[name] == value for name, value in _identify_machine().items())
    if not is_ours or now - datetime.fromisoformat(stored["calibrated_at"]) > GOOD_FOR:
        return None
    return ClockError(
        calibrated_at=stored["calibrated_at"],
        concurrency=stored["load"]["concurrency"],
        n=errors["ttft"]["n"],
        ttft_p50_s=errors["ttft"]["p50_s"],
        ttft_p99_s=errors["ttft"]["p99_s"],
        gap_p99_s=errors["gap"]["p99_s"],
    )

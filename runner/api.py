"""The composer: loads, plans, runs, writes. Every command, and `from runner import ...`, calls it."""

import os
import platform
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import anyio

from runner import journal
from runner.calibrate import find_clock_error
from runner.choice import Choice, Wish, choose_cases, choose_targets
from runner.engine.observer import Observer
from runner.errors import CompareError, InvalidFile, Problem
from runner.events import TIMED
from runner.folder import (
    RESULTS,
    check_outputs,
    name_latest,
    new_run_id,
    refuse_used_folder,
    write_atomically,
)
from runner.outputs import WRITERS
from runner.plan import Plan, Request, Target
from runner.providers.config import find_config, load_config
from runner.providers.endpoint import Endpoint, read_endpoint
from runner.providers.environment import read_environment
from runner.providers.naming import resolve_provider
from runner.providers.redaction import Redactor
from runner.providers.registry import Registry, builtin
from runner.record import Record
from runner.suite.case import Case, Suite
from runner.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from runner.analysis.run import Run
    from runner.engine.exchange import Exchange

CONCURRENCY = 4
"""Requests under way at one provider unless its row or the user says otherwise: equal load for all."""

SIMULATOR = "sim"
PERSONAS = ("quick", "steady", "thinker")
"""Whom a machine without any key asks."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a command says beside the suite; None leaves the suite's, or the default, in force."""

    wish: Wish = field(default_factory=Wish)
    cases: tuple[str, ...] = ()
    repeat: int | None = None
    seed: int | None = None
    concurrency: int | None = None
    env_files: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    bom: bool = False
    warmup_requests: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is ready to start: nothing about it can fail for want of a file, a name or a key."""

    suite: Suite
    plan: Plan
    choice: Choice
    concurrency: int | None
    folder: Path
    outputs: tuple[Path, ...]
    bom: bool
    started: datetime

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulator stands in."""
        return any(target.simulated for target in self.plan.targets)

    @property
    def limits(self) -> dict[str, int]:
        """How many requests each provider may have under way."""
        rows = {name: endpoint.row for name, endpoint in self.choice.endpoints.items()}
        return {name: self.concurrency or row.concurrency or CONCURRENCY for name, row in rows.items()}

    @property
    def redactor(self) -> Redactor:
        """Hides the keys this job may use."""
        return Redactor(endpoint.key for endpoint in self.choice.endpoints.values() if endpoint.key is not None)


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over, finished or not."""

    run: "Run"
    folder: Path
    written: tuple[Path, ...]
    interrupted: bool


def load_registry(start: Path) -> Registry:
    """Return the built-in rows with those of the nearest compare.yaml laid over them."""
    config = find_config(start)
    return builtin().with_rows(load_config(config)) if config else builtin()


def load_suite(path: Path) -> tuple[Suite, Registry]:
    """Read a suite and the rows it is used with; every problem of both files is reported at once."""
    from runner.suite.load import load  # noqa: PLC0415 -- brings pydantic and the YAML reader

    problems: list[Problem] = []
    registry = builtin()
    try:
        registry = load_registry(path)
    except InvalidFile as error:
        problems += error.problems
    try:
        suite, rows = load(path, registry.names)
    except InvalidFile as error:
        raise InvalidFile([*problems, *error.problems]) from None
    if problems:
        raise InvalidFile(problems)
    return suite, registry.with_rows(rows)


def prepare(suite: Suite, registry: Registry, options: Options) -> Job:
    """Make everything certain that can be, before the first request costs money."""
    start = Path(suite.path) if suite.path else Path.cwd()
    environ = read_environment(options.env_files, start, os.environ)
    suite = choose_cases(suite, options.cases)
    choice = choose_targets(suite, options.wish, registry, environ)
    if not choice.targets:
        choice = _simulated_choice(suite, registry, choice.notes)
    started = datetime.now().astimezone()
    folder, outputs = _split_outputs(options.outputs, suite.name, started)
    refuse_used_folder(folder)
    check_outputs(outputs, WRITERS, folder)
    plan = Plan(
        cases=suite.cases,
        targets=choice.targets,
        repeat=options.repeat or suite.repeat,
        seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
        warmups=options.warmup_requests,
    )
    return Job(suite, plan, choice, options.concurrency, folder, outputs, options.bom, started)


def _simulated_choice(suite: Suite, registry: Registry, notes: Sequence[str]) -> Choice:
    targets = tuple(Target(SIMULATOR, persona, suite.parameters, simulated=True) for persona in PERSONAS)
    why = "no provider is configured, so the built-in simulator answers; `compare providers` shows which keys count"
    return Choice(targets, {SIMULATOR: read_endpoint(SIMULATOR, registry, {})}, (*notes, why))


def _split_outputs(outputs: Sequence[Path], suite: str, started: datetime) -> tuple[Path, tuple[Path, ...]]:
    """Tell the run's folder, which has no suffix, from further outputs, which have one."""
    folders = [path for path in outputs if not path.suffix or os.path.isdir(path)]  # noqa: PTH112 -- never raises
    if len(folders) > 1:
        raise CompareError(f"-o names two folders, {folders[0]} and {folders[1]}; a run has one")
    folder = folders[0] if folders else RESULTS / new_run_id(suite, started)
    return folder, tuple(path for path in outputs if path not in folders)


@asynccontextmanager
async def _simulator_for(job: Job) -> AsyncIterator[dict[str, Endpoint]]:
    """Run the simulator, in a process of its own, while a job needs it; yield the endpoints to ask."""
    endpoints = dict(job.choice.endpoints)
    if SIMULATOR not in endpoints:
        yield endpoints
        return
    from runner.simulator.process import launch  # noqa: PLC0415 -- few runs need it

    async with launch() as base_url:
        endpoints[SIMULATOR] = replace(endpoints[SIMULATOR], base_url=base_url)
        yield endpoints


async def perform(job: Job, observer: Observer | None = None) -> Done:
    """Run a job; its journal, tables and further outputs are on disk when this returns."""
    from runner.engine.run import execute  # noqa: PLC0415 -- brings the SDK

    observer = observer or Observer()
    observer.planned(job.plan)
    async with _opened(job, observer) as (exchanges, writer):
        finished = await execute(job.plan, exchanges, writer)
    return write_outputs(job, interrupted=not finished)


@asynccontextmanager
async def _opened(job: Job, observer: Observer) -> AsyncIterator[tuple[dict[str, "Exchange"], journal.Writer]]:
    """Begin a job's journal and open its providers; both are closed afterwards."""
    from runner.engine.run import open_exchanges  # noqa: PLC0415

    header = _header(job)
    with journal.Writer(job.folder, job.redactor.by_value) as writer:
        writer.append_header(header)
        async with (
            _simulator_for(job) as endpoints,
            open_exchanges(
                endpoints,
                limits=job.limits,
                connect_s=max(target.parameters.timeouts.connect for target in job.plan.targets),
                journal=writer,
                observer=observer,
                redactor=job.redactor,
                salt=header.run_id,
            ) as exchanges,
        ):
            yield exchanges, writer
    if job.folder.absolute().parent.name == RESULTS.name:
        name_latest(job.folder.absolute())


def _header(job: Job) -> journal.Header:
    libraries = ("openai", "aiohttp", "pandas")
    clock_error = find_clock_error(job.started)
    return journal.Header(
        run_id=job.folder.name,
        suite=job.suite.name,
        digest=job.suite.digest,
        seed=job.plan.seed,
        started_at=job.started.isoformat(timespec="milliseconds"),
        simulated=job.simulated,
        repeat=job.plan.repeat,
        targets=tuple(target.name for target in job.plan.targets),
        cases=tuple(case.id for case in job.suite.cases),
        planned_requests=len(job.plan),
        order=job.plan.order,
        concurrency=job.concurrency,
        path=job.suite.path,
        platform=platform.platform(),
        versions={
            "compare": __version__,
            "python": platform.python_version(),
            **{name: installed_version(name) for name in libraries},
        },
        calibration=None if clock_error is None else clock_error.facts(),
    )


def write_outputs(job: Job, *, interrupted: bool) -> Done:
    """Write the tables of a job that is over, from its journal alone."""
    from runner.analysis.run import Run  # noqa: PLC0415 -- brings pandas

    run = Run.of_journal(journal.read(job.folder))
    written = [job.folder / "results.csv", job.folder / "results.md", *job.outputs]
    for path in written:
        suffix = path.suffix.lower()
        encoding = "utf-8-sig" if job.bom and suffix == ".csv" else "utf-8"
        write_atomically(path, WRITERS[suffix](run), encoding)
    return Done(run, job.folder, tuple(written), interrupted)


class Chat:
    """A conversation typed by hand. Every target keeps its own history; a failed turn leaves none."""

    def __init__(self, targets: Sequence[Target], exchanges: dict[str, "Exchange"]) -> None:
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
            record = await self._exchanges[target.provider].hold(request, perf_counter_ns())
            records[target.name] = record
            if record.outcome in TIMED:
                self._said[target.name] += ((text, record.reply or ""),)

        async with anyio.create_task_group() as asking:
            for target in self._targets:
                asking.start_soon(ask, target)
        return [records[target.name] for target in self._targets]


@asynccontextmanager
async def open_chat(job: Job) -> AsyncIterator[Chat]:
    """Open a conversation with a job's targets; what was said is in its folder afterwards."""
    async with _opened(job, Observer()) as (exchanges, _):
        yield Chat(job.plan.targets, exchanges)
    write_outputs(job, interrupted=False)


def list_models(name: str, registry: Registry, environ: Mapping[str, str]) -> list[str]:
    """Return the ids that a provider's GET /models names.

    Raises:
        CompareError: there is no such provider, it has no key, or it does not list its models.

    """
    from runner.wire.client import Client, ProviderRefusal  # noqa: PLC0415 -- brings the SDK

    endpoint = read_endpoint(resolve_provider(name, registry), registry, environ)
    redactor = Redactor([endpoint.key] if endpoint.key is not None else [])

    async def ask() -> list[str]:
        client = Client(endpoint)
        try:
            return await client.list_models()
        finally:
            await client.aclose()

    try:
        return anyio.run(ask, **backend())
    except ProviderRefusal as refusal:
        status = f" {refusal.failed.http_status}" if refusal.failed.http_status else ""
        said = redactor.in_errors(refusal.failed.message)
        raise CompareError(f"{endpoint.provider}: {refusal.failed.outcome.value}{status}: {said}") from None


async def arun(suite: str | Path, **options: object) -> "pd.DataFrame":
    """Run a suite file; return one row a request. Options are those of `Options`.

    Raises:
        CompareError: the suite, a name or a key is wrong; nothing was sent.

    """
    job = prepare(*load_suite(Path(suite)), Options(**options))  # type: ignore[arg-type]
    done = await perform(job)
    frame = done.run.frame
    frame.attrs["run_id"] = done.run.header.run_id
    frame.attrs["folder"] = str(done.folder)
    return frame


def run(suite: str | Path, **options: object) -> "pd.DataFrame":
    """Run a suite file outside any event loop; see `arun`."""
    return anyio.run(_arun, suite, options, **backend())


async def _arun(suite: str | Path, options: dict[str, object]) -> "pd.DataFrame":
    return await arun(suite, **options)


def backend() -> dict[str, Any]:
    """Return what makes `anyio.run` use uvloop where the platform has it."""
    try:
        import uvloop  # noqa: F401, PLC0415
    except ImportError:
        return {}
    return {"backend_options": {"use_uvloop": True}}

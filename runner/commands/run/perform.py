"""The composer: performs a job and writes what came of it. Every command, and `from runner import ...`, calls it."""

import platform
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version as installed_version
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import anyio

from runner.calibration.stored import find_clock_error
from runner.commands.run.custom_checks import ask_own_checks
from runner.commands.run.job import PreparedRun
from runner.commands.run.prepare import SIMULATOR
from runner.core.record import Record
from runner.engine.observer import CompositeObserver, Observer
from runner.errors import CompareError, JournalError
from runner.outputs import find_writer
from runner.providers.endpoint import Endpoint, find_endpoint
from runner.providers.redaction import Redactor
from runner.providers.registry import Registry
from runner.providers.target_name import resolve_provider
from runner.storage import journal
from runner.storage.recordings import writer as recordings
from runner.storage.resume import ResumedRun
from runner.storage.run_folder import RESULTS, name_latest, write_atomically
from runner.version import __version__

if TYPE_CHECKING:
    from runner.analysis.run import Run
    from runner.cluster.worker_pool import WorkerPool
    from runner.commands.run.stop_rules import StopRule
    from runner.engine.attempts import OpenAttemptRunners
    from runner.engine.exchange import RequestExchange
    from runner.engine.recorder import Recorder


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that is over, finished or not."""

    run: "Run"
    folder: Path
    written: tuple[Path, ...]
    interrupted: bool


@asynccontextmanager
async def _simulator_for(job: PreparedRun) -> AsyncIterator[dict[str, Endpoint]]:
    """Run the simulator, in a process of its own, while a job needs it; yield the endpoints to ask."""
    endpoints = dict(job.choice.endpoints)
    if SIMULATOR not in endpoints and job.stand_in is None:
        yield endpoints
        return
    from runner.simulator.process import launch  # noqa: PLC0415 -- few runs need it
    from runner.simulator.replay import provider_url  # noqa: PLC0415

    # It takes as long to start as the SDK takes to import, and there is nothing else to do meanwhile.
    Thread(target=import_module, args=("runner.engine.run",), daemon=True).start()
    if job.stand_in is not None:
        async with launch(replay=job.stand_in.folder, fast=job.stand_in.fast) as base_url:
            yield {name: replace(e, base_url=provider_url(base_url, name)) for name, e in endpoints.items()}
        return
    async with launch() as base_url:
        endpoints[SIMULATOR] = replace(endpoints[SIMULATOR], base_url=base_url)
        yield endpoints


async def survey(job: PreparedRun) -> PreparedRun:
    """Return a job that knows the nodes it asks from, if each is to ask everything; any other one as it is.

    Raises:
        CompareError: there is no such cluster, or it lacks a node; nothing was sent.

    """
    if job.options.fleet is None or not job.wants_vantages:
        return job
    from runner.cluster.connect import find_vantages  # noqa: PLC0415 -- brings an extra

    return job.seen_from(await find_vantages(job.options.fleet))


async def perform(job: PreparedRun, observer: Observer | None = None) -> FinishedRun:
    """Run a job; its journal, tables and further outputs are on disk when this returns."""
    observer = observer or Observer()
    observer.planned(job.plan)
    if job.past is not None:
        observer.resumed(job.past.state.completed)
    if job.past is not None and job.left == 0:
        finished = _finish(job)
    else:
        finished = await _ask(job, observer)
    ask_own_checks(job.folder, job.redactor.by_value)
    return write_outputs(job, interrupted=not finished)


async def _ask(job: PreparedRun, observer: Observer) -> bool:
    """Ask what is still to be asked; return whether the run came to its end."""
    with open_stop_rule(job) as rule:
        watching = observer if rule is None else CompositeObserver((observer, _Ears(rule)))
        async with _muster(job) as crew, open_run(job, watching, crew) as (exchanges, writer):
            from runner.engine.run import execute  # noqa: PLC0415 -- brings the SDK

            return await execute(job.plan, exchanges, writer, load=job.load, first_missing=job.first_missing, stop=rule)


class _Ears(Observer):
    """Lets a rule hear of every record."""

    def __init__(self, rule: "StopRule") -> None:
        self._rule = rule

    def finished(self, record: Record) -> None:
        """Pass a record on."""
        self._rule.hear(record)


@contextmanager
def open_stop_rule(job: PreparedRun) -> Iterator["StopRule | None"]:
    """Yield what ends a job early, if anything does; it knows what a resumed run has recorded already.

    Raises:
        CompareError: a rule cannot be kept, such as a budget where prices are not known.

    """
    if not job.options.budgets and job.options.until_ci is None:
        yield None
        return
    from runner.commands.run.stop_rules import stop_rule  # noqa: PLC0415 -- brings numpy

    with ThreadPoolExecutor(max_workers=1) as executor:
        budgets, until_ci = job.options.budgets, job.options.until_ci
        rule = stop_rule(job.plan, job.forecast, budgets=budgets, until_ci=until_ci, executor=executor)
        if rule is not None and job.past is not None:
            for record in job.past.records:
                rule.hear(record)
        yield rule


def _finish(job: PreparedRun) -> bool:
    """Give a run whose requests are all recorded what it lacks: rows of turns never asked, its end."""
    with open_journal(job) as writer:
        writer.append({"kind": "end"})
    return True


@contextmanager
def open_journal(job: PreparedRun) -> Iterator[journal.JournalWriter]:
    """Open a job's journal, new or resumed, with all in it that comes before the first answer."""
    header = _header(job)
    with journal.JournalWriter(job.folder, job.redactor.by_value) as writer:
        if job.past is None:
            writer.append_header(header)
        else:
            _continue_journal(writer, job.past, header)
        # At once, since a run that is killed is the one to be found again.
        if job.folder.absolute().parent.name == RESULTS.name:
            name_latest(job.folder.absolute())
        yield writer


def _continue_journal(writer: journal.JournalWriter, past: ResumedRun, header: journal.Header) -> None:
    if writer.found_size != past.journal.size:
        raise JournalError(f"{writer.path} has changed since it was read: another run went on with it. Try again")
    changes = journal.changes_between(past.journal.header, header)
    writer.append_resume(changes, past.state.to_repeat, past.state.dropped)
    for record in past.state.missing:
        writer.append_record(record)


@asynccontextmanager
async def open_run(
    job: PreparedRun, observer: Observer, crew: "WorkerPool | None" = None
) -> AsyncIterator[tuple[dict[str, "RequestExchange"], journal.JournalWriter]]:
    """Begin a job's journal and open its providers, to be asked by a crew if there is one; both are closed after."""
    with open_journal(job) as writer, _open_recorder(job) as recorder:
        async with _simulator_for(job) as endpoints:
            from runner.engine.run import open_exchanges  # noqa: PLC0415 -- brings the SDK

            async with open_exchanges(
                endpoints,
                limits=job.limits,
                connect_s=max(target.parameters.timeouts.connect for target in job.plan.targets),
                journal=writer,
                observer=observer,
                redactor=job.redactor,
                salt=job.salt,
                elapsed_ns=0 if job.past is None else job.past.elapsed_ns(job.started),
                recorder=recorder,
                open_runners=_find_askers(job, crew, writer),
            ) as exchanges:
                yield exchanges, writer


def _muster(job: PreparedRun) -> AbstractAsyncContextManager["WorkerPool | None"]:
    """Hire the workers of a cluster, if the job wants any; to be entered before there is anything to clear away."""
    if job.options.fleet is None:
        return nullcontext()
    from runner.cluster.connect import open_pool  # noqa: PLC0415 -- brings an extra

    assert job.plan.vantages or not job.options.fleet.vantage, "nobody asked `survey` for the nodes"
    return open_pool(job.options.fleet, job.plan.vantages)


def _find_askers(job: PreparedRun, crew: "WorkerPool | None", writer: journal.JournalWriter) -> "OpenAttemptRunners":
    """Return what sends and hears: this process itself, or a crew, which the journal then knows of."""
    if crew is None:
        from runner.engine.attempts import open_local_runners  # noqa: PLC0415 -- brings the SDK

        return open_local_runners
    from runner.cluster.remote_attempts import remote_runners  # noqa: PLC0415 -- brings an extra

    crew.write_to(writer.append)
    return remote_runners(crew, sum(job.limits.values()))


@contextmanager
def _open_recorder(job: PreparedRun) -> Iterator["Recorder | None"]:
    """Open the run's recordings behind its journal, whose lock keeps others away, if the run is to be recorded."""
    if not job.options.record:
        yield None
        return
    from runner.engine.recorder import Recorder  # noqa: PLC0415 -- few runs need it

    with recordings.RecordingWriter(job.folder) as writer:
        yield Recorder(writer, job.redactor)


def _header(job: PreparedRun) -> journal.Header:
    from runner.suite.expectations import plain_expectations  # noqa: PLC0415 -- brings pydantic

    libraries = ("openai", "aiohttp", "pandas")
    # Of a cluster's workers each has its own, on a line of its own.
    clock_error = find_clock_error(job.started) if job.options.fleet is None else None
    return journal.Header(
        run_id=job.run_id,
        suite=job.suite.name,
        digest=job.suite.digest,
        seed=job.plan.seed,
        started_at=job.started.isoformat(timespec="milliseconds"),
        simulated=job.simulated,
        repeat=job.plan.repeat,
        targets=tuple(target.name for target in job.plan.targets),
        cases=tuple(case.id for case in job.suite.cases),
        planned_requests=job.planned_requests,
        order=job.plan.order,
        concurrency=job.concurrency,
        path=job.suite.path,
        case_patterns=job.options.cases,
        replay_of=None if job.stand_in is None else job.stand_in.run_id,
        budgets=tuple(f"{money.amount:f} {money.currency}" for money in job.options.budgets),
        until_ci=job.options.until_ci,
        late_bound_s=job.options.late_bound_s,
        vantages={node.name: node.region for node in job.plan.vantages},
        load=job.load.to_plain(),
        prices=job.prices.to_plain(),
        platform=platform.platform(),
        versions={
            "compare": __version__,
            "python": platform.python_version(),
            **{name: installed_version(name) for name in libraries},
        },
        calibration=None if clock_error is None else clock_error.to_plain(),
        checks=plain_expectations(job.suite.cases),
    )


def write_outputs(job: PreparedRun, *, interrupted: bool) -> FinishedRun:
    """Write the tables of a job that is over, from its journal alone."""
    from runner.analysis.run import Run  # noqa: PLC0415 -- brings pandas

    run = replace(
        Run.of_journal(journal.read(job.folder)),
        wants_estimates=job.options.estimate_tokens,
        percents=job.options.percents,
    )
    own = (job.folder / name for name in ("results.csv", "results.md", "report.html"))
    written = list(dict.fromkeys((*own, *job.outputs)))
    for path in written:
        suffix = path.suffix.lower()
        encoding = "utf-8-sig" if job.options.bom and suffix == ".csv" else "utf-8"
        write_atomically(path, find_writer(suffix)(run), encoding)
    return FinishedRun(run, job.folder, tuple(written), interrupted)


def list_models(name: str, registry: Registry, environ: Mapping[str, str]) -> list[str]:
    """Return the ids that a provider's GET /models names.

    Raises:
        CompareError: there is no such provider, it has no key, or it does not list its models.

    """
    from runner.wire.client import Client, ProviderRefusal  # noqa: PLC0415 -- brings the SDK

    endpoint = find_endpoint(resolve_provider(name, registry), registry, environ)
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


def backend() -> dict[str, Any]:
    """Return what makes `anyio.run` use uvloop where the platform has it."""
    try:
        import uvloop  # noqa: F401, PLC0415
    except ImportError:
        return {}
    return {"backend_options": {"use_uvloop": True}}

"""The composer: performs a job and writes what came of it. Every command, and `from runner import ...`, calls it."""

import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from runner import journal
from runner.calibrate import find_clock_error
from runner.engine.observer import Observer
from runner.errors import CompareError
from runner.folder import RESULTS, name_latest, write_atomically
from runner.job import SIMULATOR, Job, Options, load_suite, prepare
from runner.outputs import WRITERS
from runner.providers.endpoint import Endpoint, read_endpoint
from runner.providers.naming import resolve_provider
from runner.providers.redaction import Redactor
from runner.providers.registry import Registry
from runner.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from runner.analysis.run import Run
    from runner.engine.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over, finished or not."""

    run: "Run"
    folder: Path
    written: tuple[Path, ...]
    interrupted: bool


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
    async with open_run(job, observer) as (exchanges, writer):
        finished = await execute(job.plan, exchanges, writer)
    return write_outputs(job, interrupted=not finished)


@asynccontextmanager
async def open_run(job: Job, observer: Observer) -> AsyncIterator[tuple[dict[str, "Exchange"], journal.Writer]]:
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

    run = replace(Run.of_journal(journal.read(job.folder)), wants_estimates=job.estimate_tokens)
    written = [job.folder / "results.csv", job.folder / "results.md", *job.outputs]
    for path in written:
        suffix = path.suffix.lower()
        encoding = "utf-8-sig" if job.bom and suffix == ".csv" else "utf-8"
        write_atomically(path, WRITERS[suffix](run), encoding)
    return Done(run, job.folder, tuple(written), interrupted)


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

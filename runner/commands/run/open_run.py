"""Open a prepared run: its journal, its recordings, and what sends its requests."""

import platform
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from importlib import import_module
from importlib.metadata import version as installed_version
from threading import Thread
from time import perf_counter_ns
from typing import TYPE_CHECKING

from runner.calibration.stored_calibration import find_clock_error
from runner.commands.run.prepared_run import PreparedRun
from runner.core.attachment_parts import Attachment, attachments_of
from runner.core.suite import Case
from runner.core.target_name import SIMULATOR
from runner.engine.run_observers import Observer
from runner.providers.endpoint import Endpoint
from runner.storage.journal import Header, JournalWriter, changes_between
from runner.storage.recordings.writer import RecordingWriter
from runner.storage.resume_state import ResumedRun
from runner.storage.run_folder import RESULTS, claim_folder, name_latest
from runner.version import __version__

if TYPE_CHECKING:
    from runner.cluster.worker_pool import WorkerPool
    from runner.engine.attempt_runners import OpenAttemptRunners
    from runner.engine.byte_recorder import ByteRecorder
    from runner.engine.input_probes_and_cache_warming import InputProbes
    from runner.engine.send_requests import RequestSender
    from runner.storage.journal.writer import RecordLog

LIBRARIES = ("openai", "aiohttp", "pandas")
"""Libraries whose versions the header records."""


@asynccontextmanager
async def open_run(
    prepared: PreparedRun, observer: Observer, workers: "WorkerPool | None" = None
) -> AsyncIterator[tuple[dict[str, "RequestSender"], JournalWriter]]:
    """Open a run's journal and a sender for each provider, which uses a cluster's workers if there are any."""
    with open_journal(prepared) as writer, _open_recorder(prepared) as recorder:
        runners = None if workers is None else _worker_runners(prepared, workers, writer)
        async with start_senders(prepared, writer, observer, recorder=recorder, runners=runners) as senders:
            yield senders, writer


@contextmanager
def _open_recorder(prepared: PreparedRun) -> Iterator["ByteRecorder | None"]:
    """Open the recordings of a run, under the lock of its journal; yield None if the run is not recorded."""
    if not prepared.options.record:
        yield None
        return
    from runner.engine.byte_recorder import ByteRecorder

    with RecordingWriter(prepared.folder) as writer:
        yield ByteRecorder(writer, prepared.redactor)


def open_workers(prepared: PreparedRun) -> AbstractAsyncContextManager["WorkerPool | None"]:
    """Return the context manager of a cluster's worker pool, or of None. Enter it before the run writes anything."""
    cluster = prepared.options.cluster
    if cluster is None:
        return nullcontext()
    from runner.cluster.connect import open_pool

    assert prepared.plan.vantages or not cluster.vantage, "settle_vantages was not called"
    return open_pool(cluster, prepared.plan.vantages)


def _worker_runners(prepared: PreparedRun, workers: "WorkerPool", writer: JournalWriter) -> "OpenAttemptRunners":
    """Return a function that opens the attempt runners of workers, which also write to the journal."""
    from runner.cluster.remote_attempts import remote_runners

    workers.write_to(writer.append)
    return remote_runners(workers, sum(prepared.limits.values()))


@contextmanager
def open_journal(prepared: PreparedRun) -> Iterator[JournalWriter]:
    """Open a run's journal, new or resumed, and write everything before the first record.

    Raises:
        JournalError: the journal cannot be written, or another process has resumed the run in the meantime.

    """
    header = header_of(prepared)
    claim = prepared.claim or claim_folder(prepared.folder)
    with claim.open(prepared.redactor.by_value) as writer:
        if prepared.resumed is None:
            writer.append_header(header)
        else:
            _append_resume(writer, prepared.resumed, header)
        # Set now rather than at the end, so that `latest` also names a run that was killed.
        if prepared.folder.absolute().parent.name == RESULTS.name:
            name_latest(prepared.folder.absolute())
        yield writer


def _append_resume(writer: JournalWriter, resumed: ResumedRun, header: Header) -> None:
    """Write the changed options, and records for turns that can no longer be sent."""
    changes = changes_between(resumed.journal.header, header)
    writer.append_resume(changes, resumed.state.to_repeat, resumed.state.dropped)
    for record in resumed.state.missing:
        writer.append_record(record)


def _release_of(prepared: PreparedRun) -> str:
    """Return how lanes are kept in step; `mixed` if the earlier part of a resumed run kept them differently."""
    release = prepared.options.load.release(prepared.plan.order)
    resumed = prepared.resumed
    return release if resumed is None or resumed.journal.header.release == release else "mixed"


def header_of(prepared: PreparedRun) -> Header:
    """Return the journal header of a run that is about to start."""
    from runner.suite.expectations import plain_expectations

    options, plan, suite = prepared.options, prepared.plan, prepared.suite
    # Each worker of a cluster has its own clock error, in a separate line.
    clock_error = find_clock_error(prepared.started) if options.cluster is None else None
    return Header(
        run_id=prepared.run_id,
        suite=suite.name,
        digest=suite.digest,
        seed=plan.seed,
        started_at=prepared.started.isoformat(timespec="milliseconds"),
        simulated=prepared.simulated,
        repeat=plan.repeat,
        targets=tuple(target.name for target in plan.targets),
        cases=tuple(case.id for case in suite.cases),
        planned_requests=prepared.planned_requests if prepared.plan.is_exact else None,
        most_requests=None if prepared.plan.is_exact else prepared.planned_requests,
        order=plan.order,
        release=_release_of(prepared),
        concurrency=options.concurrency,
        path=suite.path,
        case_patterns=options.cases,
        replay_of=None if prepared.replay_source is None else prepared.replay_source.run_id,
        budgets=tuple(f"{money.amount:f} {money.currency}" for money in options.budgets),
        until_ci=None if options.until_ci is None else options.until_ci.to_plain(),
        late_bound_s=options.late_bound_s,
        inputs={
            case.id: {"tokens": case.input.tokens, "text": case.input.text_name} for case in suite.cases if case.input
        },
        caches={target.name: target.parameters.cache for target in plan.targets},
        cache_probe=options.cache_idles,
        slo={} if options.slo is None else options.slo.to_plain(),
        reply_limit=options.reply_limit,
        vantages={node.name: node.region for node in plan.vantages},
        load=options.load.to_plain(),
        prices=prepared.prices.to_plain(),
        platform=platform.platform(),
        versions=_versions(),
        calibration=None if clock_error is None else clock_error.to_plain(),
        checks=plain_expectations(suite.cases),
        variants={target.name: target.settings for target in plan.targets if target.variant is not None},
        vary={name: list(values) for name, values in options.vary.items()},
        think_time={case.id: str(case.think_time) for case in suite.cases if case.think_time is not None},
        tags={case.id: list(case.tags) for case in suite.cases if case.tags},
        attachments={case.id: plain_attachments(case) for case in suite.cases if case.parts},
    )


def plain_attachments(case: Case) -> list[list[dict[str, object]]]:
    """Return the attachments of each turn as plain data for a run's header: digests and sizes, no content."""
    return [[_plain(each) for each in attachments_of(parts)] for parts in case.parts]


def _plain(attachment: Attachment) -> dict[str, object]:
    names = ("digest", "media_type", "size", "width", "height", "pages", "seconds", "detail")
    facts = {name: value for name in names if (value := getattr(attachment, name)) is not None}
    return {"kind": attachment.kind, "name": attachment.name, **facts}


def _versions() -> dict[str, str]:
    libraries = {name: installed_version(name) for name in LIBRARIES}
    return {"compare": __version__, "python": platform.python_version(), **libraries}


@asynccontextmanager
async def start_senders(
    prepared: PreparedRun,
    journal: "RecordLog",
    observer: Observer,
    *,
    recorder: "ByteRecorder | None" = None,
    runners: "OpenAttemptRunners | None" = None,
) -> AsyncIterator[dict[str, "RequestSender"]]:
    """Open a sender for each provider of a run, and run the simulator meanwhile if it answers.

    Args:
        prepared: the run.
        journal: log to which records are written.
        observer: notified of the run's progress.
        recorder: stores the bytes of every attempt; None if the run is not recorded.
        runners: opens the attempt runners; by default those of this process.

    Raises:
        CompareError: this process cannot open that many connections.

    """
    async with _open_endpoints(prepared) as endpoints:
        from runner.engine.attempt_runners import open_local_runners
        from runner.engine.run import open_senders
        from runner.engine.send_requests import SendContext

        elapsed_ns = 0 if prepared.resumed is None else prepared.resumed.elapsed_ns(prepared.started)
        context = SendContext(
            journal,
            observer,
            prepared.redactor,
            prepared.salt,
            epoch_ns=perf_counter_ns() - elapsed_ns,
            probes=_known_probes(prepared),
            recorder=recorder,
        )
        connect_s = max(target.parameters.timeouts.connect for target in prepared.plan.targets)
        opened = open_senders(
            endpoints, prepared.limits, context, connect_s=connect_s, open_runners=runners or open_local_runners
        )
        async with opened as senders:
            yield senders


def _known_probes(prepared: PreparedRun) -> "InputProbes":
    """Return the input probes that the earlier part of a resumed run recorded."""
    from runner.core.sized_input import InputProbe
    from runner.engine.input_probes_and_cache_warming import InputProbes

    lines = () if prepared.resumed is None else prepared.resumed.journal.lines("input_probe")
    return InputProbes(
        {(line["target"], line["text"]): InputProbe(line["characters"], line["tokens"]) for line in lines}
    )


@asynccontextmanager
async def _open_endpoints(prepared: PreparedRun) -> AsyncIterator[dict[str, Endpoint]]:
    """Yield the endpoint of each provider; the simulator runs in another process meanwhile if an endpoint needs it."""
    endpoints, source = dict(prepared.selected.endpoints), prepared.replay_source
    if SIMULATOR not in endpoints and source is None:
        yield endpoints
        return
    from runner.simulator.child_process import launch

    # Import the SDK while the simulator starts, which takes about as long.
    Thread(target=import_module, args=("runner.engine.run",), daemon=True).start()
    if source is not None:
        from runner.simulator.replay import provider_url

        async with launch(replay=source.folder, fast=source.fast) as base_url:
            yield {name: e.moved_to(provider_url(base_url, name)) for name, e in endpoints.items()}
        return
    async with launch() as base_url:
        endpoints[SIMULATOR] = endpoints[SIMULATOR].moved_to(base_url)
        yield endpoints

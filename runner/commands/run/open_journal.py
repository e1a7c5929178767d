"""Open the journal of a prepared run: write the header of a new run, or the changes of a resumed one."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version

from runner.calibration.stored_calibration import find_clock_error
from runner.commands.run.check_attachments import plain_attachments
from runner.commands.run.prepared_run import PreparedRun
from runner.storage.journal import Header, JournalWriter, changes_between
from runner.storage.resume_state import ResumedRun
from runner.storage.run_folder import RESULTS, claim_folder, name_latest
from runner.version import __version__

LIBRARIES = ("openai", "aiohttp", "pandas")
"""Libraries whose versions the header records."""


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
    from runner.suite.expectations import plain_expectations  # brings pydantic

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


def _versions() -> dict[str, str]:
    libraries = {name: installed_version(name) for name in LIBRARIES}
    return {"compare": __version__, "python": platform.python_version(), **libraries}

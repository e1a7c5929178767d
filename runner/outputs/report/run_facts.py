"""How a run was made: the facts that are needed to repeat it, or to doubt it."""

from collections.abc import Iterator
from typing import NamedTuple

from runner.analysis.measured_targets import describe_vantages
from runner.analysis.run_results import Run
from runner.analysis.timestamp_errors import ClockError
from runner.outputs.text.connections_and_clocks import describe_clock_error, describe_worker_clocks
from runner.outputs.text.translation import BilingualText, _, clauses, comma_list, plural
from runner.storage.journal import Header


class RunFact(NamedTuple):
    """A fact about a run, with its name."""

    name: str
    value: str


def run_facts(run: Run) -> tuple[RunFact, ...]:
    """Return the facts that are known."""
    return tuple(RunFact(_(name), value) for name, value in _facts(run) if value)


def _describe_asked(run: Run) -> BilingualText:
    """Return how many requests were sent, and of how many if that was known: a model may need fewer steps."""
    asked = len(run.measured)
    most = run.header.most_requests
    if run.header.planned_requests is None and most is not None:
        return _("{n} of at most {most} requests", n=f"{asked:,}", most=f"{most:,}")
    if run.header.planned_requests is None:
        return plural(asked, "{n} request", "{n} requests")
    return _("{n} of {planned} requests", n=f"{asked:,}", planned=run.header.planned)


def _facts(run: Run) -> Iterator[tuple[str, str | None]]:
    header = run.header
    yield "run", header.run_id
    yield "started", header.started_at
    yield "suite", _("{suite}, digest {digest}", suite=header.path or header.suite, digest=header.short_digest)
    yield "asked", _describe_asked(run)
    yield "sent from each of", describe_vantages(header.vantages)
    yield "cases", _("only {cases}", cases=comma_list(header.case_patterns)) if header.case_patterns else None
    yield "repeat", None if header.repeat is None else str(header.repeat)
    yield "order", comma_list([header.order, *_describe_release(header), _("seed {n}", n=header.seed)])
    yield "load", _describe_load(run)
    yield "think time", comma_list(dict.fromkeys(header.think_time.values()))
    yield "machine", header.platform
    yield "versions", comma_list(f"{name} {version}" for name, version in header.versions.items())
    yield "clock", _describe_clocks(run)


RELEASES = {"together": "targets of a case together", "mixed": "differs before and after a resume"}


def _describe_release(header: Header) -> list[str]:
    """Return how lanes kept together, where the load does not say it."""
    release = RELEASES.get(header.release or "")
    return [] if release is None else [_(release)]


def _describe_load(run: Run) -> str:
    header = run.header
    lanes = [] if header.concurrency is None else [_("concurrency {n}", n=header.concurrency)]
    return comma_list([*lanes, *(f"{name} {value}" for name, value in header.load.items())])


def _describe_clocks(run: Run) -> str:
    clocks = [_describe_own_clock(run.clock_error)] if run.clock_error else []
    clocks += describe_worker_clocks(run.cluster)
    return clauses(clocks) if clocks else _("not calibrated; compare calibrate tells how far it is off")


def _describe_own_clock(error: ClockError) -> str:
    return _(
        "TTFT off by {error}, n {n}, {date}",
        error=describe_clock_error(error),
        n=error.n,
        date=error.calibrated_at[:10],
    )

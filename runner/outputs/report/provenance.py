"""How a run was made: what one needs to know to repeat it, or to doubt it."""

from collections.abc import Iterator
from typing import NamedTuple

from runner.analysis.calibration import ClockError
from runner.analysis.places import describe_vantages
from runner.analysis.run import Run
from runner.outputs.text.workers import describe_clocks, describe_spread


class Fact(NamedTuple):
    """What something is, by its name."""

    name: str
    value: str


def describe_making(run: Run) -> tuple[Fact, ...]:
    """Return the facts, those that there are."""
    return tuple(Fact(name, value) for name, value in _facts(run) if value)


def _facts(run: Run) -> Iterator[tuple[str, str | None]]:
    header = run.header
    yield "run", header.run_id
    yield "started", header.started_at
    yield "suite", f"{header.path or header.suite}, digest {header.short_digest}"
    yield "asked", f"{len(run.measured):,} of {header.planned} requests"
    yield "from each of", describe_vantages(header.vantages)
    yield "cases", f"only {', '.join(header.case_patterns)}" if header.case_patterns else None
    yield "repeat", None if header.repeat is None else str(header.repeat)
    yield "order", f"{header.order}, seed {header.seed}"
    yield "load", _load(run)
    yield "machine", header.platform
    yield "versions", ", ".join(f"{name} {version}" for name, version in header.versions.items())
    yield "clock", _clock(run)


def _load(run: Run) -> str:
    header = run.header
    lanes = [] if header.concurrency is None else [f"concurrency {header.concurrency}"]
    return ", ".join([*lanes, *(f"{name} {value}" for name, value in header.load.items())])


def _clock(run: Run) -> str:
    told = [_own_clock(run.clock_error)] if run.clock_error else []
    told += describe_clocks(run.cluster)
    return "; ".join(told) or "not calibrated; compare calibrate tells how far it is off"


def _own_clock(error: ClockError) -> str:
    return f"TTFT off by {describe_spread(error)}, n {error.n}, {error.calibrated_at[:10]}"

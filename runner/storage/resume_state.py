"""A run that goes on: its journal so far, what that leaves to do, and what is different this time. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from runner.core.load import LoadProfile
from runner.core.record import Record
from runner.core.suite import Suite
from runner.errors import CompareError
from runner.planning.plan import Plan
from runner.storage.journal import Header, Journal
from runner.storage.resume import ResumePlan


@dataclass(frozen=True, slots=True)
class ResumeState:
    """What there is of a run that is resumed."""

    journal: Journal
    resumption: ResumePlan

    @property
    def records(self) -> Iterator[Record]:
        """The records that count in the resumed run."""
        gone = self.resumption.redone | self.resumption.dropped
        return (record for record in self.journal.kept_records if record.identity.key not in gone)

    @property
    def recorded(self) -> int:
        """How many requests of the plan need not be asked."""
        return sum(self.resumption.recorded.values())

    def elapsed_ns(self, at: datetime) -> int:
        """Return how long ago the run was begun, by the wall clock, but no less than its last stamp."""
        seconds = (at - datetime.fromisoformat(self.journal.header.started_at).astimezone()).total_seconds()
        return max(round(seconds * 1e9), self.resumption.last_ns)

    def notes(self, plan: Plan, suite: Suite) -> Iterator[str]:
        """Say how much is left, and what differs from the run as it was."""
        header, resumption = self.journal.header, self.resumption
        done, all_of_it = self.recorded, plan.requests
        yield f"resuming {header.run_id}: {done:,}{'' if all_of_it is None else f' of {all_of_it:,}'} requests are done"
        if resumption.redone:
            yield f"asked again, because they failed or were cut short: {len(resumption.redone):,}"
        if suite.digest != header.digest:
            yield "the suite has changed since; what it changed is asked anew"
        if resumption.dropped:
            yield f"in the journal, no longer in the plan, and so in no table: {len(resumption.dropped):,}"
        yield from _differences(header, plan)


def _differences(header: Header, plan: Plan) -> Iterator[str]:
    targets = tuple(target.name for target in plan.targets)
    if targets != header.targets:
        yield f"targets are {', '.join(targets)}; they were {', '.join(header.targets)}"
    for name, now, before in (
        ("repeat is", plan.repeat, header.repeat),
        ("the order is", plan.order, header.order),
        ("the order's seed is", plan.seed, header.seed),
    ):
        if now != before:
            yield f"{name} {now}; it was {before}"


def refuse_foreign_suite(suite: Suite, header: Header) -> None:
    """Raise if a run is to be resumed by another suite than its own, whose rows would all leave its tables."""
    if suite.name != header.suite:
        raise CompareError(
            f"{header.run_id} is a run of the suite {header.suite!r}, not of {suite.name!r}. "
            "Resume it with its own suite, or leave --resume out."
        )


def refuse_timed_load(load: LoadProfile, header: Header) -> None:
    """Raise if a run measured one stretch of time, which cannot be continued at another."""
    if load.levels or load.duration_s is not None:
        what = "--sweep" if load.levels else "--duration"
        raise CompareError(
            f"{header.run_id} cannot be resumed with {what}: it is about one stretch of time. Run it anew; "
            "what it recorded stays as it is."
        )


def refuse_other_voices(header: Header, *, replayed: bool) -> None:
    """Raise if replies played back would stand beside a provider's own in one run."""
    if header.replay_of is not None and not replayed:
        raise CompareError(
            f"{header.run_id} plays back {header.replay_of}. "
            f"Go on with --replay {header.replay_of}, or leave --resume out."
        )
    if header.replay_of is None and replayed:
        raise CompareError(f"{header.run_id} asked its providers; --replay would mix them with what is played back.")


def refuse_other_vantages(header: Header, *, wanted: bool) -> None:
    """Raise if everything is now to be asked from every node: no row of a run that did otherwise would count."""
    if wanted and not header.vantages:
        raise CompareError(
            f"{header.run_id} was not begun with --vantage, which would ask all of it anew. "
            "Run it anew, or leave --vantage out."
        )

"""Results of a suite's checks: the findings of each record, and a verdict for each case and target.

A repeat passes if all checks of all its turns pass, and fails if a check or a request fails. A case passes for a target
if as many of its repeats pass as the suite expects; an undecided repeat counts as neither.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner.analysis.cost import record_cost
from runner.analysis.measured_targets import WHOLE, MeasuredTarget, TargetSplit
from runner.checks.check_finding import CheckFinding, CheckVerdict
from runner.checks.match_and_pass import read_share
from runner.core.conversation_state import is_last_turn
from runner.core.events import TIMED, Outcome
from runner.core.record import Record
from runner.core.turns_and_steps import Steps
from runner.storage.journal import Header

Expectations = Mapping[str, Mapping[str, Any]]
"""The checks of each case, and the turns and steps of its conversation, as stored in a header."""

REQUEST = "request"
"""The name in place of a check's if the request failed and no check ran."""


@dataclass(frozen=True, slots=True)
class CheckFault:
    """A check that did not pass, the first reason that it gave, and the number of times."""

    check: str
    verdict: CheckVerdict
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class CheckedRepeat:
    """A repeat of a case, with its round and verdict; `node` is its sender if each node sends all requests."""

    repeat: int
    block: int
    node: str | None
    verdict: CheckVerdict


@dataclass(frozen=True, slots=True)
class CheckedCell:
    """The numbers of passed, failed and undecided repeats of a case and target."""

    case: str
    target: MeasuredTarget
    line: int | None
    """The line of the suite file that names the case."""
    needed: int
    passed: int
    failed: int
    undecided: int
    faults: tuple[CheckFault, ...]
    seconds: float | None = None
    """Sum of the total times of all requests; None if none was measured."""
    repeats: tuple[CheckedRepeat, ...] = ()
    """The counted repeats, in the order in which they ended."""

    @property
    def n(self) -> int:
        """The number of repeats."""
        return self.passed + self.failed + self.undecided

    @property
    def verdict(self) -> CheckVerdict:
        """Passed if enough repeats passed; failed if so many failed that not enough can pass."""
        if self.passed >= self.needed:
            return CheckVerdict.PASSED
        return CheckVerdict.FAILED if self.failed > self.n - self.needed else CheckVerdict.UNDECIDED


def steps_of(expectations: Mapping[str, Any]) -> Steps:
    """Return the steps of a case's conversation from its stored expectations."""
    return Steps(expectations.get("turns", 1), expectations.get("max_steps", 1), expectations.get("answered", ()))


def steps_in(checks: Expectations, case: str, idles: Sequence[float] = ()) -> Steps:
    """Return the steps of a case's conversation from the expectations of all cases.

    `idles` are the pauses before the turns of a cache probe; see `Steps`.
    """
    return replace(steps_of(checks.get(case, {})), idles=idles)


def check_record(header: Header, record: Record) -> dict[str, CheckFinding] | None:
    """Return the findings of a record's checks; None without checks, without a reply, or for a warm-up.

    Raises:
        JournalError: the price in the header is damaged.

    """
    expectations = header.checks.get(record.identity.case, {})
    if not expectations.get("checks") or record.outcome not in TIMED or record.warmup:
        return None
    from runner.checks.apply_checks import apply_checks  # noqa: PLC0415 -- brings jsonschema and RE2, and few runs have checks

    cost = record_cost(header, record)
    is_last = is_last_turn(steps_of(expectations), record)
    return apply_checks(
        expectations["checks"], record, cost=None if cost is None else float(cost.amount), is_last_turn=is_last
    )


def count_findings(header: Header, record: Record, verdict: CheckVerdict) -> int | None:
    """Return the number of a record's checks with a verdict; None if no check ran."""
    findings = check_record(header, record)
    return None if findings is None else sum(finding.verdict is verdict for finding in findings.values())


def check_cells(header: Header, records: Iterable[Record], split: TargetSplit = WHOLE) -> tuple[CheckedCell, ...]:
    """Return the result of every case that has checks, for each target of its requests, in the suite's order.

    Args:
        header: that of the run.
        records: those of the run; they are read once.
        split: the rule by which targets are split.

    """
    tally = CheckTally(header, split)
    if tally.has_checks:
        for record in records:
            tally.add(record)
    return tally.cells


_RepeatKey = tuple[int, int, str | None]
"""Repeat, round, and the node if each of several nodes sends all requests."""


class CheckTally:
    """Counts the results of checks as records come in."""

    def __init__(self, header: Header, split: TargetSplit = WHOLE) -> None:
        self._header = header
        self._split = split
        self._repeats: dict[tuple[str, MeasuredTarget], dict[_RepeatKey, _Repeat]] = {}

    @property
    def has_checks(self) -> bool:
        """Whether any case has checks."""
        return any(expectations.get("checks") for expectations in self._header.checks.values())

    def add(self, record: Record) -> None:
        """Check a record, unless its case has no checks or it is a warm-up."""
        identity, expectations = record.identity, self._header.checks.get(record.identity.case, {})
        if not expectations.get("checks") or record.warmup:
            return
        cell = self._repeats.setdefault((identity.case, self._split.target_of(record)), {})
        node = record.node if self._header.vantages else None
        repeat = cell.setdefault((identity.repeat, identity.block, node), _Repeat())
        is_last = is_last_turn(steps_of(expectations), record)
        repeat.add(record, check_record(self._header, record), is_last_turn=is_last)

    @property
    def cells(self) -> tuple[CheckedCell, ...]:
        """The result of every case that has checks, for each target of its requests, in the suite's order."""
        header = self._header
        in_suite: tuple[object, ...] = (*header.cases, *self._split.list_targets(header.targets))
        rank = {each: number for number, each in enumerate(in_suite)}
        keys = sorted(self._repeats, key=lambda key: [rank.get(each, len(rank)) for each in key])
        return tuple(_cell(*key, header.checks[key[0]], self._repeats[key]) for key in keys)


@dataclass(slots=True)
class _Repeat:
    """The findings of one repeat's turns so far."""

    findings: list[tuple[str, CheckFinding]] = field(default_factory=list)
    is_whole: bool = False
    totals_s: list[float] = field(default_factory=list)

    def add(self, record: Record, findings: Mapping[str, CheckFinding] | None, *, is_last_turn: bool) -> None:
        """Add a turn. A failed request adds a failed finding; one cancelled with the run, an undecided one."""
        self.is_whole |= is_last_turn
        self.totals_s += [] if record.total_s is None else [record.total_s]
        if findings is not None:
            self.findings += findings.items()
        elif record.outcome is Outcome.CANCELLED:
            self.findings.append((REQUEST, CheckFinding(CheckVerdict.UNDECIDED, "cancelled")))
        elif record.outcome is not Outcome.SKIPPED:
            self.findings.append((REQUEST, CheckFinding(CheckVerdict.FAILED, _describe_failure(record))))

    @property
    def verdict(self) -> CheckVerdict:
        """Failed if anything failed; passed only if everything passed, including the last turn."""
        verdicts = {finding.verdict for _, finding in self.findings}
        if CheckVerdict.FAILED in verdicts:
            return CheckVerdict.FAILED
        return CheckVerdict.PASSED if self.is_whole and verdicts <= {CheckVerdict.PASSED} else CheckVerdict.UNDECIDED


def _describe_failure(record: Record) -> str:
    return f"{record.outcome.value}: {record.error}" if record.error else record.outcome.value


def _cell(
    case: str, target: MeasuredTarget, expectations: Mapping[str, Any], found: Mapping[_RepeatKey, _Repeat]
) -> CheckedCell:
    repeats = list(found.values())
    checked = tuple(CheckedRepeat(*key, repeat.verdict) for key, repeat in found.items())
    counts = Counter(each.verdict for each in checked)
    totals_s = [total_s for repeat in repeats for total_s in repeat.totals_s]
    needed, of = read_share(expectations.get("pass", "all")) or (1, 1)
    return CheckedCell(
        case=case,
        target=target,
        line=expectations.get("line"),
        needed=-(-len(repeats) * needed // of),
        passed=counts[CheckVerdict.PASSED],
        failed=counts[CheckVerdict.FAILED],
        undecided=counts[CheckVerdict.UNDECIDED],
        faults=tuple(_list_faults(finding for repeat in repeats for finding in repeat.findings)),
        seconds=math.fsum(totals_s) if totals_s else None,
        repeats=checked,
    )


def _list_faults(findings: Iterable[tuple[str, CheckFinding]]) -> Iterator[CheckFault]:
    reasons: dict[tuple[str, CheckVerdict], list[str]] = {}
    for check, finding in findings:
        if finding.why is not None:
            reasons.setdefault((check, finding.verdict), []).append(finding.why)
    for (check, verdict), whys in sorted(reasons.items(), key=lambda item: item[0][1] is not CheckVerdict.FAILED):
        yield CheckFault(check, verdict, whys[0], len(whys))

"""What became of a suite's checks: findings for each record, and one verdict for each case and target.

A repeat passes if every check of every turn of it does, and fails if one fails or a request of it failed. A case passes
for a target if as many of its repeats passed as the suite asks for; a repeat that is not decided counts for neither.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.analysis.cost import record_cost
from runner.checks.finding import CheckFinding, CheckVerdict
from runner.checks.matching import read_share
from runner.core.events import TIMED, Outcome
from runner.core.record import Record
from runner.storage.journal import Header

REQUEST = "request"
"""Stands where a check's name would, if the request itself failed and its checks were not run."""


@dataclass(frozen=True, slots=True)
class CheckFault:
    """Why repeats did not pass: the first reason that a check gave, and how often it was not met."""

    check: str
    verdict: CheckVerdict
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class CheckedCell:
    """A case as one target answered it: how many repeats passed, failed and were not decided, of `n`."""

    case: str
    target: str
    line: int | None
    """Where the suite file names the case."""
    needed: int
    passed: int
    failed: int
    undecided: int
    faults: tuple[CheckFault, ...]

    @property
    def n(self) -> int:
        """Repeats."""
        return self.passed + self.failed + self.undecided

    @property
    def verdict(self) -> CheckVerdict:
        """Passed if enough repeats did, failed if no longer enough can."""
        if self.passed >= self.needed:
            return CheckVerdict.PASSED
        return CheckVerdict.FAILED if self.failed > self.n - self.needed else CheckVerdict.UNDECIDED


def find(header: Header, record: Record) -> dict[str, CheckFinding] | None:
    """Judge a record by what its case demanded; None where there was nothing to judge: no checks, or no reply."""
    demands = header.checks.get(record.identity.case, {})
    if not demands.get("checks") or record.outcome not in TIMED or record.warmup:
        return None
    from runner.checks.table import judge  # noqa: PLC0415 -- brings jsonschema and RE2, and few runs have checks

    cost = record_cost(header, record)
    is_last_turn = record.identity.turn == demands.get("turns", 1)
    return judge(demands["checks"], record, cost=None if cost is None else float(cost), is_last_turn=is_last_turn)


def count_findings(header: Header, record: Record, verdict: CheckVerdict) -> int | None:
    """Count a record's checks that came out so; None where none was run."""
    findings = find(header, record)
    return None if findings is None else sum(finding.verdict is verdict for finding in findings.values())


def check_cells(header: Header, records: Iterable[Record]) -> tuple[CheckedCell, ...]:
    """Judge every case that demands something, for each target that was asked, in the suite's order."""
    if not any(demands.get("checks") for demands in header.checks.values()):
        return ()
    repeats: dict[tuple[str, str], dict[tuple[int, int], _Repeat]] = {}
    for record in records:
        identity, demands = record.identity, header.checks.get(record.identity.case, {})
        if demands.get("checks") and not record.warmup:
            cell = repeats.setdefault((identity.case, identity.target), {})
            repeat = cell.setdefault((identity.repeat, identity.block), _Repeat())
            repeat.add(record, find(header, record), is_last_turn=identity.turn == demands.get("turns", 1))
    place = {name: at for at, name in enumerate((*header.cases, *header.targets))}
    keys = sorted(repeats, key=lambda key: [place.get(name, len(place)) for name in key])
    return tuple(_cell(*key, header.checks[key[0]], repeats[key].values()) for key in keys)


@dataclass(slots=True)
class _Repeat:
    """What was found in one repeat's turns so far."""

    findings: list[tuple[str, CheckFinding]] = field(default_factory=list)
    is_whole: bool = False

    def add(self, record: Record, findings: Mapping[str, CheckFinding] | None, *, is_last_turn: bool) -> None:
        """Add a turn; a failed one is a finding itself, though a run that was interrupted decides nothing."""
        self.is_whole |= is_last_turn
        if findings is not None:
            self.findings += findings.items()
        elif record.outcome is Outcome.CANCELLED:
            self.findings.append((REQUEST, CheckFinding(CheckVerdict.UNDECIDED, "cancelled")))
        elif record.outcome is not Outcome.SKIPPED:
            self.findings.append((REQUEST, CheckFinding(CheckVerdict.FAILED, _describe_failure(record))))

    @property
    def verdict(self) -> CheckVerdict:
        """Failed if anything failed; passed only if everything passed, the last turn included."""
        verdicts = {finding.verdict for _, finding in self.findings}
        if CheckVerdict.FAILED in verdicts:
            return CheckVerdict.FAILED
        return CheckVerdict.PASSED if self.is_whole and verdicts <= {CheckVerdict.PASSED} else CheckVerdict.UNDECIDED


def _describe_failure(record: Record) -> str:
    return f"{record.outcome.value}: {record.error}" if record.error else record.outcome.value


def _cell(case: str, target: str, demands: Mapping[str, Any], repeats: Iterable[_Repeat]) -> CheckedCell:
    repeats = list(repeats)
    counts = Counter(repeat.verdict for repeat in repeats)
    needed, of = read_share(demands.get("pass", "all")) or (1, 1)
    return CheckedCell(
        case=case,
        target=target,
        line=demands.get("line"),
        needed=-(-len(repeats) * needed // of),
        passed=counts[CheckVerdict.PASSED],
        failed=counts[CheckVerdict.FAILED],
        undecided=counts[CheckVerdict.UNDECIDED],
        faults=tuple(_gather_faults(finding for repeat in repeats for finding in repeat.findings)),
    )


def _gather_faults(findings: Iterable[tuple[str, CheckFinding]]) -> Iterator[CheckFault]:
    reasons: dict[tuple[str, CheckVerdict], list[str]] = {}
    for check, finding in findings:
        if finding.why is not None:
            reasons.setdefault((check, finding.verdict), []).append(finding.why)
    for (check, verdict), whys in sorted(reasons.items(), key=lambda item: item[0][1] is not CheckVerdict.FAILED):
        yield CheckFault(check, verdict, whys[0], len(whys))

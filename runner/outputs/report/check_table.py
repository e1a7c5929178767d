"""The page's table of checks: each cell green or red with an icon, the failed checks named and linked to the reason."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.analysis.check_results import REQUEST, CheckedCell, CheckFault
from runner.analysis.measured_targets import name_target
from runner.analysis.pass_rate import PassRate, measure_pass_rate
from runner.analysis.run_results import Run
from runner.checks.check_finding import CheckVerdict
from runner.outputs.report.reply import VERDICT_ICONS, shorten
from runner.outputs.report.summary_table import SummaryCell, write_passed
from runner.outputs.text.labels import describe_outcome
from runner.outputs.text.translation import _, comma_list, plural, translate

MAX_CASES = 200
MAX_REASONS = 100
MAX_REASON_CHARACTERS = 400
MAX_PLACES_NAMED = 12


@dataclass(frozen=True, slots=True)
class CheckLink:
    """The name of a check that did not pass, and the place of its reason in the list; None if it is not listed."""

    name: str
    reason: int | None


@dataclass(frozen=True, slots=True)
class CheckCell:
    """One case and target: the verdict, how many repeats passed, and the checks that did not."""

    kind: CheckVerdict
    verdict: str
    icon: str
    counts: str
    links: tuple[CheckLink, ...]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A case with a cell for each target; None where a target was not asked."""

    label: str
    cells: tuple[CheckCell | None, ...]


@dataclass(frozen=True, slots=True)
class CheckReason:
    """One reason for which checks did not pass: how often, and in which cells."""

    check: str
    why: str
    error: str | None
    """The message behind a failed request, which is not ours."""
    failed: bool
    count: int
    places: str


@dataclass(frozen=True, slots=True)
class CheckTable:
    """The results of a run's checks: pass rates by target, a row for each case, and each reason once."""

    targets: tuple[str, ...]
    rates: tuple[SummaryCell, ...]
    rows: tuple[CheckRow, ...]
    reasons: tuple[CheckReason, ...]
    left_out: tuple[str, ...]


def tabulate_checks(run: Run, number: int, of: int) -> CheckTable | None:
    """Return the table of a run, the given one of several; None if it has no checks."""
    cells = [replace(cell, target=name_target(cell.target, number, of)) for cell in run.checked]
    if not cells:
        return None
    reasons = _collect_reasons(cells)
    place = {key: at for at, key in enumerate(list(reasons)[:MAX_REASONS])}
    targets = tuple(dict.fromkeys(str(cell.target) for cell in cells))
    cases = tuple(dict.fromkeys(cell.case for cell in cells))
    found = {(cell.case, str(cell.target)): _cell(cell, place) for cell in cells}
    left_out = []
    if len(cases) > MAX_CASES:
        left_out.append(_("The first {n} of {all} cases are shown.", n=MAX_CASES, all=f"{len(cases):,}"))
    if len(reasons) > MAX_REASONS:
        left_out.append(_("The first {n} of {all} reasons are shown.", n=MAX_REASONS, all=f"{len(reasons):,}"))
    return CheckTable(
        targets=targets,
        rates=tuple(
            _rate(measure_pass_rate([cell for cell in cells if str(cell.target) == target])) for target in targets
        ),
        rows=tuple(
            CheckRow(case, tuple(found.get((case, target)) for target in targets)) for case in cases[:MAX_CASES]
        ),
        reasons=tuple(_reason(key, *reasons[key]) for key in place),
        left_out=tuple(left_out),
    )


def _rate(passed: PassRate | None) -> SummaryCell:
    return SummaryCell(_("none decided")) if passed is None else write_passed(passed)


ReasonKey = tuple[str, bool, str, str | None]
"""A check's name, whether it failed or is undecided, why, and the message behind a failed request."""


def _key(fault: CheckFault) -> ReasonKey:
    is_failed = fault.verdict is CheckVerdict.FAILED
    if fault.check != REQUEST:
        return fault.check, is_failed, translate(fault.why), None
    outcome, _behind, error = fault.why.partition(": ")
    return _("request"), is_failed, describe_outcome(outcome), error or None


def _cell(cell: CheckedCell, place: dict[ReasonKey, int]) -> CheckCell:
    verdict = cell.verdict
    links = {key[0]: CheckLink(key[0], place.get(key)) for key in map(_key, cell.faults)}
    shown = () if verdict is CheckVerdict.PASSED else tuple(links.values())
    counts = _("{k} of {n}", k=f"{cell.passed:,}", n=f"{cell.n:,}")
    return CheckCell(verdict, _(verdict.value), VERDICT_ICONS[verdict], counts, shown)


def _collect_reasons(cells: Sequence[CheckedCell]) -> dict[ReasonKey, tuple[int, list[str]]]:
    """Return how often and where each reason was given; failures first."""
    reasons: dict[ReasonKey, tuple[int, list[str]]] = {}
    for cell in cells:
        for fault in cell.faults:
            count_so_far, places = reasons.get(_key(fault), (0, []))
            reasons[_key(fault)] = (count_so_far + fault.count, [*places, f"{cell.case} · {cell.target}"])
    return dict(sorted(reasons.items(), key=lambda item: not item[0][1]))


def _reason(key: ReasonKey, times: int, places: Sequence[str]) -> CheckReason:
    check, failed, why, error = key
    more = len(places) - MAX_PLACES_NAMED
    rest = plural(more, ", and {n} more cell", ", and {n} more cells") if more > 0 else ""
    named = comma_list(places[:MAX_PLACES_NAMED]) + rest
    shown_error = None if error is None else shorten(error, MAX_REASON_CHARACTERS)
    return CheckReason(check, shorten(why, MAX_REASON_CHARACTERS), shown_error, failed, times, named)

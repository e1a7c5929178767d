"""Checks in words: how many cases passed, and why one did not. Once for every output that a person reads."""

from collections import Counter
from collections.abc import Sequence

from runner.analysis.checks import REQUEST, CheckedCell, CheckFault
from runner.checks.finding import CheckVerdict
from runner.outputs.text.figures import MISSING, count
from runner.outputs.text.overview import SummaryTable


def describe_checks(cells: Sequence[CheckedCell]) -> str:
    """Count how the cells came out: `12 of 15 cells passed their checks, 2 failed, 1 not decided`."""
    counts = Counter(cell.verdict for cell in cells)
    said = [f"{counts[CheckVerdict.PASSED]} of {count(len(cells), 'cell')} (case × target) passed their checks"]
    said += [
        f"{counts[verdict]} {verdict.value}"
        for verdict in (CheckVerdict.FAILED, CheckVerdict.UNDECIDED)
        if counts[verdict]
    ]
    return ", ".join(said)


def tabulate_cells(cells: Sequence[CheckedCell]) -> SummaryTable:
    """Lay out a row for each case and a column for each target: how a cell came out, and of how many repeats."""
    cases = tuple(dict.fromkeys(cell.case for cell in cells))
    targets = tuple(dict.fromkeys(str(cell.target) for cell in cells))
    results = {(cell.case, str(cell.target)): f"{cell.verdict.value}, {cell.passed} of {cell.n}" for cell in cells}
    rows = tuple((case, *(results.get((case, target), MISSING) for target in targets)) for case in cases)
    return SummaryTable(("case", *targets), rows, wordy=frozenset(range(len(targets) + 1)))


def describe_cell(cell: CheckedCell) -> str:
    """Say how a cell came out, and of how many repeats: `rome · sim/quick: failed, 1 of 3 repeats passed, 2 needed`."""
    passed = f"{cell.passed} of {count(cell.n, 'repeat')} passed, {cell.needed} needed"
    return f"{cell.case} · {cell.target}: {cell.verdict.value}, {passed}"


def describe_fault(fault: CheckFault) -> str:
    """Say which check was not met, why, and how often where that was more than once."""
    often = f" ({fault.count} ×)" if fault.count > 1 else ""
    undecided = "not decided, " if fault.verdict is CheckVerdict.UNDECIDED else ""
    name = "the request failed" if fault.check == REQUEST and not undecided else fault.check
    return f"{name}: {undecided}{fault.why}{often}"


def unmet(cells: Sequence[CheckedCell]) -> list[CheckedCell]:
    """Return the cells that did not pass, failures first."""
    return sorted(
        (cell for cell in cells if cell.verdict is not CheckVerdict.PASSED),
        key=lambda cell: cell.verdict is CheckVerdict.UNDECIDED,
    )

"""Results of the suite's checks as text: counts and a table of the cells, and reasons of those that did not pass."""

from collections import Counter
from collections.abc import Sequence

from runner.analysis.check_results import REQUEST, CheckedCell, CheckFault
from runner.checks.check_finding import CheckVerdict
from runner.errors import counted
from runner.outputs.text.number_format import MISSING
from runner.outputs.text.table import TextTable
from runner.outputs.text.translation import _, comma_list, plural


def describe_checks(cells: Sequence[CheckedCell]) -> str:
    """Return counts of cells by verdict: `12 of 15 cells (case × target) passed their checks, 2 failed`."""
    counts = Counter(cell.verdict for cell in cells)
    passed = f"{counts[CheckVerdict.PASSED]:,}"
    one, many = (
        "{k} of {n} cell (case × target) passed its checks",
        "{k} of {n} cells (case × target) passed their checks",
    )
    parts: list[str] = [plural(len(cells), one, many, k=passed)]
    others = ((CheckVerdict.FAILED, "{n} failed"), (CheckVerdict.UNDECIDED, "{n} not decided"))
    parts += [_(text, n=f"{counts[verdict]:,}") for verdict, text in others if counts[verdict]]
    return comma_list(parts)


def tabulate_cells(cells: Sequence[CheckedCell]) -> TextTable:
    """Return a row for each case and a column for each target, with each cell's verdict and repeats."""
    cases = tuple(dict.fromkeys(cell.case for cell in cells))
    targets = tuple(dict.fromkeys(str(cell.target) for cell in cells))
    results = {(cell.case, str(cell.target)): f"{cell.verdict.value}, {cell.passed} of {cell.n}" for cell in cells}
    rows = tuple((case, *(results.get((case, target), MISSING) for target in targets)) for case in cases)
    return TextTable(("case", *targets), rows, wordy=frozenset(range(len(targets) + 1)))


def describe_cell(cell: CheckedCell) -> str:
    """Return the result of one cell: `rome · sim/quick: failed, 1 of 3 repeats passed, 2 needed`."""
    passed = f"{cell.passed} of {counted(cell.n, 'repeat')} passed, {cell.needed} needed"
    return f"{cell.case} · {cell.target}: {cell.verdict.value}, {passed}"


def describe_fault(fault: CheckFault) -> str:
    """Return the name of a check that did not pass, the reason, and the number of times if more than one."""
    often = f" ({fault.count} ×)" if fault.count > 1 else ""
    undecided = "not decided, " if fault.verdict is CheckVerdict.UNDECIDED else ""
    name = "the request failed" if fault.check == REQUEST and not undecided else fault.check
    return f"{name}: {undecided}{fault.why}{often}"


def not_passed(cells: Sequence[CheckedCell]) -> list[CheckedCell]:
    """Return the cells that failed, then the undecided ones."""
    return sorted(
        (cell for cell in cells if cell.verdict is not CheckVerdict.PASSED),
        key=lambda cell: cell.verdict is CheckVerdict.UNDECIDED,
    )

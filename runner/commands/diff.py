"""Runs named on a command line become a comparison, and the comparison files."""

from collections.abc import Sequence
from pathlib import Path

from runner.analysis.diff import Difference, diff_places, diff_runs, diff_within
from runner.analysis.run import Run
from runner.analysis.verdict import Rule, Verdict
from runner.errors import CompareError
from runner.outputs.diff.formats import DIFFERENCE_WRITERS
from runner.storage import journal
from runner.storage.run_folder import find_run, write_atomically

__all__ = ["Rule", "contrast", "exit_code", "open_run", "write_difference"]


def open_run(name: Path) -> Run:
    """Read a run by its folder, its id in results/, `latest`, or any file that is a journal, stripped or not.

    Raises:
        JournalError: there is no such run, or it cannot be read.

    """
    return Run.of_journal(journal.read(name if name.is_file() and name.name != "latest" else find_run(name)))


def contrast(
    base: Path,
    new: Path | None,
    between: tuple[str, str] | None,
    rule: Rule,
    *,
    between_regions: tuple[str, str] | None = None,
) -> Difference:
    """Compare two runs, or with `between` two targets of one, or with `between_regions` two places it was asked from.

    Raises:
        CompareError: none or several of these are asked for, or what was named has nothing in common.

    """
    match new, between, between_regions:
        case Path(), None, None:
            return diff_runs(open_run(base), open_run(new), rule)
        case None, (a, b), None:
            return diff_within(open_run(base), a, b, rule)
        case None, None, (a, b):
            return diff_places(open_run(base), a, b, rule)
        case None, None, None:
            raise CompareError(
                f"{base} is compared with nothing; name a second run, or two of its targets: --between A B"
            )
    raise CompareError(
        "--between compares two targets of one run, --between-regions two places it was asked from; "
        "name one run and one of these, or two runs and neither"
    )


def write_difference(difference: Difference, outputs: Sequence[Path]) -> None:
    """Write a comparison in the formats that the outputs' suffixes name, checked beforehand."""
    for path in outputs:
        write_atomically(path, DIFFERENCE_WRITERS[path.suffix.lower()](difference))


def exit_code(difference: Difference, *, gate: bool, fail_undecided: bool) -> int:
    """Return 1 for a regression behind a gate, 5 for what is undecided if that was to fail, else 0."""
    if gate and difference.having(Verdict.REGRESSED):
        return 1
    return 5 if fail_undecided and difference.having(Verdict.UNDECIDED) else 0

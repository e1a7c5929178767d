"""Compare two runs, two targets or places of one run, or a run with the runs before it; write the comparison."""

from collections.abc import Sequence
from pathlib import Path

from runner.analysis.diff import Difference, diff_places, diff_runs, diff_within
from runner.analysis.diff_verdict import Rule
from runner.analysis.history_diff import diff_with_history
from runner.analysis.loaded_run import Run
from runner.analysis.stored_summary import summarize_run
from runner.commands.runs import list_stored_runs
from runner.errors import CompareError
from runner.outputs import DIFFERENCE_WRITERS
from runner.storage.atomic_write import write_atomically, write_each
from runner.storage.run_folder import RESULTS
from runner.storage.stored_summary import StoredRun
from runner.version import __version__

HISTORY = "history"
"""Name that stands for all comparable runs before a run."""

Pair = tuple[str, str]


def compare(base: Run, new: Run | Pair, rule: Rule, *, by_region: bool = False) -> Difference:
    """Compare two runs, or the second of two targets or places of one run with the first one.

    Args:
        base: the run to compare with.
        new: the other run, or two names in `base`.
        rule: the rule for verdicts.
        by_region: whether the names are regions or nodes that all of `base` was sent from, rather than targets.

    Raises:
        CompareError: the two sides have nothing in common, or there is no such target or place.

    """
    if isinstance(new, Run):
        return diff_runs(base, new, rule)
    return diff_places(base, *new, rule) if by_region else diff_within(base, *new, rule)


def find_history(name: Path) -> Path | None:
    """Return the folder of runs that `history` or `history:FOLDER` names; None for any other name.

    Raises:
        CompareError: the named folder does not exist. results/ need not exist, since the first run makes it.

    """
    word, _, named = str(name).partition(":")
    if word != HISTORY:
        return None
    folder = Path(named or RESULTS)
    if folder != RESULTS and not folder.is_dir():
        raise CompareError(f"{name}: there is no folder {folder}; name one that holds the folders of runs")
    return folder


def compare_with_history(run: Run, folder: Path, rule: Rule) -> Difference:
    """Compare a run with the comparable runs before it in a folder.

    Raises:
        CompareError: the folder cannot be read, or nothing can be compared.

    """
    new = StoredRun(folder / run.header.run_id, summarize_run(run, __version__))
    runs = list_stored_runs(folder).runs if folder.exists() else ()
    return diff_with_history(new, runs, folder, rule)


def write_difference(difference: Difference, outputs: Sequence[Path], language: str | None = None) -> None:
    """Write a comparison to files in the format of each suffix; pages in `language`, by default that of the locale."""
    write_each(outputs, lambda path: write_atomically(path, _render(difference, path.suffix.lower(), language)))


def _render(difference: Difference, suffix: str, language: str | None) -> str:
    if suffix != ".html":
        return DIFFERENCE_WRITERS[suffix](difference)
    from runner.outputs.report.render_html import write_diff  # brings jinja2

    return write_diff(difference, language)

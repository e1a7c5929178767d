"""Output for GitHub Actions: the summary of a step, and annotations of lines of the suite."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.analysis.diff import Difference
from runner.analysis.diff_verdict import Verdict
from runner.analysis.run_results import Run
from runner.analysis.snapshot import WRONG, SnapshotComparison, SnapshotState
from runner.checks.check_finding import CheckVerdict
from runner.errors import CompareError
from runner.outputs import DIFFERENCE_WRITERS, markdown
from runner.outputs.diff.markdown import LINE_COLUMNS, mark_words
from runner.outputs.snapshot import describe_counts, to_show
from runner.outputs.text.checks import describe_cell, describe_fault, not_passed
from runner.outputs.text.diff_cells import describe_finding, name_verdict
from runner.outputs.text.markdown_syntax import fold, inline, table
from runner.outputs.text.run_remarks import describe_failure

ACTIONS, SUMMARY, WORKSPACE = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"

MAX_SUMMARY_BYTES = 1_000_000
"""Maximum size of a summary. GitHub drops a step's summary above 1 MiB; the rest is for the step's other output."""

MAX_ANNOTATIONS = 10
"""Maximum number of errors that GitHub shows for one step."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message for a line of a file, or for the whole file if it has no line."""

    level: Literal["error", "warning"]
    title: str
    message: str
    line: int | None = None


def report_run(environ: Mapping[str, str], run: Run, difference: Difference | None) -> list[str]:
    """Append a run to the step's summary, and return the workflow commands to print; none outside GitHub Actions.

    The summary has the comparison, if there is one, and the run without its replies in full. Paths in the commands are
    relative to the repository, as GitHub requires.

    Raises:
        CompareError: the summary's file cannot be written.

    """
    return _report(environ, run.header.path, lambda: _run_sections(run, difference), lambda: annotate(run, difference))


def report_comparison(
    environ: Mapping[str, str],
    path: str | None,
    comparisons: Sequence[SnapshotComparison],
    lines: Mapping[str, int | None],
) -> list[str]:
    """Append a snapshot's comparison to the step's summary, and return the workflow commands to print, as `report_run`.

    Args:
        environ: environment variables of the job.
        path: path of the suite's file.
        comparisons: the compared questions.
        lines: case -> line in that file.

    """
    return _report(
        environ, path, lambda: _snapshot_sections(comparisons), lambda: _annotate_questions(comparisons, lines)
    )


def _report(
    environ: Mapping[str, str],
    path: str | None,
    sections: Callable[[], Iterable[str]],
    annotations: Callable[[], Iterable[Annotation]],
) -> list[str]:
    if environ.get(ACTIONS) != "true":
        return []
    if environ.get(SUMMARY):
        _append(Path(environ[SUMMARY]), join_sections(sections(), MAX_SUMMARY_BYTES))
    file = _path_in_repository(path, environ.get(WORKSPACE))
    return [write_command(annotation, file) for annotation in limit_annotations(annotations())]


# The summary


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise CompareError(f"{path}, named by {SUMMARY}, cannot be written: {error.strerror}") from error


def _run_sections(run: Run, difference: Difference | None) -> list[str]:
    comparison = [DIFFERENCE_WRITERS[".md"](difference).rstrip("\n")] if difference else []
    return [*comparison, *markdown.sections(run)]


def _snapshot_sections(comparisons: Sequence[SnapshotComparison]) -> Iterator[str]:
    """Yield counts, a table of questions that differ or were not compared, and diffs."""
    yield f"## {inline(describe_counts(comparisons))}"
    shown = to_show(comparisons)
    if shown:
        rows = [[inline(str(each.question)), each.state.value, inline(each.why or "", LINE_COLUMNS)] for each in shown]
        yield table(("question", "result", "why"), rows, {0, 1, 2})
    yield from (_changed_reply(each) for each in shown if each.state is SnapshotState.CHANGED)


def _changed_reply(comparison: SnapshotComparison) -> str:
    kept, now = (reply.shown if reply else None for reply in (comparison.kept, comparison.now))
    return fold(inline(str(comparison.question)), mark_words(kept, now))


def join_sections(sections: Iterable[str], max_bytes: int) -> str:
    """Join sections up to the first that does not fit into `max_bytes`; a note then says that the rest is left out."""
    page = ""
    note = "\n\nThe rest does not fit here; it is in `results.md`.\n"
    for section in sections:
        longer = f"{page}\n\n{section}" if page else section
        if len(longer.encode()) + len(note) > max_bytes:
            return page + note
        page = longer
    return page + "\n"


# Annotations


def annotate(run: Run, difference: Difference | None) -> list[Annotation]:
    """Return an annotation for each fault of a run, errors first."""
    found = [*_annotate_checks(run), *_annotate_failures(run), *_annotate_regressions(difference)]
    return sorted(found, key=lambda each: each.level)


def limit_annotations(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Return as many annotations as GitHub shows; if there are more, the last one counts the rest."""
    found = [*annotations]
    if len(found) <= MAX_ANNOTATIONS:
        return found
    more = Annotation("warning", "compare", f"{len(found) - MAX_ANNOTATIONS + 1} more, in the step's summary")
    return [*found[: MAX_ANNOTATIONS - 1], more]


def _annotate_checks(run: Run) -> Iterator[Annotation]:
    for cell in not_passed(run.checked):
        level: Literal["error", "warning"] = "error" if cell.verdict is CheckVerdict.FAILED else "warning"
        yield Annotation(level, describe_cell(cell), "\n".join(map(describe_fault, cell.faults)), cell.line)


def _annotate_failures(run: Run) -> Iterator[Annotation]:
    for failure in run.failures:
        yield Annotation("warning", describe_failure(failure), failure.error or "no reason was given")


def _annotate_regressions(difference: Difference | None) -> Iterator[Annotation]:
    if difference is None:
        return
    for finding in difference.having(Verdict.REGRESSED):
        verdict = name_verdict(finding, paired=difference.paired)
        title = f"{finding.target}: {finding.measure.label} {verdict}"
        yield Annotation("error", title, describe_finding(finding, paired=difference.paired))


def _annotate_questions(
    comparisons: Sequence[SnapshotComparison], lines: Mapping[str, int | None]
) -> Iterator[Annotation]:
    for each in comparisons:
        if each.state in WRONG:
            why = each.why or "compare snapshot --review shows what changed"
            yield Annotation("error", f"{each.question}: {each.state.value}", why, lines.get(each.question.case))


def write_command(annotation: Annotation, file: str | None) -> str:
    """Return an annotation as a workflow command, a line without its line end."""
    place = {"file": file, "line": annotation.line if file else None, "title": annotation.title}
    properties = ",".join(
        f"{name}={_escape_property(str(value))}" for name, value in place.items() if value is not None
    )
    return f"::{annotation.level} {properties}::{_escape_message(annotation.message)}"


def _escape_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")


def _path_in_repository(path: str | None, workspace: str | None) -> str | None:
    if path is None or not workspace:
        return path
    whole = Path(path).absolute()
    return whole.relative_to(workspace).as_posix() if whole.is_relative_to(workspace) else path

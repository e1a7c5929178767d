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
from runner.outputs.snapshot import describe_counts
from runner.outputs.text.checks import describe_cell, describe_fault, not_passed
from runner.outputs.text.diff_cells import FINDING_HEADINGS, finding_cells, name_verdict
from runner.outputs.text.markdown_syntax import inline, table
from runner.outputs.text.run_remarks import describe_failure

ACTIONS, SUMMARY, WORKSPACE = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"

MAX_SUMMARY_BYTES = 1_000_000
"""Maximum size of a summary. GitHub drops a step's summary above 1 MiB; the rest is for the step's other output."""

MAX_ANNOTATIONS = 10
"""Maximum number of errors that GitHub shows for one step."""


def report_run(environ: Mapping[str, str], run: Run, difference: Difference | None) -> list[str]:
    """Append a run to the step's summary, and return the workflow commands to print; none outside GitHub Actions.

    Raises:
        CompareError: the summary's file cannot be written.

    """
    if environ.get(ACTIONS) != "true":
        return []
    append_summary(environ, run, difference)
    return workflow_commands(environ, run, difference)


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
    if environ.get(ACTIONS) != "true":
        return []
    _append(environ, lambda: write_snapshot_summary(comparisons))
    file = _path_in_repository(path, environ.get(WORKSPACE))
    found = _limit_annotations([*_annotate_questions(comparisons, lines)])
    return [write_command(annotation, file) for annotation in found]


# The summary


def append_summary(environ: Mapping[str, str], run: Run, difference: Difference | None) -> None:
    """Append a run and its comparison to the step's summary, if the environment names one.

    Raises:
        CompareError: the summary's file cannot be written.

    """
    _append(environ, lambda: write_summary(run, difference))


def _append(environ: Mapping[str, str], write: Callable[[], str]) -> None:
    if not environ.get(SUMMARY):
        return
    path = Path(environ[SUMMARY])
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(write())
    except OSError as error:
        raise CompareError(f"{path}, named by {SUMMARY}, cannot be written: {error.strerror}") from error


def write_summary(run: Run, difference: Difference | None) -> str:
    """Return the Markdown of the comparison, if there is one, and of the run without its replies in full."""
    comparison = [DIFFERENCE_WRITERS[".md"](difference).rstrip("\n")] if difference else []
    return join_sections([*comparison, *markdown.sections(run)], MAX_SUMMARY_BYTES)


def write_snapshot_summary(comparisons: Sequence[SnapshotComparison]) -> str:
    """Return the Markdown of a snapshot: counts, a table of questions that differ or were not compared, and diffs."""
    shown = [each for each in comparisons if each.state in WRONG or each.state is SnapshotState.NOT_COMPARED]
    rows = [[inline(str(each.question)), each.state.value, inline(each.why or "", LINE_COLUMNS)] for each in shown]
    sections = [f"## {inline(describe_counts(comparisons))}"]
    sections += [table(("question", "result", "why"), rows, {0, 1, 2})] if rows else []
    sections += [_changed_reply(each) for each in shown if each.state is SnapshotState.CHANGED]
    return join_sections(sections, MAX_SUMMARY_BYTES)


def _changed_reply(comparison: SnapshotComparison) -> str:
    kept, now = (reply.shown if reply else None for reply in (comparison.kept, comparison.now))
    words = mark_words(kept, now)
    summary = f"<details><summary>{inline(str(comparison.question))}</summary>"
    return f"{summary}\n\n{words}\n\n</details>"


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


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message for a line of a file, or for the whole file if it has no line."""

    level: Literal["error", "warning"]
    title: str
    message: str
    line: int | None = None


def workflow_commands(environ: Mapping[str, str], run: Run, difference: Difference | None) -> list[str]:
    """Return a workflow command for each annotation; paths are relative to the repository, as GitHub requires."""
    file = _path_in_repository(run.header.path, environ.get(WORKSPACE))
    return [write_command(annotation, file) for annotation in annotate(run, difference)]


def annotate(run: Run, difference: Difference | None) -> list[Annotation]:
    """Return an annotation for each fault of a run, errors first; if they are too many, the last counts the rest."""
    found = sorted(
        [*_annotate_checks(run), *_annotate_failures(run), *_annotate_regressions(difference)],
        key=lambda each: each.level,
    )
    return _limit_annotations(found)


def _limit_annotations(found: list[Annotation]) -> list[Annotation]:
    """Return as many annotations as GitHub shows; if there are more, the last one counts the rest."""
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
        cells = zip(FINDING_HEADINGS, finding_cells(finding, paired=difference.paired), strict=True)
        message = ", ".join(f"{heading} {cell}" for heading, cell in cells)
        yield Annotation(
            "error",
            f"{finding.target}: {finding.measure.label} {name_verdict(finding, paired=difference.paired)}",
            message,
        )


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

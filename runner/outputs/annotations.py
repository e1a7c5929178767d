"""What GitHub shows beside the lines of a pull request: workflow commands that point at a case in its suite file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from runner.analysis.diff import Difference
from runner.analysis.run import Run
from runner.analysis.verdict import Verdict
from runner.checks import finding
from runner.outputs.diff import phrases
from runner.outputs.text.checked import describe_cell, describe_fault, unmet
from runner.outputs.text.overview import describe_failure

MOST = 10
"""GitHub shows no more errors a step."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One remark; without a line it is about the whole file."""

    level: Literal["error", "warning"]
    title: str
    message: str
    line: int | None = None


def annotate(run: Run, difference: Difference | None) -> list[Annotation]:
    """Return what is wrong with a run, errors first, the last one saying how many more there are."""
    found = sorted([*_checks(run), *_requests(run), *_regressions(difference)], key=lambda each: each.level)
    if len(found) <= MOST:
        return found
    more = Annotation("warning", "compare", f"{len(found) - MOST + 1} more, in the step's summary")
    return [*found[: MOST - 1], more]


def _checks(run: Run) -> Iterator[Annotation]:
    for cell in unmet(run.checked):
        level: Literal["error", "warning"] = "error" if cell.verdict is finding.CheckVerdict.FAILED else "warning"
        yield Annotation(level, describe_cell(cell), "\n".join(map(describe_fault, cell.faults)), cell.line)


def _requests(run: Run) -> Iterator[Annotation]:
    for failure in run.failures:
        yield Annotation("warning", describe_failure(failure), failure.error or "no reason was given")


def _regressions(difference: Difference | None) -> Iterator[Annotation]:
    for found in difference.having(Verdict.REGRESSED) if difference else ():
        cells = zip(phrases.FINDING_HEADINGS, phrases.cells(found), strict=True)
        message = ", ".join(f"{name} {cell}" for name, cell in cells)
        yield Annotation("error", f"{found.target}: {found.measure.label} regressed", message)


def write_command(annotation: Annotation, file: str | None) -> str:
    """Write one workflow command, a line without its end."""
    place = {"file": file, "line": annotation.line if file else None, "title": annotation.title}
    said = ",".join(f"{name}={_property(str(value))}" for name, value in place.items() if value is not None)
    return f"::{annotation.level} {said}::{_data(annotation.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

"""What GitHub Actions is told of a run: a summary for the job's page, and annotations beside the suite's lines."""

from collections.abc import Mapping
from pathlib import Path

from runner.analysis.diff import Difference
from runner.analysis.run import Run
from runner.errors import CompareError
from runner.outputs import step_summary
from runner.outputs.annotations import annotate, write_command

SUMMARY, WORKSPACE = "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"


def append_summary(environ: Mapping[str, str], run: Run, difference: Difference | None) -> None:
    """Append to the step's summary, where the job has one."""
    if not environ.get(SUMMARY):
        return
    path = Path(environ[SUMMARY])
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(step_summary.write(run, difference))
    except OSError as error:
        raise CompareError(f"{path}, named by {SUMMARY}, cannot be written: {error.strerror}") from error


def workflow_commands(environ: Mapping[str, str], run: Run, difference: Difference | None) -> list[str]:
    """Return a line for each annotation, to be printed; paths are relative to the repository, as GitHub has them."""
    file = _in_repository(run.header.path, environ.get(WORKSPACE))
    return [write_command(annotation, file) for annotation in annotate(run, difference)]


def _in_repository(path: str | None, workspace: str | None) -> str | None:
    if path is None or not workspace:
        return path
    whole = Path(path).absolute()
    return whole.relative_to(workspace).as_posix() if whole.is_relative_to(workspace) else path

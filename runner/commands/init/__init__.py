"""What a newcomer's folder needs to begin: a suite, an example of .env, lines for git, a workflow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from runner.errors import CompareError
from runner.providers.row import Row
from runner.storage.run_folder import write_atomically

SUITE = Path("prompts/first.yaml")
ENV_EXAMPLE = Path(".env.example")
IGNORED = Path(".gitignore")
WORKFLOW = Path(".github/workflows/compare.yml")
IGNORED_LINES = (".env", "results/")

Deed = Literal["written", "extended", "left as it is"]


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """A file, and what became of it."""

    path: Path
    deed: Deed


def lay_out(folder: Path, rows: Mapping[str, Row]) -> Iterator[WrittenFiles]:
    """Write what is not there yet; what is there is never changed, but for lines that .gitignore lacks.

    Raises:
        CompareError: a place cannot be written.

    """
    yield _write(folder / SUITE, _template("first.yaml"))
    yield _write(folder / ENV_EXAMPLE, example_of_variables(rows))
    yield _extend(folder / IGNORED, IGNORED_LINES)
    yield _write(folder / WORKFLOW, _template("workflow.yml"))


def example_of_variables(rows: Mapping[str, Row]) -> str:
    """Return a .env.example with the first key variable of every provider, each switched off."""
    lines = ["# Copy to .env, which git ignores, and fill in the keys you have.", ""]
    for name, row in rows.items():
        if row.api_key_env and not row.keyless:
            lines.append(f"# {row.api_key_env[0]}=    # {row.label or name}")
    return "\n".join(lines) + "\n"


def _template(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> WrittenFiles:
    if path.exists():
        return WrittenFiles(path, "left as it is")
    _save(path, text)
    return WrittenFiles(path, "written")


def _extend(path: Path, lines: tuple[str, ...]) -> WrittenFiles:
    """Append the lines that a file lacks."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in lines if line not in before.splitlines()]
    if not missing:
        return WrittenFiles(path, "left as it is")
    gap = "" if not before or before.endswith("\n") else "\n"
    _save(path, before + gap + "\n".join(missing) + "\n")
    return WrittenFiles(path, "extended" if before else "written")


def _save(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"{path} cannot be written: {error.strerror}; name another folder") from error
    write_atomically(path, text, "utf-8")

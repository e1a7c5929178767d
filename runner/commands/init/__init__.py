"""`compare init`: write a suite, a .env.example, lines for .gitignore and a CI workflow into a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from runner.commands.package_requirement import PUBLISHED, installable_elsewhere
from runner.errors import CompareError
from runner.providers.provider_row import ProviderRow
from runner.storage.atomic_write import write_atomically

SUITE = Path("prompts/first.yaml")
ENV_EXAMPLE = Path(".env.example")
GITIGNORE = Path(".gitignore")
WORKFLOW = Path(".github/workflows/compare.yml")
IGNORED_LINES = (".env", "results/")

Change = Literal["written", "extended", "left as it is"]


@dataclass(frozen=True, slots=True)
class StarterFile:
    """A file, and whether it was written, extended or left as it is."""

    path: Path
    change: Change


def write_starter_files(folder: Path, rows: Mapping[str, ProviderRow]) -> Iterator[StarterFile]:
    """Write each file that does not exist, and append the lines missing in .gitignore; change no other file.

    Raises:
        CompareError: a file cannot be written.

    """
    yield _write_new(folder / SUITE, _template("first.yaml"))
    yield _write_new(folder / ENV_EXAMPLE, env_example(rows))
    yield _append_lines(folder / GITIGNORE, IGNORED_LINES)
    yield _write_new(folder / WORKFLOW, workflow(installable_elsewhere() or PUBLISHED))


def env_example(rows: Mapping[str, ProviderRow]) -> str:
    """Return the text of a .env.example with the first key variable of every provider, commented out."""
    lines = ["# Copy to .env, which git ignores, and fill in the keys you have.", ""]
    for name, row in rows.items():
        if row.api_key_env and not row.keyless:
            lines.append(f"# {row.api_key_env[0]}=    # {row.label or name}")
    return "\n".join(lines) + "\n"


def workflow(requirement: str) -> str:
    """Return the text of a GitHub workflow that installs this requirement."""
    return _template("workflow.yml").replace("REQUIREMENT", requirement)


def note_on_installing() -> str | None:
    """Return a note on what the workflow needs to install `compare`; None if it works as written."""
    if installable_elsewhere():
        return None
    return (
        f"this version was installed from a folder of this machine, so {WORKFLOW.as_posix()} installs {PUBLISHED} from"
        f" the package index; if the index does not have it, put the URL of your repository, git+https://..., after"
        f" COMPARE: in line {_line_of('COMPARE:')}"
    )


def _line_of(key: str) -> int:
    lines = workflow(PUBLISHED).splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(key))


def _template(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _write_new(path: Path, text: str) -> StarterFile:
    if path.exists():
        return StarterFile(path, "left as it is")
    _save(path, text)
    return StarterFile(path, "written")


def _append_lines(path: Path, lines: tuple[str, ...]) -> StarterFile:
    """Append the lines that a file lacks; create the file if it does not exist."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in lines if line not in before.splitlines()]
    if not missing:
        return StarterFile(path, "left as it is")
    separator = "" if not before or before.endswith("\n") else "\n"
    _save(path, before + separator + "\n".join(missing) + "\n")
    return StarterFile(path, "extended" if before else "written")


def _save(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"{path} cannot be written: {error.strerror}; name another folder") from error
    write_atomically(path, text, "utf-8")

"""`compare init`: write a suite, a .env.example, lines for .gitignore and a CI workflow into a folder."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from runner.errors import CompareError
from runner.providers.provider_row import Row
from runner.storage.atomic_write import write_atomically
from runner.version import __version__

SUITE = Path("prompts/first.yaml")
ENV_EXAMPLE = Path(".env.example")
GITIGNORE = Path(".gitignore")
WORKFLOW = Path(".github/workflows/compare.yml")
IGNORED_LINES = (".env", "results/")

DISTRIBUTION = "compare-runner"
PUBLISHED = f"{DISTRIBUTION}=={__version__}"
SCP_REMOTE = re.compile(r"(?:[^@/:]+@)?(?P<host>[\w.-]{2,}):/?(?P<path>[^:]+)")
"""`git@host:path`. A single letter before the colon does not match, since it is a Windows drive."""

Change = Literal["written", "extended", "left as it is"]


@dataclass(frozen=True, slots=True)
class StarterFile:
    """A file, and whether it was written, extended or left as it is."""

    path: Path
    change: Change


def write_starter_files(folder: Path, rows: Mapping[str, Row]) -> Iterator[StarterFile]:
    """Write each file that does not exist, and append the lines missing in .gitignore; change no other file.

    Raises:
        CompareError: a file cannot be written.

    """
    yield _write_new(folder / SUITE, _template("first.yaml"))
    yield _write_new(folder / ENV_EXAMPLE, env_example(rows))
    yield _append_lines(folder / GITIGNORE, IGNORED_LINES)
    yield _write_new(folder / WORKFLOW, workflow(installable_elsewhere() or PUBLISHED))


def env_example(rows: Mapping[str, Row]) -> str:
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
        f"this version was installed from a folder that no other machine can reach, so {WORKFLOW.as_posix()} installs"
        f" {PUBLISHED} from the package index; where that is not published yet, write git+https://... of your copy of"
        f" the repository into its line {_line_of('COMPARE:')}, behind COMPARE:"
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


# The requirement with which another machine can install the running version


def installable_elsewhere() -> str | None:
    """Return a requirement that a CI machine can install; None if the installation came from a local source only.

    A version from a package index is named by its number. Otherwise the requirement is the URL that it was installed
    from (PEP 610), or for a folder the remote of its git repository.
    """
    origin = _origin()
    if origin is None:
        return PUBLISHED
    url = origin["url"]
    if "vcs_info" in origin:
        return _git_requirement(url, origin["vcs_info"]["commit_id"])
    if "dir_info" in origin:
        return _of_checkout(_folder(url))
    return f"{DISTRIBUTION} @ {_without_login(url)}" if _is_remote(url) else None


def _origin() -> dict[str, Any] | None:
    """Return pip's record of where this package was installed from; None for a package index."""
    try:
        written = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return {"url": Path(__file__).parents[3].as_uri(), "dir_info": {}}
    return None if written is None else dict(json.loads(written))


def _folder(url: str) -> Path:
    """Return the folder of a file URL, without the slash before the drive on Windows."""
    path = unquote(urlsplit(url).path)
    return Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path)


def _of_checkout(folder: Path) -> str | None:
    """Return a requirement for a checkout's remote, at the current commit if the remote has it."""
    remote = _git(folder, "remote", "get-url", "origin")
    commit = _git(folder, "rev-parse", "HEAD")
    if not remote or not commit:
        return None
    is_pushed = bool(_git(folder, "for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes/origin"))
    return _git_requirement(remote, commit if is_pushed else None)


def _git_requirement(remote: str, commit: str | None) -> str | None:
    url = _https(remote)
    return f"git+{url}{f'@{commit}' if commit else ''}" if url else None


def _https(remote: str) -> str | None:
    """Return a remote's HTTPS URL without a login; None for a local folder."""
    if "://" not in remote:
        found = SCP_REMOTE.fullmatch(remote)
        return f"https://{found['host']}/{found['path']}" if found else None
    parts = urlsplit(remote)
    if parts.scheme == "ssh":  # an SSH port does not serve HTTPS
        return f"https://{parts.hostname}{parts.path}" if parts.hostname else None
    return _without_login(remote) if _is_remote(remote) else None


def _is_remote(url: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"}


def _without_login(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(folder: Path, *arguments: str) -> str:
    """Return the output of git; an empty text if there is no git or no repository."""
    try:
        ran = subprocess.run(  # noqa: S603 -- fixed words, and git's own answers
            ["git", "-C", str(folder), *arguments],  # noqa: S607 -- the user's git
            capture_output=True,
            check=False,
            encoding="utf-8",
        )
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""

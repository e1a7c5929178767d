"""How another machine can install the version that runs here, as a requirement of pip."""

import json
import re
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from runner.version import __version__

DISTRIBUTION = "compare-runner"
PUBLISHED = f"{DISTRIBUTION}=={__version__}"
SCP_REMOTE = re.compile(r"(?:[^@/:]+@)?(?P<host>[\w.-]{2,}):/?(?P<path>[^:]+)")
"""`git@host:path`; a name of one letter before the colon is a drive of Windows."""


def installable_elsewhere() -> str | None:
    """Return a requirement that a CI machine can install, or None if this installation came from this machine alone.

    A version from a package index is named by its number. Otherwise the address it came from counts (PEP 610), or, for
    a folder, the remote of its git repository.
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
    """Return what pip wrote about the place that this package was installed from; None for a package index."""
    try:
        written = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return {"url": Path(__file__).parents[3].as_uri(), "dir_info": {}}
    return None if written is None else dict(json.loads(written))


def _folder(url: str) -> Path:
    """Return the folder of a file URL; on Windows its path begins with a slash before the drive."""
    path = unquote(urlsplit(url).path)
    return Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path)


def _of_checkout(folder: Path) -> str | None:
    """Return a requirement for a checkout's remote, at its commit if the remote has that."""
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
    """Return a remote's address for reading without a login; None for a folder of this machine."""
    if "://" not in remote:
        found = SCP_REMOTE.fullmatch(remote)
        return f"https://{found['host']}/{found['path']}" if found else None
    parts = urlsplit(remote)
    if parts.scheme == "ssh":  # its port is not that of HTTPS
        return f"https://{parts.hostname}{parts.path}" if parts.hostname else None
    return _without_login(remote) if _is_remote(remote) else None


def _is_remote(url: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"}


def _without_login(url: str) -> str:
    """Return an address without the user and the password that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints, or nothing where there is no git or no repository."""
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

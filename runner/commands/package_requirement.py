"""Find how pip can install the running version: on another machine, or here with extras."""

import json
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from runner.version import __version__

DISTRIBUTION = "compare-runner"
PUBLISHED = f"{DISTRIBUTION}=={__version__}"
SCP_REMOTE = re.compile(r"(?:[^@/:]+@)?(?P<host>[\w.-]{2,}):/?(?P<path>[^:]+)")
"""`git@host:path`. A single letter before the colon does not match, since it is a Windows drive."""


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


def install_command(extras: Sequence[str]) -> str:
    """Return the command that adds extras to this installation, from where it was installed."""
    origin, wanted = _origin(), f"[{','.join(extras)}]"
    if origin is None:
        return f"pip install '{DISTRIBUTION}{wanted}'"
    if "dir_info" in origin:
        editable = "--editable " if origin["dir_info"].get("editable") else ""
        return f"pip install {editable}'{_folder(origin['url'])}{wanted}'"
    found = installable_elsewhere()
    url = found.removeprefix(f"{DISTRIBUTION} @ ") if found else origin["url"]
    return f"pip install '{DISTRIBUTION}{wanted} @ {url}'"


def _origin() -> dict[str, Any] | None:
    """Return pip's record of where this package was installed from; None for a package index."""
    try:
        written = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return {"url": Path(__file__).parents[2].as_uri(), "dir_info": {}}
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

"""Find files in a folder or above it, and skip those above it that belong to another user."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT_USER = 0


def find_own_file(name: str, start: Path) -> tuple[Path | None, list[str]]:
    """Return the nearest file of a name in `start` or above it, and a note on each that is skipped.

    Above the folder of `start` a file counts only if the user or the system's administrator owns it: in /tmp, say,
    anybody can write a compare.yaml. Beside a suite file, the suite's owner counts, too: whoever wrote the suite could
    have written it into the suite.
    """
    start = start.absolute()
    is_folder = start.is_dir()
    notes: list[str] = []
    for folder in (start, *start.parents) if is_folder else start.parents:
        path = folder / name
        if not path.is_file():
            continue
        beside = [] if is_folder or folder != start.parent else list(_owners(start))
        stranger = next((owner for owner in _owners(path) if not _is_trusted(owner, beside)), None)
        if stranger is None:
            return path, notes
        notes.append(
            f"{path} is not read: it belongs to {_name_user(stranger)}. If it is meant, copy it beside the suite"
        )
    return None, notes


def _owners(path: Path) -> Iterator[int]:
    """Yield the user ids that own a file, and a link to it."""
    try:
        yield from (path.lstat().st_uid, path.stat().st_uid)
    except OSError:
        return


def _is_trusted(owner: int, further: Iterable[int]) -> bool:
    if not hasattr(os, "geteuid"):  # Windows: files have no such owner
        return True
    mine = {os.geteuid(), ROOT_USER, *further}
    if os.geteuid() == ROOT_USER and os.environ.get("SUDO_UID", "").isdecimal():
        mine.add(int(os.environ["SUDO_UID"]))
    return owner in mine


def _name_user(owner: int) -> str:
    try:
        import pwd  # noqa: PLC0415 -- not on Windows

        return pwd.getpwuid(owner).pw_name
    except (ImportError, KeyError):
        return f"user {owner}"


def user_folder(variable: str, default: str) -> Path | None:
    """Return the user's own folder of a kind, such as XDG_CONFIG_HOME; None if there is no home.

    An empty or relative value counts as unset, as the XDG specification says.
    """
    value = os.environ.get(variable, "")
    try:
        home = Path(value) if value and Path(value).is_absolute() else Path.home() / default
    except RuntimeError:
        return None
    return home / "compare"

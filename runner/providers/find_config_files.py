"""Find a user's own files: in a folder or above it, skipping those of other users, and in the folders of XDG."""

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
        other_user = next((owner for owner in _owners(path) if not _is_own(owner, beside)), None)
        if other_user is None:
            return path, notes
        notes.append(
            f"{path} is not read: it belongs to {_name_user(other_user)}. If it is meant, copy it beside the suite"
        )
    return None, notes


def _owners(path: Path) -> Iterator[int]:
    """Yield the user ids that own a file, and a link to it."""
    try:
        yield from (path.lstat().st_uid, path.stat().st_uid)
    except OSError:
        return


def _is_own(owner: int, further: Iterable[int]) -> bool:
    """Return whether a file of this owner counts as the user's own; `further` are user ids that count, too."""
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

"""A run's folder and the files beside it: named, checked before anything costs money, written whole or not at all."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from runner.errors import CompareError, JournalError
from runner.journal import FILE_NAME

RESULTS = Path("results")
LATEST = "latest"


def new_run_id(suite: str, started: datetime) -> str:
    """Return a name that sorts by time, tells the suite, and never repeats."""
    safe = "".join(c if c.isalnum() else "-" for c in suite).strip("-")[:40] or "run"
    return f"{started:%Y%m%dT%H%M%S}-{safe}-{secrets.token_hex(2)}"


def refuse_used_folder(folder: Path) -> None:
    """Refuse a folder that holds a run already: two runs in one could not be told apart."""
    try:
        if (folder / FILE_NAME).exists():
            raise JournalError(f"{folder} holds a run already; choose another folder with -o")
        if folder.exists() and not folder.is_dir():
            raise JournalError(f"{folder} is a file, not a folder; choose another with -o")
    except OSError as error:
        raise JournalError(f"{folder} cannot be used: {error.strerror}; choose another folder with -o") from error


def check_outputs(paths: Iterable[Path], suffixes: Iterable[str], own: Path | None = None) -> None:
    """Raise, naming every one, if an output could not be written once the run is over.

    `own` is the run's own folder, which need not be there yet.
    """
    known = tuple(suffixes)
    problems = [problem for path in paths if (problem := _unwritable(path, known, own))]
    if problems:
        raise CompareError("\n".join(problems))


def _unwritable(path: Path, suffixes: tuple[str, ...], own: Path | None) -> str | None:
    if path.suffix.lower() not in suffixes:
        return f"-o {path}: no output is called {path.suffix}. Known: {', '.join(suffixes)}."
    folder = path.absolute().parent
    if own is not None and folder == own.absolute():
        return None
    try:
        if path.is_dir():
            return f"-o {path}: this is a folder. Name a file, or leave the suffix out."
        if not folder.is_dir():
            return f"-o {path}: there is no folder {folder}. Create it first."
    except OSError as error:
        return f"-o {path}: {error.strerror}."
    return None if os.access(folder, os.W_OK) else f"-o {path}: {folder} is not writable."


def write_atomically(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a file so that it is seen whole or not at all; raise CompareError where that fails."""
    fresh = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        try:
            with fresh.open("x", encoding=encoding, newline="") as file:
                file.write(text)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise CompareError(f"{path} cannot be written: {error.strerror}; the journal is complete") from error


def name_latest(folder: Path) -> None:
    """Let `latest` beside a run's folder name it: a link, or a file with the name where links are not to be had.

    It is a convenience: where it cannot be made, or is something of the user's own, such as a folder, nothing happens.
    """
    fresh = folder.parent / f".{LATEST}-{secrets.token_hex(4)}"
    with suppress(OSError):
        try:
            _link_or_write(fresh, folder.name)
            fresh.replace(folder.parent / LATEST)
        finally:
            fresh.unlink(missing_ok=True)


def _link_or_write(path: Path, name: str) -> None:
    try:
        path.symlink_to(name, target_is_directory=True)
    except OSError:
        path.write_text(f"{name}\n", encoding="utf-8")

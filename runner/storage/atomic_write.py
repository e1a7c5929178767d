"""Write files so that readers see the whole new file or the old one."""

import os
import re
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from runner.errors import CompareError, WriteFailed


def write_atomically(
    path: Path, content: str | Iterable[str] | bytes, encoding: str = "utf-8", *, survives_power_cut: bool = True
) -> None:
    """Write a file so that readers see the whole new file or the old one; pieces of text are written as they come.

    Without `survives_power_cut`, writing is faster, but the file may be empty after a power cut.

    Raises:
        WriteFailed: the file cannot be written; an old one is left as it was.

    """
    try:
        temporary, file = _open_temporary(path.parent, None if isinstance(content, bytes) else encoding)
        try:
            with file:
                file.writelines([content] if isinstance(content, str | bytes) else content)
                file.flush()
                if survives_power_cut:
                    os.fsync(file.fileno())  # else a power cut could leave an empty file under the new name
                if os.name == "nt":
                    file.close()  # Windows renames no file that is open
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise WriteFailed(f"{path} cannot be written: {error.strerror}; the journal is complete") from error


def write_each(paths: Iterable[Path], write: Callable[[Path], None]) -> None:
    """Write outputs, each whether or not another one fails.

    Raises:
        WriteFailed: some outputs failed; the message has each of them and the reason.
            Exception: one failed by an unexpected error, which is raised with that message as a note.

    """
    failures: list[tuple[Path, Exception]] = []
    for path in paths:
        try:
            write(path)
        except Exception as error:  # noqa: BLE001 -- no error, not even a bug, may prevent the other outputs
            failures.append((path, error))
    if not failures:
        return
    named = "\n".join(
        str(error) if isinstance(error, WriteFailed) else f"{path} was not written: {type(error).__name__}: {error}"
        for path, error in failures
    )
    fault = next((error for _, error in failures if not isinstance(error, CompareError)), None)
    if fault is None:
        raise WriteFailed(named)
    fault.add_note(f"{named}\nAll other outputs, and the journal, are written.")
    raise fault


def write_by_suffix(paths: Iterable[Path], render: Callable[[str], str | Iterable[str] | bytes]) -> None:
    """Write each output in the format of its suffix; `render` returns the content for a suffix in lower case.

    Raises:
        WriteFailed: as for `write_each`.

    """
    write_each(paths, lambda path: write_atomically(path, render(path.suffix.lower())))


_TEMPORARY = re.compile(r"\.compare-[0-9a-f]{16}\.tmp")


def _open_temporary(folder: Path, encoding: str | None) -> tuple[Path, IO[Any]]:
    """Open and lock a new file with a unique name in a folder, and remove those that killed processes left there."""
    sweep_temporaries(folder)
    while True:
        path = folder / f".compare-{secrets.token_hex(8)}.tmp"
        file = _open(path, encoding=encoding)
        if not _lock_temporary(file.fileno(), wait=True) or os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()  # another process removed it before it was locked


def sweep_temporaries(folder: Path) -> None:
    """Remove the temporary files of ended processes: those that are not locked."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_unlocked(Path(entry.path))


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError), path.open("rb") as file:
        if _lock_temporary(file.fileno(), wait=False):
            path.unlink()


def _lock_temporary(file: int, *, wait: bool) -> bool:
    """Lock a file until it is closed; return whether it could be locked, without waiting unless `wait` is set."""
    try:
        import fcntl  # noqa: PLC0415 -- POSIX only

        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _open(path: Path, *, encoding: str | None) -> IO[Any]:
    """Open a new file for writing: text, or bytes if `encoding` is None."""
    return path.open("xb") if encoding is None else path.open("x", encoding=encoding, newline="")

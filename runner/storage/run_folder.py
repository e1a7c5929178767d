"""A run's folder and the names of its files: claimed before the run, and checked against the outputs."""

import os
import secrets
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from runner.errors import CompareError, JournalError
from runner.storage.atomic_write import sweep_temporaries
from runner.storage.journal import JOURNAL_FILE, Journal, JournalWriter
from runner.storage.journal.writer import lock
from runner.storage.recordings.reader import RECORDINGS_FILE

RESULTS = Path("results")
LATEST = "latest"

SNAPSHOT = ".snapshot"
"""The suffix of a snapshot's folder."""

TABLE = "results.csv"
SUMMARY_PAGE = "results.md"
REPORT = "report.html"
DEFAULT_OUTPUTS = (TABLE, SUMMARY_PAGE, REPORT)
"""Files that every run has in its folder beside the journal."""

DIFFERENCE_FILES = ("difference.md", "difference.json")
"""The comparison that a run's gate made."""

SUMMARY_FILE = "summary.json"
"""The figures of a run, derived from its journal: see `stored_summary.py`."""

THUMBNAILS_FILE = "thumbnails.json"
"""Small pictures of the images that a run sent: see `attachment_files.py`."""

RUN_FILES = (*DEFAULT_OUTPUTS, *DIFFERENCE_FILES, RECORDINGS_FILE, SUMMARY_FILE, THUMBNAILS_FILE)
"""Files that a run may write beside its journal."""

TIMINGS_FILE = "timings.json"
"""The figures of a run in a snapshot, to read."""

FILES_OF_A_RUN = frozenset({*RUN_FILES, TIMINGS_FILE})
"""Files that a run, or a snapshot, has beside its journal."""


def new_run_id(suite: str, started: datetime) -> str:
    """Return a run id that sorts by time, contains the suite's name, and is unique."""
    safe = "".join(c if c.isalnum() else "-" for c in suite).strip("-")[:40] or "run"
    return f"{started:%Y%m%dT%H%M%S}-{safe}-{secrets.token_hex(2)}"


def name_of(folder: Path) -> str:
    """Return a folder's name as text, for a run's id; a byte that is not UTF-8 becomes U+FFFD."""
    return os.fsencode(folder.name).decode("utf-8", "replace")


def refuse_used_folder(folder: Path) -> None:
    """Refuse a folder for a new run.

    Raises:
        JournalError: the folder has a run already, or files that a run would replace, or cannot be a folder.

    """
    try:
        if folder.exists() and not folder.is_dir():
            raise JournalError(f"{folder} is a file, not a folder; choose another with -o")
        if _holds_run(folder / JOURNAL_FILE):
            raise JournalError(
                f"{folder} holds a run already; choose another folder with -o, or resume that run: "
                f"compare run SUITE --resume {folder}"
            )
        if foreign := [name for name in RUN_FILES if os.path.lexists(folder / name) and not (folder / name).is_dir()]:
            raise JournalError(
                f"{folder} holds no run, but {', '.join(foreign)}, which a run there would replace; "
                "choose another folder with -o, or move what is there"
            )
    except OSError as error:
        raise JournalError(f"{folder} cannot be used: {error.strerror}; choose another folder with -o") from error


def _holds_run(journal: Path) -> bool:
    """Return whether a journal has a complete line; a run killed at its very beginning leaves none."""
    if not journal.exists():
        return False
    with journal.open("rb") as file:
        return file.readline().endswith(b"\n")


class FolderClaim:
    """A run's folder that no other run can use before this one has written its tables.

    The folder itself is locked, where that is possible; a killed process releases its lock. A claim that is dropped or
    released removes the folders that it created, if they are still empty.
    """

    def __init__(self, folder: Path, resumed: Journal | None, created: Iterable[Path], file: int | None) -> None:
        self._folder = folder
        self._resumed = resumed
        self.release = weakref.finalize(self, _release, file, tuple(created))
        """Release the folder for other runs; a second call has no effect."""

    def open(self, redact: Callable[[str], str] = str) -> JournalWriter:
        """Return the writer of the run's journal, which passes each line through `redact`.

        Raises:
            JournalError: another run has been in the folder since it was claimed, as can happen where it has no lock.

        """
        writer = JournalWriter(self._folder, redact)
        if not (writer.is_empty if self._resumed is None else writer.found_size == self._resumed.size):
            writer.close()
            raise _has_changed(writer.path)
        return writer


def _has_changed(journal: Path) -> JournalError:
    return JournalError(f"{journal} has changed since it was read: another run went on with it. Try again")


def claim_folder(folder: Path, resumed: Journal | None = None) -> FolderClaim:
    """Claim a folder for a new run, or for the run of a journal that is resumed.

    Raises:
        JournalError: another run has it or has been in it, or it cannot be a folder.

    """
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    claim = FolderClaim(folder, resumed, created, _lock_folder(folder))
    try:
        sweep_temporaries(folder)
        if resumed is None:
            refuse_used_folder(folder)
        else:
            _refuse_changed_run(resumed)
    except BaseException:
        claim.release()  # not by the finalizer: a notebook keeps the traceback, and with it the claim
        raise
    return claim


def _refuse_changed_run(resumed: Journal) -> None:
    if resumed.path.stat().st_size != resumed.size:
        raise _has_changed(resumed.path)


def _lock_folder(folder: Path) -> int | None:
    """Create a folder, and return it open and locked; None on Windows, which opens no folders."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not hasattr(os, "O_DIRECTORY"):
            return None
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            lock(file, folder)
        except JournalError:
            os.close(file)
            raise
        if folder.exists() and os.path.samestat(folder.stat(), os.fstat(file)):
            return file
        os.close(file)
    except OSError as error:
        raise JournalError(f"{folder} cannot be used: {error.strerror}; choose another folder with -o") from error
    return _lock_folder(folder)  # its last user removed it in the meantime


def _release(file: int | None, created: Iterable[Path]) -> None:
    with suppress(OSError):
        for folder in created:
            folder.rmdir()  # not empty if anything was written
    if file is not None:
        os.close(file)


def refuse_links_in_snapshot(folder: Path) -> None:
    """Raise CompareError if a snapshot's folder is outside its suite's folder, or holds a symbolic link.

    A snapshot comes with a suite, which may be untrusted: the file behind a link would be shown, or overwritten.
    """
    links = [Path(place, name) for place, folders, files in os.walk(folder) for name in (*folders, *files)]
    found = next((path for path in links if path.is_symlink()), None)
    if found is not None:
        raise CompareError(f"{found} is a link; a snapshot holds folders and files alone. Remove it")
    if not folder.resolve().is_relative_to(folder.parent.resolve()):
        raise CompareError(f"{folder} is a link that leads out of the suite's folder. Remove it")


def _spell_output(path: Path) -> str:
    return f"-o {path}"


def check_outputs(
    paths: Iterable[Path],
    suffixes: Iterable[str],
    own: Path | None = None,
    reads: Iterable[Path] = (),
    spell: Callable[[Path], str] = _spell_output,
) -> None:
    """Check that all outputs can be written at the end of the run, and replace no file that is still needed.

    Args:
        paths: the outputs.
        suffixes: the suffixes of the known formats.
        own: the run's own folder, which need not exist yet.
        reads: files that the command reads; those of a run's folder need not be among them.
        spell: returns an output as the user writes it.

    Raises:
        CompareError: names every output that could not be written, and why.

    """
    known, read = tuple(suffixes), tuple(reads)
    problems = [
        f"{spell(path)}: {problem}"
        for path in paths
        if (problem := _overwritten(path, own, read) or _output_problem(path, known, own))
    ]
    if problems:
        raise CompareError("\n".join(problems))


def check_output(path: Path) -> None:
    """Check that an output replaces no file of a run.

    Raises:
        CompareError: the output would replace such a file.

    """
    if problem := _overwritten(path, None, ()):
        raise CompareError(f"{_spell_output(path)}: {problem}")


def _overwritten(path: Path, own: Path | None, reads: Iterable[Path]) -> str | None:
    """Return an error's message if an output would replace a needed file; None if it would not."""
    try:
        places = {path.absolute(), path.resolve()}
        if any(path.exists() and each.exists() and path.samefile(each) for each in reads):
            return "this command reads that file, and would replace it. Name another."
        for place in places:
            name, folder = place.name.lower(), place.parent
            is_own = own is not None and folder.resolve() == own.resolve()
            if name == JOURNAL_FILE or (is_own and name == RECORDINGS_FILE):
                return f"{name} is where a run keeps what it observed. Name another file."
            if name in FILES_OF_A_RUN and not is_own and (folder / JOURNAL_FILE).exists():
                return f"this file belongs to the run in {folder}. Name another."
    except (OSError, RuntimeError):
        return None  # `_output_problem` describes it
    return None


def _output_problem(path: Path, suffixes: tuple[str, ...], own: Path | None) -> str | None:
    if path.suffix.lower() not in suffixes:
        fault = f"no output is called {path.suffix}" if path.suffix else "it has no suffix, which determines the format"
        return f"{fault}. Known: {', '.join(suffixes)}."
    folder = path.absolute().parent
    if own is not None and folder == own.absolute():
        return None
    try:
        if path.is_dir():
            return "this is a folder. Name a file, or leave the suffix out."
        if not folder.is_dir():
            return f"there is no folder {folder}. Create it first."
    except OSError as error:
        return f"{error.strerror}."
    return None if os.access(folder, os.W_OK) else f"{folder} is not writable."


def name_latest(folder: Path) -> None:
    """Point `latest` beside a run's folder to it: by a symbolic link, or by a file with its name if there are no links.

    If it cannot be written, or the user has a folder of that name, nothing happens.
    """
    temporary = folder.parent / f".{LATEST}-{secrets.token_hex(4)}"
    with suppress(OSError):
        try:
            _link_or_write(temporary, folder.name)
            _sweep_old_links(temporary)
            temporary.replace(folder.parent / LATEST)
        finally:
            temporary.unlink(missing_ok=True)


def shown_folder(folder: Path) -> Path:
    """Return `latest` beside a run's folder if that leads to it, else the folder: the shorter name to show."""
    latest = folder.parent / LATEST
    with suppress(OSError):
        if latest.samefile(folder):
            return latest
    return folder


def _sweep_old_links(newest: Path) -> None:
    """Remove temporary links that processes killed while naming the latest run left, if a minute old or older."""
    oldest_s = newest.lstat().st_mtime - 60
    for path in newest.parent.glob(f".{LATEST}-????????"):
        with suppress(OSError):  # another run may have removed it, or it belongs to another user
            if path.lstat().st_mtime < oldest_s:
                path.unlink()


def _link_or_write(path: Path, name: str) -> None:
    try:
        path.symlink_to(name, target_is_directory=True)
    except OSError:
        path.write_text(f"{name}\n", encoding="utf-8")

"""Find a run by name: a folder, an id in results/ or the beginning of one, `latest`, `latest~1`, `previous`."""

import os
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from runner.errors import JournalError, counted, did_you_mean, list_first
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import LATEST, RESULTS

PREVIOUS = "previous"
"""Another name of `latest~1`."""

_EARLIER = re.compile(rf"{LATEST}~(?P<number>[0-9]{{1,9}})")
_STARTED_AT = re.compile(rb'"started_at": ?"(?P<at>[0-9T:.+-]{19,40})"')
HEADER_BYTES_READ = 1 << 16
"""Bytes of a journal's first line that are read to find the run's start time, which is near its beginning."""

_STARTED = re.compile(r"[0-9]{8}T[0-9]{6}(?=-)")


def find_run(name: Path) -> Path:
    """Return a run's folder.

    Args:
        name: the folder; its journal; the run's id in results/, or a beginning that no other id has; `latest`;
            `latest~2` for the second run before that; `previous` for `latest~1`.

    Raises:
        JournalError: there is no such run, the name fits several, or the folder cannot be read.

    """
    try:
        for path in (name, RESULTS / name):
            folder = path.parent if path.name == JOURNAL_FILE else _target_of_latest(path)
            if (folder / JOURNAL_FILE).is_file():
                return folder
        if not os.path.lexists(name) and not os.path.lexists(RESULTS / name):
            return _find_in_results(str(name))
    except OSError as error:
        raise JournalError(f"{name} cannot be read: {error.strerror}; name a run's folder") from error
    raise JournalError(f"{name} holds no {JOURNAL_FILE}; {_HINT}")


_HINT = "name a run's folder, as `compare run` prints it when it is done"


def _find_in_results(typed: str) -> Path:
    """Return the run that `latest`, `latest~N` or the beginning of an id names, also with `results/` before it."""
    name = typed.removeprefix(f"{RESULTS}{os.sep}")
    earlier = _EARLIER.fullmatch("latest~1" if name == PREVIOUS else name)
    if earlier is not None:
        return _find_earlier(name, int(earlier["number"]))
    if name == LATEST:
        raise JournalError(f"there is no {RESULTS / LATEST} here; name a run's folder")
    if name.startswith(f"{LATEST}~"):
        raise JournalError(
            f"{name} names no run: a number must follow ~, such as {LATEST}~2 for two runs before the latest"
        )
    fitting = [folder for folder in folders_of_runs() if name and folder.name.startswith(name)]
    if not fitting:
        known = (LATEST, PREVIOUS, *(folder.name for folder in folders_of_runs()))
        raise JournalError(f"there is no {typed}. {did_you_mean(name, known, _HINT[:1].upper() + _HINT[1:])}")
    if len(fitting) > 1:
        shown = list_first([folder.name for folder in fitting])
        raise JournalError(f"{name} is the beginning of {len(fitting):,} runs: {shown}; write more of the id")
    return fitting[0]


def _find_earlier(name: str, number: int) -> Path:
    latest = _target_of_latest(RESULTS / LATEST)
    if not (latest / JOURNAL_FILE).is_file():
        raise JournalError(f"there is no {RESULTS / LATEST} here, which {name} counts from; name a run's folder")
    known_runs = folders_of_runs()
    if latest in known_runs:
        runs = known_runs[known_runs.index(latest) :]
    else:
        runs = [latest, *(folder for folder in known_runs if _started(folder) <= _started(latest))]
    if number >= len(runs):
        known = "no run" if len(runs) == 1 else counted(len(runs) - 1, "run")
        raise JournalError(f"there is no {name}: {RESULTS} holds {known} before the latest; `compare runs` lists them")
    return runs[number]


def folders_of_runs(parent: Path = RESULTS) -> list[Path]:
    """Return the folders of the runs in a folder, the newest first; empty if there are none.

    Raises:
        OSError: the folder cannot be read.

    """
    if not parent.is_dir():
        return []
    runs = {
        path: _started(path) for path in parent.iterdir() if path.name != LATEST and (path / JOURNAL_FILE).is_file()
    }
    at_once = {second for second, count in Counter(runs.values()).items() if count > 1}
    # An id has a resolution of one second; a journal is opened only if the order is still open.
    order = {
        path: (second, _started_in_utc(path) if second in at_once else "", path.name) for path, second in runs.items()
    }
    return sorted(runs, key=order.__getitem__, reverse=True)


def list_runs() -> list[str]:
    """Return `latest` and the ids of the runs in results/, the newest first; empty if there are none."""
    runs = [folder.name for folder in folders_of_runs()]
    return [*([LATEST] if runs else []), *runs]


def _started(folder: Path) -> str:
    """Return the start time of a run, to the second: from its id, or its journal if the folder has another name."""
    found = _STARTED.match(folder.name)
    if found is not None:
        return found[0]
    # The journal is written until the run ends; its folder is made when it begins, but touched by every output.
    return f"{datetime.fromtimestamp((folder / JOURNAL_FILE).stat().st_mtime):%Y%m%dT%H%M%S}"  # noqa: DTZ006 -- as in ids


def _started_in_utc(folder: Path) -> str:
    """Return the start time of a run in UTC, to the millisecond, from its journal; empty if it is not there."""
    with (folder / JOURNAL_FILE).open("rb") as file:
        found = _STARTED_AT.search(file.readline(HEADER_BYTES_READ))
    try:
        return "" if found is None else datetime.fromisoformat(found["at"].decode()).astimezone(UTC).isoformat()
    except ValueError:
        return ""


def _target_of_latest(path: Path) -> Path:
    """Return the folder that `latest` names now, since the next run changes it."""
    if path.name != LATEST:
        return path
    if path.is_symlink():
        return path.parent / path.readlink()
    return path.parent / path.read_text(encoding="utf-8").strip() if path.is_file() else path

"""The figures of a run in `summary.json` beside its journal, so that thousands of runs can be listed at once.

The file is derived: it is written when runs are first listed, again when its journal or the version has changed, and
can be deleted. Durations are in seconds.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from runner.storage.atomic_write import write_atomically
from runner.storage.journal import FILE_NAME
from runner.storage.run_folder import SUMMARY_FILE

_BEGINNING = b'{"kind":"run_summary",'
"""How a file of ours begins. A file that somebody else put there is left alone."""


@dataclass(frozen=True, slots=True)
class StoredFigure:
    """A figure of `n` requests or repeats, with its 95 % interval where the sample is large enough for one."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """One target of a run, of each place if it was sent from several."""

    target: str
    settings: Mapping[str, Any]
    """The parameters that its variant sets: variants of one name may differ from run to run."""
    n: int
    failed: int
    questions: int
    """Cases and turns with a timed request, of a closed loop one of its steady state if it has one: levels over
    fewer questions are no longer the same level."""
    passed: int
    """Repeats of cases that passed their checks, of `checked`."""
    checked: int
    checked_cases: int
    """The cases of those repeats."""
    undecided: int
    """Repeats of which the checks decide nothing."""
    pass_rate: StoredFigure | None
    """The share of `checked` that passed, with its interval; None where nothing was decided."""
    costs: Mapping[str, str]
    """Currency -> the known costs, an exact decimal number."""
    cost_n: int
    """Requests whose cost is known, of `sent`."""
    sent: int
    medians: Mapping[str, StoredFigure]
    """Column -> its median; columns that no request has are left out."""
    levels: Mapping[str, float]
    """Measure -> its geometric mean over the questions: what runs are compared by. See `diff_measures.py`."""
    answered_by: Mapping[str, Mapping[str, int]]
    """Column (`response_model`, ...) -> value -> the number of requests that were answered so."""


@dataclass(frozen=True, slots=True)
class StoredJudge:
    """The requests to a model that judged a run, by rubrics or in pairs."""

    target: str
    costs: Mapping[str, str]
    """Currency -> the known costs, an exact decimal number."""
    cost_n: int
    """Requests whose cost is known, of `sent`."""
    sent: int


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """The figures of a run, and how it was made, as they are stored."""

    version: str
    """The version that derived it: definitions may be others in another one."""
    journal_size: int
    journal_mtime_ns: int
    run_id: str
    started_at: str
    """ISO 8601, with the offset from UTC."""
    suite: str
    digest: str
    """That of the whole suite file."""
    case_patterns: tuple[str, ...]
    """Those that chose its cases; empty for all of them."""
    simulated: bool
    ended: bool
    stop_reason: str | None
    planned_requests: int | None
    replay_of: str | None
    platform: str | None
    clock: str | None
    """Who timestamped: the kernel or this process."""
    clock_error_s: float | None
    """The 99th percentile of this machine's error of a TTFT, when it was calibrated."""
    client_versions: Mapping[str, str]
    """Library -> the version that measured the run."""
    order: str
    concurrency: int | None
    load: Mapping[str, Any]
    """The load profile, without the values at their defaults."""
    targets: tuple[StoredTarget, ...]
    judges: tuple[StoredJudge, ...] = ()
    kind: Literal["run_summary"] = "run_summary"

    @property
    def n(self) -> int:
        """The requests that count, of all targets."""
        return sum(each.n for each in self.targets)

    @property
    def failed(self) -> int:
        """The requests that a target failed."""
        return sum(each.failed for each in self.targets)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run's folder and summary."""

    folder: Path
    summary: StoredSummary

    @property
    def started_at(self) -> datetime:
        """When the run began, with the offset from UTC."""
        return datetime.fromisoformat(self.summary.started_at).astimezone()


def to_plain(summary: StoredSummary) -> dict[str, Any]:
    """Return a summary as plain data, as its file has it."""
    plain: dict[str, Any] = msgspec.to_builtins(summary)
    return {"kind": plain.pop("kind"), **plain}


def read_summary(folder: Path, version: str) -> StoredSummary | None:
    """Return a run's stored summary; None if there is none that this version made of the journal as it is now."""
    try:
        found = _DECODER.decode((folder / SUMMARY_FILE).read_bytes())
        journal = (folder / FILE_NAME).stat()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    made_of = (found.version, found.journal_size, found.journal_mtime_ns)
    return found if made_of == (version, journal.st_size, journal.st_mtime_ns) else None


_DECODER = msgspec.json.Decoder(StoredSummary)


def write_summary(folder: Path, summary: StoredSummary) -> None:
    """Write a run's summary beside its journal, unless a file of somebody else has its name.

    A power cut may leave an empty file, which is as good as none: nothing is lost that is not in the journal.

    Raises:
        WriteFailed: it cannot be written.

    """
    path = folder / SUMMARY_FILE
    with suppress(OSError), path.open("rb") as file:
        beginning = file.read(len(_BEGINNING))
        if beginning.strip(b"\0") and beginning != _BEGINNING:
            return
    with suppress(UnicodeEncodeError):  # a name with a lone surrogate: the journal is read each time
        write_atomically(path, msgspec.json.encode(to_plain(summary)), survives_power_cut=False)

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
from runner.storage.journal import JOURNAL_FILE
from runner.storage.run_folder import SUMMARY_FILE

_BEGINNING = b'{"kind":"run_summary",'
"""First bytes of a summary file. A file of that name with other content is left alone."""


@dataclass(frozen=True, slots=True)
class StoredFigure:
    """A figure of `n` requests or repeats, with its 95 % interval if the sample is large enough for one."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """One target of a run; if its requests were sent from several places, one target at one place."""

    target: str
    settings: Mapping[str, Any]
    """Parameters that its variant sets; variants of one name may differ from run to run."""
    n: int
    failed: int
    questions: int
    """Number of cases and turns with a timed request; in a closed loop, with one in its steady state, if it has one.
    Levels over fewer questions are not comparable."""
    passed: int
    """Number of repeats of cases that passed their checks, out of `checked`."""
    checked: int
    checked_cases: int
    """Number of cases of those repeats."""
    undecided: int
    """Number of repeats whose checks decided nothing."""
    pass_rate: StoredFigure | None
    """Share of `checked` that passed, with its interval; None if nothing was decided."""
    costs: Mapping[str, str]
    """Currency -> the known costs, an exact decimal number."""
    cost_n: int
    """Requests whose cost is known, of `sent`."""
    sent: int
    medians: Mapping[str, StoredFigure]
    """Column -> its median; columns that no request has are left out."""
    levels: Mapping[str, float]
    """Measure -> its geometric mean over the questions, used to compare runs. See `diff_measures.py`."""
    answered_by: Mapping[str, Mapping[str, int]]
    """Column (`response_model`, ...) -> value -> number of requests whose response has this value."""


@dataclass(frozen=True, slots=True)
class StoredJudge:
    """The requests to a model that judged a run, by rubrics or in pairs."""

    target: str
    costs: Mapping[str, str]
    """Currency -> the known costs, an exact decimal number."""
    cost_n: int
    """Requests whose cost is known, of `sent`."""
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSummary:
    """The figures of a run, and how it was made, as they are stored."""

    kind: Literal["run_summary"] = "run_summary"
    version: str
    """Version that derived the summary; definitions may differ in another version."""
    journal_size: int
    journal_mtime_ns: int
    run_id: str
    started_at: str
    """ISO 8601, with the offset from UTC."""
    suite: str
    digest: str
    """Digest of the whole suite file."""
    case_patterns: tuple[str, ...]
    """Globs that selected the run's cases; empty for all cases."""
    simulated: bool
    ended: bool
    stop_reason: str | None
    planned_requests: int | None
    replay_of: str | None
    platform: str | None
    clock: str | None
    """Source of the timestamps: the kernel or this process."""
    clock_error_s: float | None
    """The 99th percentile of this machine's error of a TTFT, when it was calibrated."""
    client_versions: Mapping[str, str]
    """Library -> its version when the run was measured."""
    order: str
    concurrency: int | None
    load: Mapping[str, Any]
    """The load profile, without the values at their defaults."""
    targets: tuple[StoredTarget, ...]
    judges: tuple[StoredJudge, ...] = ()

    @property
    def n(self) -> int:
        """Number of requests to all targets that count."""
        return sum(each.n for each in self.targets)

    @property
    def failed(self) -> int:
        """Number of requests that failed at a target."""
        return sum(each.failed for each in self.targets)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run's folder and summary."""

    folder: Path
    summary: StoredSummary

    @property
    def started_at(self) -> datetime:
        """Start time of the run, with the offset from UTC."""
        return datetime.fromisoformat(self.summary.started_at).astimezone()


def to_plain(summary: StoredSummary) -> dict[str, Any]:
    """Return a summary as plain data, as its file has it."""
    plain: dict[str, Any] = msgspec.to_builtins(summary)
    return plain


def read_summary(folder: Path, version: str) -> StoredSummary | None:
    """Return a run's stored summary; None if there is none that this version made of the journal as it is now."""
    try:
        found = _DECODER.decode((folder / SUMMARY_FILE).read_bytes())
        journal = (folder / JOURNAL_FILE).stat()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    made_of = (found.version, found.journal_size, found.journal_mtime_ns)
    return found if made_of == (version, journal.st_size, journal.st_mtime_ns) else None


_DECODER = msgspec.json.Decoder(StoredSummary)


def write_summary(folder: Path, summary: StoredSummary) -> None:
    """Write a run's summary beside its journal, unless a foreign file has its name.

    A power cut may leave an empty file, which is treated as none: the journal has all of its data.

    Raises:
        WriteFailed: it cannot be written.

    """
    path = folder / SUMMARY_FILE
    with suppress(OSError), path.open("rb") as file:
        beginning = file.read(len(_BEGINNING))
        if beginning.strip(b"\0") and beginning != _BEGINNING:
            return
    with suppress(UnicodeEncodeError):  # a name with a lone surrogate: the journal is read each time
        write_atomically(path, msgspec.json.encode(summary), survives_power_cut=False)

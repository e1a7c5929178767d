"""Recompute a recorded run's metrics from its raw bytes, as a new run; what was not recorded is copied."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.analysis.run_results import Run
from runner.commands.run.perform import DEFAULT_OUTPUTS
from runner.core.record import Record
from runner.engine.in_flight import describe_failure, with_response
from runner.errors import CompareError
from runner.outputs import find_writer
from runner.providers.redaction import Redactor
from runner.storage.journal import Journal, JournalWriter, decode_record, encode_record, read
from runner.storage.recordings.reader import RecordingEntry, Recordings, read_recordings
from runner.storage.run_folder import find_run, refuse_used_folder, write_atomically
from runner.version import __version__
from runner.wire.response_decoder import decode_recording


@dataclass(slots=True)
class RederivedRun:
    """The new run, and how many lines of its journal differ from the recorded run's."""

    folder: Path
    unchanged: int = 0
    """Records and failed attempts that are as they were."""
    changed: int = 0
    """Records and failed attempts of which a member is different."""
    changed_members: Counter[str] = field(default_factory=Counter)
    """Member of a line -> in how many lines it is different."""
    unrecorded: int = 0
    """Records and failed attempts that were copied, since their bytes were not recorded."""


def rederive(run: Path, output: Path | None = None) -> RederivedRun:
    """Write a new journal from a run's recordings, with its tables, into a folder that holds no run yet.

    Args:
        run: its folder, or `latest`.
        output: the new folder; None for one beside the run, under its name and `-rederived`.

    Raises:
        CompareError: there is no such run, nothing of it was recorded, or the folder cannot be used.

    """
    found = find_run(run)
    folder = output or found.absolute().with_name(f"{found.absolute().name}-rederived")
    if output is not None and output.suffix:
        raise CompareError(f"-o {folder} names a file. Name a folder: what is recomputed is a run of its own.")
    journal, recordings = read(found), read_recordings(found)
    refuse_used_folder(folder)
    rederived = RederivedRun(folder)
    with JournalWriter(folder) as writer:
        for line in _rederive_lines(journal, recordings, rederived):
            writer.append(line)
    new_run = Run.of_journal(read(folder))
    for name in DEFAULT_OUTPUTS:
        write_atomically(folder / name, find_writer(Path(name).suffix)(new_run))
    return rederived


def _rederive_lines(
    journal: Journal, recordings: Recordings, rederived: RederivedRun
) -> Iterator[Mapping[str, object]]:
    """Yield the lines of the new journal, and count those that differ."""
    attempts = _RecordedAttempts(recordings)
    for line in journal.lines():
        match line["kind"]:
            case "header":
                versions = {**line.get("versions", {}), "compare": __version__}
                yield {**line, "run_id": rederived.folder.name, "versions": versions}
            case "record":
                yield _count(line, attempts.rederive_record(line), rederived)
            case "attempt":
                yield _count(line, attempts.rederive_failure(line), rederived)
            case _:
                yield line


def _count(
    line: Mapping[str, object], new_line: Mapping[str, object] | None, rederived: RederivedRun
) -> Mapping[str, object]:
    """Return the new line, or the old one where there is none; count how they compare."""
    if new_line is None:
        rederived.unrecorded += 1
        return line
    stored = json.loads(json.dumps(new_line))  # as the journal will hold it, lists for tuples
    changed = {name for name in {*line, *stored} if line.get(name) != stored.get(name)}
    rederived.changed_members.update(changed)
    rederived.changed += bool(changed)
    rederived.unchanged += not changed
    return new_line


class _RecordedAttempts:
    """Finds the recording of an attempt, and decodes it again."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._by_attempt: dict[tuple[str, int], list[RecordingEntry]] = {}
        for entry in recordings.entries:
            if not entry.label.withheld:
                self._by_attempt.setdefault((entry.label.key, entry.label.attempt), []).append(entry)

    def rederive_record(self, line: Mapping[str, Any]) -> Mapping[str, object] | None:
        """Return a record's line, recomputed; None if its last attempt was not recorded."""
        record = decode_record(line)
        sent_ns = record.timestamps.sent
        for entry in self._by_attempt.get((record.identity.key, record.attempts), ()):
            label = entry.label
            # A request that was repeated in a resumed run has several last attempts.
            if sent_ns == (None if label.sent_ns is None else label.sent_ns - label.epoch_ns):
                return encode_record(self._decode(record, entry))
        return None

    def _decode(self, record: Record, entry: RecordingEntry) -> Record:
        label = entry.label
        fold = decode_recording(label, self._recordings.reads(entry))
        return with_response(record, fold, label.flags, Redactor(), sent_ns=label.sent_ns, epoch_ns=label.epoch_ns)

    def rederive_failure(self, line: Mapping[str, Any]) -> Mapping[str, object] | None:
        """Return the line of an attempt that failed and was retried, recomputed; None if it was not recorded."""
        for entry in reversed(self._by_attempt.get((line["key"], line["attempt"]), ())):
            label = entry.label
            if label.sent_ns is not None and label.sent_ns - label.epoch_ns > line["at_ns"]:
                continue
            failed = decode_recording(label, self._recordings.reads(entry)).failed
            return line if failed is None else {**line, **describe_failure(failed, label.epoch_ns, Redactor())}
        return None

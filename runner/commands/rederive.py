"""A recorded run told anew, by the definitions of today: its bytes are heard again, into a journal of its own.

Nothing in the run itself is changed. What was not recorded is taken over as it was.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.analysis.run import Run
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

TABLES = ("results.csv", "results.md", "report.html")


@dataclass(slots=True)
class Rederived:
    """What came of it."""

    folder: Path
    same: int = 0
    """Records and failed attempts that are told as they were."""
    changed: Counter[str] = field(default_factory=Counter)
    """Member of a line -> in how many lines it is another now."""
    told_anew: int = 0
    """Records and failed attempts of which something is another now."""
    unrecorded: int = 0
    """Those that were taken over, since their bytes are not there."""


def rederive(run: Path, output: Path | None = None) -> Rederived:
    """Write a run's journal anew from its recordings, with its tables, into a folder that holds no run yet.

    Args:
        run: its folder, or `latest`.
        output: where to; else beside the run, under its name and `-rederived`.

    Raises:
        CompareError: there is no such run, nothing of it was recorded, or the folder cannot be used.

    """
    found = find_run(run)
    folder = output or found.absolute().with_name(f"{found.absolute().name}-rederived")
    if output is not None and output.suffix:
        raise CompareError(f"-o {folder} names a file. Name a folder: what is told anew is a run of its own.")
    journal, recordings = read(found), read_recordings(found)
    refuse_used_folder(folder)
    done = Rederived(folder)
    with JournalWriter(folder) as writer:
        for line in _tell_anew(journal, recordings, done):
            writer.append(line)
    told = Run.of_journal(read(folder))
    for name in TABLES:
        write_atomically(folder / name, find_writer(Path(name).suffix)(told))
    return done


def _tell_anew(journal: Journal, recordings: Recordings, done: Rederived) -> Iterator[Mapping[str, object]]:
    """Yield the lines of the new journal, counting what is different in them."""
    takes = _Takes(recordings)
    for line in journal.lines():
        match line["kind"]:
            case "header":
                versions = {**line.get("versions", {}), "compare": __version__}
                yield {**line, "run_id": done.folder.name, "versions": versions}
            case "record":
                yield _count(line, takes.tell_record(line), done)
            case "attempt":
                yield _count(line, takes.tell_attempt(line), done)
            case _:
                yield line


def _count(line: Mapping[str, object], told: Mapping[str, object] | None, done: Rederived) -> Mapping[str, object]:
    if told is None:
        done.unrecorded += 1
        return line
    written = json.loads(json.dumps(told))  # as the journal will hold it, lists for tuples
    changed = {name for name in {*line, *written} if line.get(name) != written.get(name)}
    done.changed.update(changed)
    done.told_anew += bool(changed)
    done.same += not changed
    return told


class _Takes:
    """Finds the recording of an attempt, and tells what it holds."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._of: dict[tuple[str, int], list[RecordingEntry]] = {}
        for entry in recordings.entries:
            if not entry.label.withheld:
                self._of.setdefault((entry.label.key, entry.label.attempt), []).append(entry)

    def tell_record(self, line: Mapping[str, Any]) -> Mapping[str, object] | None:
        """Return a record's line, heard anew; None if its last attempt was not recorded."""
        record = decode_record(line)
        sent_ns = record.timestamps.sent
        for entry in self._of.get((record.identity.key, record.attempts), ()):
            label = entry.label
            # A request that was asked anew in a resumed run has several last attempts.
            if sent_ns == (None if label.sent_ns is None else label.sent_ns - label.epoch_ns):
                return encode_record(self._hear(record, entry))
        return None

    def _hear(self, record: Record, entry: RecordingEntry) -> Record:
        label = entry.label
        fold = decode_recording(label, self._recordings.reads(entry))
        return with_response(record, fold, label.flags, Redactor(), sent_ns=label.sent_ns, epoch_ns=label.epoch_ns)

    def tell_attempt(self, line: Mapping[str, Any]) -> Mapping[str, object] | None:
        """Return the line of an attempt that failed and was repeated, heard anew; None if it was not recorded."""
        for entry in reversed(self._of.get((line["key"], line["attempt"]), ())):
            label = entry.label
            if label.sent_ns is not None and label.sent_ns - label.epoch_ns > line["at_ns"]:
                continue
            failed = decode_recording(label, self._recordings.reads(entry)).failed
            return line if failed is None else {**line, **describe_failure(failed, label.epoch_ns, Redactor())}
        return None

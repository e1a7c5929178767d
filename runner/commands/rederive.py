"""Recompute a recorded run's metrics from its raw bytes, or copy the intact lines of a damaged run, into a new run."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.analysis.damaged_journal_header import without_damage
from runner.analysis.run_results import Run
from runner.commands.load_stored_run import find_journal
from runner.commands.run.options import is_folder
from runner.core.events import Failed
from runner.core.record import Record
from runner.engine.make_record import describe_failure, with_response
from runner.errors import CompareError
from runner.outputs import find_writer
from runner.providers.redaction import Redactor
from runner.storage.atomic_write import write_by_suffix
from runner.storage.find_run import find_run
from runner.storage.journal import Journal, decode_record, encode_record, read
from runner.storage.journal.header import encode_header
from runner.storage.recordings.reader import RecordingEntry, Recordings, find_sound_end, read_recordings
from runner.storage.recordings.writer import copy_recordings
from runner.storage.run_folder import DEFAULT_OUTPUTS, FolderClaim, claim_folder, name_of
from runner.version import __version__
from runner.wire.decoders.answered_by_fields import OTHER_ROUTE
from runner.wire.response_recording import decode_recording


@dataclass(slots=True)
class RederivedRun:
    """The new run, and the number of journal lines that differ from the recorded run's."""

    folder: Path
    unchanged: int = 0
    """Number of records and failed attempts that are unchanged."""
    changed: int = 0
    """Number of records and failed attempts with a changed member."""
    changed_members: Counter[str] = field(default_factory=Counter)
    """Member of a line -> number of lines in which it changed."""
    unrecorded: int = 0
    """Number of records and failed attempts that were copied because their bytes were not recorded."""
    left_out: tuple[str, ...] = ()
    """Sentences on the damaged parts of the recorded run, which the new run leaves out."""


def rederive(run: Path, output: Path | None = None) -> RederivedRun:
    """Write a new journal from a run's recordings, and its tables, into a folder that holds no run.

    Args:
        run: folder of the run, or `latest`.
        output: the new folder; None for one beside the run, with `-rederived` appended to its name.

    Raises:
        CompareError: there is no such run, it has no recordings, or the folder cannot be used.

    """
    found = find_run(run)
    folder = _choose_folder(found, output, "rederived")
    journal, recordings = read(found), read_recordings(found)
    rederived = RederivedRun(folder)
    with _claimed(folder) as claim:
        _write_run(claim, folder, _rederive_lines(journal, recordings, rederived))
    lost = find_sound_end(found)[1] if recordings.is_torn else None
    rederived.left_out = tuple(filter(None, [journal.left_out, lost]))
    return rederived


def repair(run: Path, output: Path | None = None) -> RederivedRun:
    """Write the intact lines of a run's journal, and its intact recordings, into a folder that holds no run.

    Args:
        run: folder of the run, its journal under any name, or `latest`.
        output: the new folder; None for one beside the run, with `-repaired` appended to its name.

    Raises:
        CompareError: there is no such run, it cannot be read at all, or the folder cannot be used.

    """
    journal = read(find_journal(run))
    found = journal.path.parent
    folder = _choose_folder(found, output, "repaired")
    repaired = RederivedRun(folder)
    with _claimed(folder) as claim:
        _write_run(claim, folder, _copy_lines(journal, repaired))
        recordings = copy_recordings(found, folder)
    repaired.left_out = tuple(filter(None, [journal.damaged, recordings]))
    return repaired


def _choose_folder(found: Path, output: Path | None, suffix: str) -> Path:
    """Return the folder of the new run; raise CompareError if it cannot be used."""
    folder = output or found.absolute().with_name(f"{found.absolute().name}-{suffix}")
    if output is not None and not is_folder(output):
        raise CompareError(f"-o {folder} names a file. Name a folder: what is written is a run of its own.")
    return folder


@contextmanager
def _claimed(folder: Path) -> Iterator[FolderClaim]:
    """Claim a folder for the duration of a `with` block."""
    claim = claim_folder(folder)
    try:
        yield claim
    finally:
        claim.release()


def _write_run(claim: FolderClaim, folder: Path, lines: Iterator[Mapping[str, object]]) -> None:
    """Write a journal of these lines, and the run's tables."""
    with claim.open() as writer:
        for line in lines:
            writer.append(line)
    new_run = Run.of_journal(read(folder))
    write_by_suffix([folder / name for name in DEFAULT_OUTPUTS], lambda suffix: find_writer(suffix)(new_run))


def _header_line(journal: Journal, run_id: str) -> dict[str, Any]:
    """Return the header's line for a run of another name, without its damaged members."""
    sound, damage = without_damage(journal.header)
    if damage is not None:
        journal.damage.add(1, damage)
    line = next(journal.lines("header"), encode_header(sound))
    return {**line, "run_id": run_id}


def _copy_lines(journal: Journal, repaired: RederivedRun) -> Iterator[Mapping[str, object]]:
    """Yield the intact lines, with the new run's name, and count the records."""
    yield _header_line(journal, name_of(repaired.folder))
    for line in journal.lines():
        if line["kind"] != "header":
            repaired.unchanged += line["kind"] == "record"
            yield line


def _rederive_lines(
    journal: Journal, recordings: Recordings, rederived: RederivedRun
) -> Iterator[Mapping[str, object]]:
    """Yield the lines of the new journal, and count those that differ."""
    attempts = _RecordedAttempts(recordings)
    header = _header_line(journal, name_of(rederived.folder))
    yield {**header, "versions": {**header.get("versions", {}), "compare": __version__}}
    for line in journal.lines():
        match line["kind"]:
            case "header":
                pass
            case "record":
                yield _count(line, attempts.rederive_record(line), rederived)
            case "attempt":
                yield _count(line, attempts.rederive_failure(line), rederived)
            case _:
                yield line


def _count(
    line: Mapping[str, object], new_line: Mapping[str, object] | None, rederived: RederivedRun
) -> Mapping[str, object]:
    """Return the new line, or the old one if there is no new one; count whether they differ."""
    if new_line is None:
        rederived.unrecorded += 1
        return line
    stored = json.loads(json.dumps(new_line))  # as stored in the journal, with lists in place of tuples
    changed = {name for name in {*line, *stored} if line.get(name) != stored.get(name)}
    rederived.changed_members.update(changed)
    rederived.changed += bool(changed)
    rederived.unchanged += not changed
    return new_line


class _RecordedAttempts:
    """The recordings of a run by attempt; recomputes records from them."""

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
            # A request that a resumed run repeated has several last attempts.
            if sent_ns == (None if label.sent_ns is None else label.sent_ns - label.epoch_ns):
                return encode_record(self._decode(record, entry))
        return None

    def _decode(self, record: Record, entry: RecordingEntry) -> Record:
        label = entry.label
        fold = decode_recording(label, self._recordings.reads(entry))
        if record.error_type == OTHER_ROUTE and fold.failed is None:  # the suite's route is not recorded
            status, message = record.http_status, record.error or ""
            fold.add(Failed(label.closed_ns or 0, record.outcome, message, OTHER_ROUTE, status))
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

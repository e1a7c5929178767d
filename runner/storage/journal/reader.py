"""Read a journal from disk, line by line: a million lines take no more memory than ten.

A damaged line is left out and noted with its number; the other lines are read as if it were not there.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from runner.core.events import TIMED
from runner.core.record import Record
from runner.core.record_fields import JudgeAnswer
from runner.errors import MAX_LISTED, JournalError, counted
from runner.storage.journal.header import FORMAT, Header, apply_changes, decode_header, header_faults, mend_header
from runner.storage.journal.line import decode_record, from_bytes, kind_of
from runner.storage.journal.line_fields import IDENTITY, LINE_TYPES
from runner.storage.journal.writer import JOURNAL_FILE


@dataclass(slots=True)
class Damage:
    """The damaged lines of a journal by number, with the reasons; complete once all records have been read.

    A missing header has the number 0.
    """

    lines: dict[int, str] = field(default_factory=dict)
    has_resume_line: bool = False
    """Whether one of them was a `resume` line, so that the records it superseded are unknown."""

    def add(self, number: int, why: str, raw: bytes = b"") -> None:
        """Note that a line is left out."""
        earlier = self.lines.get(number)
        self.lines[number] = why if earlier is None or earlier == why else f"{earlier}; {why}"
        self.has_resume_line |= kind_of(raw) == "resume"

    def __str__(self) -> str:
        """Return a sentence on the lines that are left out, with the reasons."""
        named = [
            f"{f'line {number}' if number else 'the header'} ({self.lines[number]})"
            for number in sorted(self.lines)[:MAX_LISTED]
        ]
        more = len(self.lines) - len(named)
        return "; ".join(named) + (f"; and {counted(more, 'more line')}" if more else "")


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal on disk. Each iteration reads the file again; only the keys that were requested again are in memory."""

    path: Path
    header: Header
    """The header with the changes of all `resume` lines."""
    size: int
    """Size in bytes when it was opened; a writer that finds the same size knows that nobody has written since."""
    resumed: int = 0
    """How often the run was resumed."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """Key -> the last `resume` line, from 1, that requested it again: its records before that one do not count."""
    dropped: frozenset[str] = frozenset()
    """Keys that are not in the plan of the last `resume` line."""
    read_to: int | None = None
    """The byte at which another run begins in the same file; None if there is none."""
    superseded: frozenset[int] = frozenset()
    """If a `resume` line is damaged: numbers of the lines of records that are followed by another with the same key."""
    damage: Damage = field(default_factory=Damage, compare=False)

    @property
    def records(self) -> Iterator[Record]:
        """Records in the order in which they finished, one for each planned request that has finished."""
        return self._decode_all(self._planned_lines())

    def records_at(self, places: AbstractSet[int]) -> Iterator[Record]:
        """Return the records at these places, from 0, in their order; the others are not decoded."""
        chosen = (line for place, line in enumerate(self._planned_lines()) if place in places)
        return self._decode_all(islice(chosen, len(places)))

    @property
    def kept_records(self) -> Iterator[Record]:
        """All records that count, including those that are not in the plan of the last `resume` line."""
        return self._decode_all(self._kept_lines("record"))

    def _planned_lines(self) -> Iterator[dict[str, Any]]:
        return (line for line in self._kept_lines("record") if line.get("key") not in self.dropped)

    def _decode_all(self, lines: Iterable[Mapping[str, Any]]) -> Iterator[Record]:
        custom_checks, judgements = self._custom_checks(), self._judgements()
        for line in lines:
            record = self._decode(line)
            key = record.identity.key
            if key in custom_checks or key in judgements:
                record = replace(record, custom_checks=custom_checks.get(key), judgements=judgements.get(key))
            yield record

    def _custom_checks(self) -> dict[str, dict[str, str | None]]:
        """Return the results of custom checks, of the suite and of plug-ins, by the keys of records."""
        if not self._has_checks("python", "plugin"):
            return {}
        return {line["key"]: line["said"] for line in self._kept_lines("check")}

    def _judgements(self) -> dict[str, dict[str, JudgeAnswer]]:
        """Return key of a record -> rubric -> what the judge answered last."""
        found: dict[str, dict[str, JudgeAnswer]] = {}
        if not self.has_rubrics:
            return found
        judged_by = self.judge_records
        for line in self._kept_lines("judgement"):
            if (record := judged_by.get(line["by"])) is not None:
                found.setdefault(line["key"], {})[line["rubric"]] = judge_answer(record)
        return found

    @property
    def has_rubrics(self) -> bool:
        """Whether a judge decides on replies of the run's suite."""
        return self._has_checks("rubric")

    @property
    def judge_records(self) -> dict[str, Record]:
        """The judge's requests by their keys; of one that was repeated, the last."""
        records = map(self._decode, self.lines("judge_record"))
        return {record.identity.key: record for record in records}

    @property
    def preference_lines(self) -> Iterator[dict[str, Any]]:
        """The lines of pairs whose records both still count."""
        return self._kept_lines("preference", "first", "second")

    def _has_checks(self, *names: str) -> bool:
        checks = (case.get("checks") for case in self.header.checks.values())
        return any(isinstance(each, dict) and each.keys() & {*names} for each in checks)

    def _kept_lines(self, kind: str, *keys: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of a kind whose records still count; `keys` are the members that name them, else `key`."""
        resumed = 0
        for line in self.lines(kind, "resume"):
            if line["kind"] == "resume":
                resumed += 1
            elif all(self.repeated.get(line[name], 0) <= resumed for name in keys or ("key",)):
                yield line

    def _decode(self, line: Mapping[str, Any]) -> Record:
        try:
            return decode_record(line)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{self.path}: the record {line.get('key')} is damaged: {error!r}") from error

    def lines(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """Yield the sound lines of these kinds, or all, up to the size that the journal had when it was opened."""
        found = _read_lines(self.path, self.size if self.read_to is None else self.read_to, self.damage, *kinds)
        return (line.content for line in found if line.number not in self.superseded)

    @property
    def left_out(self) -> str | None:
        """A sentence on the damaged lines and how to get a sound copy; None if none has been found so far."""
        repair = f"`compare rederive {self.path.parent} --repair` writes a sound copy"
        return None if self.damaged is None else f"{self.damaged}. {repair}"

    @property
    def damaged(self) -> str | None:
        """A sentence on the damaged lines; None if none has been found so far."""
        return f"{self.path} is damaged; left out: {self.damage}" if self.damage.lines else None

    @property
    def end(self) -> Mapping[str, Any] | None:
        """The `end` line; None if the run did not end by itself, or was resumed afterwards."""
        last = None
        for line in self.lines("end", "resume"):
            last = line if line["kind"] == "end" else None
        return last

    def count_missing(self, end: Mapping[str, Any] | None, records: int) -> int:
        """Return how many planned requests have no record, though the run came to the end of its plan.

        Args:
            end: the `end` line, if there is one.
            records: the number of records without warm-ups.

        """
        planned = self.header.planned_requests
        if planned is None or end is None or "reason" in end or self.damage.has_resume_line:
            return 0
        return max(0, planned - records)


def judge_answer(record: Record) -> JudgeAnswer:
    """Return the answer to a judge's request, or the reason why there is none."""
    if record.outcome in TIMED:
        return JudgeAnswer(record.identity.target, record.reply or "")
    return JudgeAnswer(record.identity.target, None, record.error or record.outcome.value)


def read(path: Path) -> Journal:
    """Open a run's folder, or its journal itself.

    Raises:
        JournalError: there is no journal, nothing of it can be read, or its format is newer than this version.

    """
    file = path / JOURNAL_FILE if path.is_dir() else path
    try:
        return _read_journal(file)
    except OSError as error:
        raise JournalError(
            f"{file} cannot be read: {error.strerror}; name a run's folder or its {JOURNAL_FILE}"
        ) from error


def _read_journal(file: Path) -> Journal:
    """Open a journal: its header, mended if it is damaged, with the changes of all `resume` lines."""
    size, damage, keys = file.stat().st_size, Damage(), _RecordKeys()
    lines = _read_lines(file, size, damage, *(LINE_TYPES.keys() - {"record", "judge_record"}), keys=keys)
    first, by_kind, read_to = _lines_of_run(lines, damage)
    end = size if read_to is None else read_to
    header = _open_header(file, first, damage, end)
    attached = {line.content["case"]: line.content["turns"] for line in by_kind["attached"]}
    header = replace(header, attachments={**header.attachments, **attached})
    opened = _apply_resume_lines(Journal(file, header, size, read_to=read_to, damage=damage), by_kind["resume"])
    if damage.has_resume_line:
        return replace(opened, superseded=_superseded(file, end, damage))
    if keys.may_repeat:
        _leave_out_repeated(file, end, damage)
    return opened


def _lines_of_run(
    lines: Iterable["_Line"], damage: Damage
) -> tuple["_Line | None", Mapping[str, list["_Line"]], int | None]:
    """Return the header's line, those of resumes and attachments, and the byte at which another run begins, if any.

    Lines of other kinds may be as many as records, and are not kept.
    """
    first: _Line | None = None
    by_kind = defaultdict[str, list[_Line]](list)
    for line in lines:
        kind = line.content["kind"]
        if kind in {"attached", "resume"}:
            by_kind[kind].append(line)
        elif kind != "header":
            continue
        elif first is None:
            first = line
        elif line.content == first.content:
            damage.add(line.number, "the header once more")
        else:
            damage.add(line.number, "another run begins here; neither it nor what is behind it belongs to this one")
            return first, by_kind, line.start
    return first, by_kind, None


def _apply_resume_lines(opened: Journal, lines: Iterable["_Line"]) -> Journal:
    """Return a journal whose header has the changes of these lines, with the keys that no longer count."""
    repeated = dict[str, int]()
    for line in lines:
        try:
            header = apply_changes(opened.header, line.content["changes"])
        except ValueError as error:
            opened.damage.add(line.number, str(error))
            opened.damage.has_resume_line = True
            continue
        count = opened.resumed + 1
        repeated |= dict.fromkeys(line.content["redone"], count)
        dropped = frozenset(line.content["dropped"])
        opened = replace(opened, header=header, resumed=count, repeated=repeated, dropped=dropped)
    return opened


def _open_header(file: Path, first: "_Line | None", damage: Damage, end: int) -> Header:
    """Return the header in a line; if it is damaged, mend it from the records in the first bytes of a file.

    Raises:
        JournalError: the file is not a journal, its format is newer, or there is no record to mend the header from.

    """
    content = {} if first is None else first.content
    if isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise JournalError(f"{file} has format {content['format']}; this version reads up to {FORMAT}: upgrade compare")
    faults = header_faults(content)
    if not faults:
        return decode_header(content)
    why = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
    records = (decode_record(line.content) for line in _read_lines(file, end, damage, "record"))
    try:
        header = mend_header(content, faults, file.absolute().parent.name, records)
    except ValueError as error:
        if first is not None:
            raise JournalError(f"{file}:{first.number}: its header is damaged, and {error}: {why}") from error
        reason = f" ({damage.lines[1]})" if 1 in damage.lines else ""
        raise JournalError(f"{file} is not a journal: its first line is not a header{reason}") from error
    if first is not None:
        damage.lines[first.number] = f"the header's {why}"
    elif 1 not in damage.lines:
        damage.lines[0] = "missing"
    return header


def _superseded(file: Path, end: int, damage: Damage) -> frozenset[int]:
    """Return the numbers of the lines of records that are followed by another record of their key."""
    last: dict[str, int] = {}
    earlier = set()
    for line in _read_lines(file, end, damage, "record"):
        if line.content["key"] in last:
            earlier.add(last[line.content["key"]])
        last[line.content["key"]] = line.number
    return frozenset(earlier)


class _RecordKeys:
    """Hashes of the records' keys, eight bytes each, to find out whether a key occurs twice."""

    _KEY = re.compile(rb'"key":"([^"]*)"')

    def __init__(self) -> None:
        self._resumed = 0
        self._hashes = array("q")

    def see(self, kind: str | None, raw: bytes) -> None:
        """Add the key of a record's line; after a `resume` line, the same key may occur again."""
        self._resumed += kind == "resume"
        if kind == "record" and (found := self._KEY.search(raw)):
            self._hashes.append(hash((self._resumed, found[1])))

    @property
    def may_repeat(self) -> bool:
        """Whether two records since the same `resume` line seem to have the same key."""
        return len(set(self._hashes)) < len(self._hashes)


def _leave_out_repeated(file: Path, end: int, damage: Damage) -> None:
    """Leave out each record of a request that has one already since the last `resume` line."""
    first: dict[int, int] = {}
    for line in _read_lines(file, end, damage, "record", "resume"):
        if line.content["kind"] == "resume":
            first.clear()
            continue
        request = (line.content.get("warmup", False), *(line.content[name] for name in IDENTITY.names))
        number = first.setdefault(hash(request), line.number)
        if number != line.number:
            damage.add(line.number, f"a second record of the request in line {number}")


class _Line(NamedTuple):
    """A line with its number, from 1, and the byte it starts at."""

    number: int
    start: int
    content: dict[str, Any]


def _read_lines(path: Path, size: int, damage: Damage, *kinds: str, keys: _RecordKeys | None = None) -> Iterator[_Line]:
    """Yield the sound and complete lines of these kinds in the first `size` bytes of a file; others are not parsed.

    Of a record only the members that this version knows are returned, unless all lines are wanted. `keys` sees all.
    """
    end = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                start, end = end, end + len(raw)
                if end > size or not raw.endswith(b"\n"):
                    return
                kind = kind_of(raw)
                if keys is not None:
                    keys.see(kind, raw)
                if number in damage.lines or (kinds and kind in LINE_TYPES and kind not in kinds):
                    continue
                try:
                    line = from_bytes(raw, whole=not kinds)
                except ValueError as error:
                    damage.add(number, str(error), raw)
                    continue
                if not kinds or line["kind"] in kinds:
                    yield _Line(number, start, line)
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}; see that it is still there") from error

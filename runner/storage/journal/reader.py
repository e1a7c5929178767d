"""Read a journal from disk, line by line: a million lines take no more memory than ten."""

import os
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from runner.core.record import Record
from runner.errors import JournalError
from runner.storage.journal.header import FORMAT, Header, apply_changes, decode_header
from runner.storage.journal.line import decode_record, from_bytes, kind_of
from runner.storage.journal.writer import FILE_NAME


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal on disk. Each iteration reads the file again; only the keys that were requested again are in memory."""

    path: Path
    header: Header
    """The header with the changes of all resumptions."""
    size: int
    """Size in bytes when it was opened; a writer that finds the same size knows that nobody has written since."""
    resumptions: int = 0
    repeated: Mapping[str, int] = field(default_factory=dict)
    """Key -> the last resumption, from 1, that requested it again: its records before that one do not count."""
    dropped: frozenset[str] = frozenset()
    """Keys that are not in the plan of the last resumption."""

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
        """All records that count, including those that are not in the plan of the last resumption."""
        return self._decode_all(self._kept_lines("record"))

    def _planned_lines(self) -> Iterator[dict[str, Any]]:
        return (line for line in self._kept_lines("record") if line.get("key") not in self.dropped)

    def _decode_all(self, lines: Iterable[Mapping[str, Any]]) -> Iterator[Record]:
        custom_checks = self._custom_checks()
        for line in lines:
            record = self._decode(line)
            results = custom_checks.get(record.identity.key)
            yield record if results is None else replace(record, custom_checks=results)

    def _custom_checks(self) -> dict[str, dict[str, str | None]]:
        """Return key of a record -> the results of the suite's and plug-ins' own checks."""
        if all({"python", "plugin"}.isdisjoint(case.get("checks", ())) for case in self.header.checks.values()):
            return {}
        return {line["key"]: line["said"] for line in self._kept_lines("check")}

    def _kept_lines(self, kind: str) -> Iterator[dict[str, Any]]:
        resumptions = 0
        for line in self.lines(kind, "resume"):
            if line["kind"] == "resume":
                resumptions += 1
            elif self.repeated.get(line.get("key", ""), 0) <= resumptions:
                yield line

    def _decode(self, line: Mapping[str, Any]) -> Record:
        try:
            return decode_record(line)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{self.path}: the record {line.get('key')} is damaged: {error!r}") from error

    def lines(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of these kinds, or all lines, up to the size that the journal had when it was opened."""
        return _read_lines(self.path, self.size, *kinds)

    @property
    def torn(self) -> bool:
        """Whether the last line is incomplete, as after a kill or on a full disk."""
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    @property
    def end(self) -> Mapping[str, Any] | None:
        """The `end` line; None where the run did not end by itself, or was resumed afterwards."""
        last = None
        for line in self.lines("end", "resume"):
            last = line if line["kind"] == "end" else None
        return last

    @property
    def ended(self) -> bool:
        """Whether the run ended by itself."""
        return self.end is not None


def read(path: Path) -> Journal:
    """Open a run's folder, or its journal itself.

    Raises:
        JournalError: there is no journal, it does not begin with a header, or its format is newer than this version.

    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        return _read_journal(file)
    except OSError as error:
        raise JournalError(
            f"{file} cannot be read: {error.strerror}; name a run's folder or its {FILE_NAME}"
        ) from error


def _read_journal(file: Path) -> Journal:
    size = file.stat().st_size
    lines = _read_lines(file, size, "header", "resume")
    first = next(lines, None)
    if first is None or first["kind"] != "header":
        raise JournalError(f"{file} is no journal: its first line is not a header")
    try:
        if first["format"] > FORMAT:
            raise JournalError(
                f"{file} has format {first['format']}; this version reads up to {FORMAT}: upgrade compare"
            )
        header, repeated, dropped, count = decode_header(first), dict[str, int](), frozenset[str](), 0
        for count, line in enumerate(lines, 1):
            header = apply_changes(header, line["changes"])
            repeated |= dict.fromkeys(line["redone"], count)
            dropped = frozenset(line["dropped"])
    except (KeyError, TypeError) as error:
        raise JournalError(f"{file}: its header is damaged: {error!r}") from error
    return Journal(file, header, size, count, repeated, dropped)


def _read_lines(path: Path, size: int, *kinds: str) -> Iterator[dict[str, Any]]:
    """Yield the complete lines of these kinds in the first `size` bytes of a file; other lines are not parsed."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            size -= len(raw)
            if size < 0 or not raw.endswith(b"\n"):
                return
            if kinds and (kind := kind_of(raw)) is not None and kind not in kinds:
                continue
            try:
                line = from_bytes(raw)
            except ValueError as error:
                raise JournalError(f"{path}:{number}: not a line of a journal: {error}") from error
            if not kinds or line["kind"] in kinds:
                yield line

"""A journal on disk, read lazily: a million lines need no memory."""

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
    """A journal on disk. Lines are read anew at each iteration; only keys given up are held in memory."""

    path: Path
    header: Header
    """As the last resumption left it."""
    size: int
    """Bytes when it was opened; a writer that finds as many knows that nobody else has written since."""
    resumptions: int = 0
    redone: Mapping[str, int] = field(default_factory=dict)
    """Key -> the last resumption (from 1) that asked it anew: its records before that one are history."""
    dropped: frozenset[str] = frozenset()
    """Keys that the plan of the last resumption does not hold."""

    @property
    def records(self) -> Iterator[Record]:
        """Records in the order in which they finished, one for each planned request that has been answered."""
        return self._decode_all(self._planned_lines())

    def records_at(self, places: AbstractSet[int]) -> Iterator[Record]:
        """Those records at these places, from 0, in their order; of the others little is read."""
        chosen = (line for place, line in enumerate(self._planned_lines()) if place in places)
        return self._decode_all(islice(chosen, len(places)))

    @property
    def kept_records(self) -> Iterator[Record]:
        """All records, with those that the plan of the last resumption does not hold, but another's may."""
        return self._decode_all(self._kept_lines("record"))

    def _planned_lines(self) -> Iterator[dict[str, Any]]:
        return (line for line in self._kept_lines("record") if line.get("key") not in self.dropped)

    def _decode_all(self, lines: Iterable[Mapping[str, Any]]) -> Iterator[Record]:
        said = self._own_checks()
        for line in lines:
            record = self._decode(line)
            own_checks = said.get(record.identity.key)
            yield record if own_checks is None else replace(record, custom_checks=own_checks)

    def _own_checks(self) -> dict[str, dict[str, str | None]]:
        """Return what functions that are not ours said, by the key of the record they said it of."""
        if all({"python", "plugin"}.isdisjoint(demands.get("checks", ())) for demands in self.header.checks.values()):
            return {}
        return {line["key"]: line["said"] for line in self._kept_lines("check")}

    def _kept_lines(self, kind: str) -> Iterator[dict[str, Any]]:
        resumptions = 0
        for line in self.lines(kind, "resume"):
            if line["kind"] == "resume":
                resumptions += 1
            elif self.redone.get(line.get("key", ""), 0) <= resumptions:
                yield line

    def _decode(self, line: Mapping[str, Any]) -> Record:
        try:
            return decode_record(line)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{self.path}: the record {line.get('key')} is damaged: {error!r}") from error

    def lines(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """Lines of these kinds, or of all, as they were written; none that came after the journal was opened."""
        return _read_lines(self.path, self.size, *kinds)

    @property
    def torn(self) -> bool:
        """Whether the last line was cut off, as by a kill or a full disk."""
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    @property
    def end(self) -> Mapping[str, Any] | None:
        """The line with which the run came to its own end, None if it has not, or went on afterwards."""
        last = None
        for line in self.lines("end", "resume"):
            last = line if line["kind"] == "end" else None
        return last

    @property
    def ended(self) -> bool:
        """Whether the run came to its own end."""
        return self.end is not None


def read(path: Path) -> Journal:
    """Open a run's folder, or its journal itself.

    Raises:
        JournalError: there is none, it does not begin with a header, or its format is newer than this version.

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
        header, redone, dropped, count = decode_header(first), dict[str, int](), frozenset[str](), 0
        for count, line in enumerate(lines, 1):
            header = apply_changes(header, line["changes"])
            redone |= dict.fromkeys(line["redone"], count)
            dropped = frozenset(line["dropped"])
    except (KeyError, TypeError) as error:
        raise JournalError(f"{file}: its header is damaged: {error!r}") from error
    return Journal(file, header, size, count, redone, dropped)


def _read_lines(path: Path, size: int, *kinds: str) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of these kinds in so many bytes of a file; the others are passed over unread."""
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

"""A run's facts as lines: what was observed goes in, records come out. Owns the format and its history.

Format 1 (0.1.0): one JSON object a line, each with a `kind`: `header` first, then `connection`, `attempt`,
`record` and `limit` as they happen, `end` last. Stamps are nanoseconds since the run's start; text events
are three columns, their times in microseconds since `sent`, each as the step from the one before.

A line is appended with one write and never changed. A torn last line, as a killed run leaves it, is
tolerated, reported, and cut off before anything is appended behind it.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import accumulate, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runner.errors import JournalError
from runner.events import Outcome
from runner.record import Heard, Identity, Marks, Record

FORMAT = 1
FILE_NAME = "journal.jsonl"

BINARY: int = getattr(os, "O_BINARY", 0)
"""Windows would write every newline as two bytes."""

_NESTED = frozenset({"identity", "marks", "heard"})
_PLAIN = tuple(f for f in fields(Record) if f.name not in _NESTED)
_IDENTITY = tuple(f.name for f in fields(Identity))
_MARKS = tuple(f.name for f in fields(Marks))


@dataclass(frozen=True, slots=True)
class Header:
    """How a run was made: enough to repeat it, and to know whether two runs may be compared."""

    run_id: str
    suite: str
    digest: str
    seed: int
    started_at: str
    simulated: bool
    repeat: int
    targets: tuple[str, ...]
    cases: tuple[str, ...]
    planned_requests: int
    order: str = "blocks"
    concurrency: int | None = None
    path: str | None = None
    clock: str | None = None
    platform: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, object] | None = None
    load: Mapping[str, Any] = field(default_factory=dict)
    """How hard the run pressed: `runner.load.Load` as plain data, what is at its default left out."""
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Target -> what a million tokens cost, in which currency, by whose word and of which date."""
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Case -> its checks as the suite has them, how many repeats must pass, how its snapshot is matched."""
    format: int = FORMAT


def _steps(times: tuple[int, ...]) -> list[int]:
    return [b - a for a, b in pairwise((0, *times))]


def encode_record(record: Record) -> dict[str, object]:
    """Turn a record into its line; what is absent or at its default is left out."""
    # Not asdict, which copies deeply and takes as long as all the rest.
    line: dict[str, object] = {"kind": "record", **{name: getattr(record.identity, name) for name in _IDENTITY}}
    line["marks"] = {name: at for name in _MARKS if (at := getattr(record.marks, name)) is not None}
    line["outcome"] = record.outcome.value
    heard = record.heard
    if heard.at_us:
        line["heard"] = {"us": _steps(tuple(heard.at_us)), "ch": heard.channels, "len": list(heard.lengths)}
    if heard.origin_us:
        line["origin_us"] = _steps(tuple(heard.origin_us))
    for spec in _PLAIN:
        value = getattr(record, spec.name)
        if spec.name != "outcome" and value != spec.default:
            line[spec.name] = value
    return line


def decode_record(line: Mapping[str, Any]) -> Record:
    """Turn a line back into its record; a name this version does not know is ignored."""
    heard = line.get("heard")
    values = {spec.name: line[spec.name] for spec in _PLAIN if spec.name in line}
    values["outcome"] = Outcome(line["outcome"])
    values["noted"] = tuple(line.get("noted", ()))
    return Record(
        identity=Identity(**{spec.name: line[spec.name] for spec in fields(Identity)}),
        marks=Marks(**{spec.name: line["marks"].get(spec.name) for spec in fields(Marks)}),
        heard=Heard()
        if heard is None
        else Heard(
            at_us=tuple(accumulate(heard["us"])),
            channels=heard["ch"],
            lengths=tuple(heard["len"]),
            origin_us=tuple(accumulate(line.get("origin_us", ()))),
        ),
        **values,
    )


def _dumps(line: object) -> str:
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate, half an emoji cut by a provider, has no UTF-8: keep its escape instead.
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(line, separators=(",", ":"))
    return text


def _redacted(value: object, redact: Callable[[str], str]) -> object:
    """Hide keys in texts only: the key of somebody's own server may look like a number, or like a name of ours."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {name: _redacted(item, redact) for name, item in value.items()}
        case list() | tuple() if not set(map(type, value)) <= {int}:  # columns of numbers are long
            return [_redacted(item, redact) for item in value]
    return value


class Writer:
    """Appends lines to a run's journal, each passed through `redact`, which hides keys.

    One process at a time: the file is locked while it is open.
    """

    def __init__(self, folder: Path, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self.path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o644)
        except OSError as error:
            raise JournalError(
                f"{self.path} cannot be written: {error.strerror}; choose another folder with -o"
            ) from error
        try:
            _lock(self._file, self.path)
            self._end = _cut_torn_line(self._file)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def is_new(self) -> bool:
        """Whether nothing has been written yet."""
        return self._end == 0

    def append(self, line: Mapping[str, object]) -> None:
        """Append one line whole, or leave the journal as it was and raise JournalError."""
        data = _dumps(_redacted(line, self._redact)).encode() + b"\n"
        try:
            written = os.write(self._file, data)
            if written < len(data):
                os.truncate(self._file, self._end)
                raise JournalError(f"{self.path}: the disk is full; what was written before is safe")
        except OSError as error:
            raise JournalError(
                f"{self.path} cannot be written: {error.strerror}; what was written before is safe"
            ) from error
        self._end += len(data)

    def append_header(self, header: Header) -> None:
        """Write the run's first line."""
        self.append({"kind": "header", **asdict(header)})

    def append_record(self, record: Record) -> None:
        """Write a finished request."""
        self.append(encode_record(record))

    def close(self) -> None:
        """Release the journal; nothing is buffered, so nothing can be lost here."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lock(file: int, path: Path) -> None:
    """Refuse a second writer; where the platform or the disk has no flock, the unique folder names must do."""
    try:
        import fcntl  # noqa: PLC0415 -- POSIX only
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalError(f"{path} is being written by another run; choose another folder with -o") from error
    except OSError:
        return


def _cut_torn_line(file: int) -> int:
    """Cut off what a killed run left behind the last whole line; return where the file then ends."""
    end = os.lseek(file, 0, os.SEEK_END)
    whole = end
    while whole > 0:
        start = max(0, whole - 65536)
        os.lseek(file, start, os.SEEK_SET)
        newline = os.read(file, whole - start).rfind(b"\n")
        if newline >= 0:
            whole = start + newline + 1
            break
        whole = start
    if whole < end:
        os.truncate(file, whole)
    return whole


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal on disk. Lines are read anew at each iteration, so that a million need no memory."""

    path: Path
    header: Header

    @property
    def records(self) -> Iterator[Record]:
        """Records in the order in which they finished."""
        return map(self._decode, self.lines("record"))

    def _decode(self, line: Mapping[str, Any]) -> Record:
        try:
            return decode_record(line)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{self.path}: the record {line.get('key')} is damaged: {error!r}") from error

    def lines(self, kind: str) -> Iterator[dict[str, Any]]:
        """Lines of one kind, as they were written."""
        for line in _read_lines(self.path):
            if line["kind"] == kind:
                yield line

    @property
    def torn(self) -> bool:
        """Whether the last line was cut off, as by a kill or a full disk."""
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    @property
    def ended(self) -> bool:
        """Whether the run came to its own end."""
        return any(self.lines("end"))


def read(path: Path) -> Journal:
    """Open a run's folder, or its journal itself.

    Raises:
        JournalError: there is none, it does not begin with a header, or its format is newer than this version.

    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        first = next(_read_lines(file), None)
    except OSError as error:
        raise JournalError(
            f"{file} cannot be read: {error.strerror}; name a run's folder or its {FILE_NAME}"
        ) from error
    if first is None or first["kind"] != "header":
        raise JournalError(f"{file} is no journal: its first line is not a header")
    return Journal(file, _decode_header(first, file))


def _decode_header(line: Mapping[str, Any], file: Path) -> Header:
    try:
        if line["format"] > FORMAT:
            raise JournalError(
                f"{file} has format {line['format']}; this version reads up to {FORMAT}: upgrade compare"
            )
        values = {spec.name: line[spec.name] for spec in fields(Header) if spec.name in line}
        return Header(**{**values, "targets": tuple(line["targets"]), "cases": tuple(line["cases"])})
    except (KeyError, TypeError) as error:
        raise JournalError(f"{file}: its header is damaged: {error!r}") from error


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                return
            try:
                line = json.loads(raw)
            except ValueError as error:
                raise JournalError(f"{path}:{number}: not a line of a journal: {error}") from error
            if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
                raise JournalError(f"{path}:{number}: not a line of a journal: no kind")
            yield line

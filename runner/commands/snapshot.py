"""Compare a run with the snapshot of its suite, and store the accepted replies.

A snapshot is a folder beside its suite: `replies/CASE/PROVIDER/MODEL.txt`, `timings.json` and a stripped journal. Tool
calls of a reply, if any, are in `MODEL.calls.json` beside its text, as a list of names and arguments.

File names are escaped names of cases and targets, distinct on every file system and reversible. Lower-case letters,
digits, `-`, `_`, `.` and letters without case, such as Chinese ones, are unchanged. An upper-case letter is `^` and its
lower-case form, since macOS and Windows do not distinguish `A` from `a`. Any other character is `%` and two hexadecimal
digits for each byte. `+` is never part of an escaped name; it separates a case from its turn.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

from runner.analysis.reply_diff import WholeReply
from runner.analysis.run_results import Run
from runner.analysis.snapshot import (
    KEEPABLE,
    ComparedQuestion,
    SnapshotComparison,
    SnapshotState,
    SuiteScope,
    comparable,
    comparable_reply,
    compare_snapshot,
    timings_of,
)
from runner.core.record import Record
from runner.core.suite import Suite
from runner.core.tool_call import read_calls
from runner.errors import CompareError
from runner.storage.atomic_write import write_atomically
from runner.storage.find_run import find_run
from runner.storage.journal import JOURNAL_FILE, Header, Journal, encode_record, read
from runner.storage.journal.header import encode_header
from runner.storage.journal.line import to_bytes
from runner.storage.run_folder import SNAPSHOT, TIMINGS_FILE, refuse_links_in_snapshot
from runner.suite.expectations import plain_expectations

REPLIES, SUFFIX, CALLS = "replies", ".txt", ".calls.json"

TURN = "+"
"""Separator between a case and its turn, from the second turn on."""

MAX_FILE_NAME_BYTES = 200
"""Maximum length of an escaped name in bytes; most file systems allow 255 bytes."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|$)")
_ESCAPED = re.compile(r"\^([a-z])|((?:%[0-9a-f]{2})+)")


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run of a suite, compared with the suite's snapshot."""

    run: Run
    journal: Journal
    folder: Path
    """The snapshot's folder."""
    comparisons: tuple[SnapshotComparison, ...]
    lines: Mapping[str, int | None]
    """Case -> its line in the suite's file; None if unknown."""
    covers_all: bool
    """Whether the run covers the whole suite and every stored reply; only then are its timings stored."""

    @property
    def changes(self) -> tuple[SnapshotComparison, ...]:
        """Comparisons that the user accepts or rejects."""
        return tuple(each for each in self.comparisons if each.state in KEEPABLE)


def compare_run(suite: Suite, path: Path, source: Path) -> ComparedRun:
    """Compare a run with its suite's snapshot, by the checks that the suite has now.

    Args:
        suite: the suite, with all its cases.
        path: the suite's file.
        source: the run's folder, its id, or `latest`.

    Raises:
        CompareError: there is no such run, it is of another suite, or the snapshot cannot be read.

    """
    log = read(find_run(source))
    if log.header.suite != suite.name:
        raise CompareError(f"{log.header.run_id} is a run of the suite {log.header.suite}, not of {suite.name}")
    log = replace(log, header=replace(log.header, checks=plain_expectations(suite.cases)))
    run, folder = Run.of_journal(log), snapshot_folder(path)
    kept, scope = read_replies(folder), _scope_of(suite)
    comparisons = compare_snapshot(kept, run, scope)
    lines = {case.id: case.line for case in suite.cases}
    return ComparedRun(run, log, folder, comparisons, lines, _covers_all(scope, run, kept, comparisons))


def _scope_of(suite: Suite) -> SuiteScope:
    names = {str(name) for row in suite.targets for name in row.names}
    # A row without models stands for the provider's default models, which the suite does not list.
    lists_all = bool(suite.targets) and all(row.models for row in suite.targets)
    return SuiteScope({case.id: case.steps.most for case in suite.cases}, names if lists_all else None)


def _covers_all(
    scope: SuiteScope, run: Run, kept: Mapping[ComparedQuestion, WholeReply], comparisons: Iterable[SnapshotComparison]
) -> bool:
    compared = {each.question for each in comparisons}
    return run.ended and scope.turns.keys() <= set(run.header.cases) and kept.keys() <= compared


def keep_replies(compared: ComparedRun, accepted: Iterable[SnapshotComparison]) -> list[SnapshotComparison]:
    """Write accepted replies and remove accepted orphaned ones; return the comparisons that changed a file."""
    changed = [each for each in accepted if each.state is SnapshotState.ORPHANED or each.now not in {None, each.kept}]
    for each in changed:
        if each.now is None:
            remove_reply(compared.folder, each.question)
        else:
            write_reply(compared.folder, each.question, each.now)
    return changed


# Files of a snapshot


def snapshot_folder(suite: Path) -> Path:
    """Return the folder of a suite's snapshot."""
    return suite.with_name(f"{suite.stem}{SNAPSHOT}")


# Replies


def read_replies(folder: Path) -> dict[ComparedQuestion, WholeReply]:
    """Return the stored replies; empty if there is no folder yet.

    Raises:
        CompareError: a file cannot be read, was not written by `compare`, or is a symbolic link.

    """
    refuse_links_in_snapshot(folder)
    kept: dict[ComparedQuestion, WholeReply] = {}
    for path in sorted((folder / REPLIES).glob(f"*/*/*{SUFFIX}")):
        try:
            if reply := comparable_reply(_text_in(path).removesuffix("\n"), _calls_beside(path)):
                kept[_question_at(path)] = reply
        except OSError as error:
            raise CompareError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError:
            raise CompareError(f"{path} was not written by compare, or changed since; restore or remove it") from None
    return kept


def _text_in(path: Path) -> str:
    return comparable(path.read_bytes().decode())


def _calls_beside(path: Path) -> str | None:
    """Return the JSON of a reply's tool calls; None if it has none."""
    file = _calls_of(path)
    if not file.exists():
        return None
    try:
        calls = _text_in(file)
        read_calls(calls)
    except ValueError:
        raise CompareError(f"{file} was not written by compare, or changed since; restore or remove it") from None
    return calls


def _calls_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(SUFFIX) + CALLS)


def write_reply(folder: Path, question: ComparedQuestion, reply: WholeReply) -> None:
    """Write the files of one reply."""
    path = path_of(folder, question)
    _make_folder(path.parent)
    write_atomically(path, comparable(reply.text or "") + "\n")
    if reply.calls:
        calls = json.dumps([call.plain for call in reply.calls], ensure_ascii=False, indent=2)
        write_atomically(_calls_of(path), comparable(calls) + "\n")
    else:
        _remove(_calls_of(path))


def remove_reply(folder: Path, question: ComparedQuestion) -> None:
    """Remove the files of a reply, and the folders that become empty.

    Raises:
        CompareError: a file or folder cannot be removed.

    """
    path = path_of(folder, question)
    _remove(_calls_of(path))
    _remove(path)
    try:
        for empty in (path.parent, path.parent.parent):
            if not any(empty.iterdir()):
                empty.rmdir()
    except OSError as error:
        raise CompareError(f"{path.parent} cannot be removed: {error.strerror}") from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CompareError(f"{path} cannot be removed: {error.strerror}") from error


def path_of(folder: Path, question: ComparedQuestion) -> Path:
    """Return the file of a reply.

    Raises:
        CompareError: the name of its case or target is too long for a file.

    """
    turn = f"{TURN}{question.turn}" if question.turn > 1 else ""
    provider, _, model = question.target.partition("/")
    return folder / REPLIES / f"{escape(question.case)}{turn}" / escape(provider) / f"{escape(model)}{SUFFIX}"


def _question_at(path: Path) -> ComparedQuestion:
    case, _, turn = path.parent.parent.name.partition(TURN)
    target = f"{unescape(path.parent.name)}/{unescape(path.name.removesuffix(SUFFIX))}"
    question = ComparedQuestion(unescape(case), int(turn or 1), target)
    if path_of(path.parents[3], question) != path:
        raise ValueError(f"{path} is not a name that `escape` gives")
    return question


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"{folder} cannot be made: {error.strerror}") from error


# File names


def escape(name: str) -> str:
    """Return the file name for a name.

    Raises:
        CompareError: the file name would be too long.

    """
    escaped = "".join(map(_escape_character, name))
    if _WINDOWS_DEVICES.match(escaped) or escaped.startswith("."):
        escaped = _escape_bytes(escaped[0]) + escaped[1:]
    if escaped.endswith("."):
        escaped = escaped[:-1] + _escape_bytes(".")
    if len(escaped.encode()) > MAX_FILE_NAME_BYTES:
        raise CompareError(f"`{name[:40]}...` is too long for a file's name; shorten it to keep a snapshot of it")
    return escaped


def unescape(escaped: str) -> str:
    """Return the name that a file name encodes."""
    return _ESCAPED.sub(lambda match: match[1].upper() if match[1] else _unescape_bytes(match[2]), escaped)


def _escape_character(character: str) -> str:
    if character in _PLAIN:
        return character
    if character.isascii() and character.isupper():
        return f"^{character.lower()}"
    return character if _has_one_form(character) else _escape_bytes(character)


def _has_one_form(character: str) -> bool:
    """Return whether a character is a non-ASCII letter with no other case and no other normalised form."""
    forms = {character, character.lower(), character.upper(), *(normalize(form, character) for form in ("NFD", "NFKC"))}
    return not character.isascii() and character.isalpha() and forms == {character}


def _escape_bytes(character: str) -> str:
    return "".join(f"%{byte:02x}" for byte in character.encode(errors="surrogatepass"))


def _unescape_bytes(escaped: str) -> str:
    return bytes.fromhex(escaped.replace("%", "")).decode(errors="surrogatepass")


# Timings


def keep_timings(compared: ComparedRun) -> str | None:
    """Write the run's timings if it covers the whole suite; return the reason if they are not written."""
    if not compared.covers_all:
        return "the timings were left as they are: this run did not ask all that the suite asks and all that is kept"
    if any(each.state is SnapshotState.MISSING for each in compared.comparisons):
        return "the timings were left as they are: requests failed in this run"
    _write_timings(compared.folder, compared.journal, timings_of(compared.run))
    return None


def _write_timings(folder: Path, log: Journal, timings: Mapping[str, Any]) -> None:
    """Write a run's timings: as JSON to read, and as the stripped journal that `--baseline` accepts."""
    _make_folder(folder)
    write_atomically(folder / TIMINGS_FILE, json.dumps(timings, ensure_ascii=False, indent=2) + "\n")
    lines = stripped_lines(log.header, log.records, log.end)
    write_atomically(folder / JOURNAL_FILE, "".join(to_bytes(line, str).decode() for line in lines))


def stripped_lines(
    header: Header, records: Iterable[Record], end: Mapping[str, Any] | None
) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a journal with timestamps, counts and outcomes, but without texts."""
    yield encode_header(replace(header, path=None, checks={}, variants={}, vary={}))
    for record in records:
        yield encode_record(strip(record))
    if end is not None:
        yield end


def strip(record: Record) -> Record:
    """Return a record without prompts, replies and errors, and without ids that identify them."""
    return replace(
        record,
        identity=replace(record.identity, prompt=""),
        text_events=replace(record.text_events, origin_us=()),
        reply=None,
        reasoning=None,
        tool_calls=None,
        calls=(),
        error=None,
        request_id=None,
        node=None,
        custom_checks=None,
        judgements=None,
    )

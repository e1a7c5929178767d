"""A snapshot's folder beside its suite: `replies/CASE/PROVIDER/MODEL.txt`, `timings.json` and a stripped journal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.analysis.snapshot import ComparedQuestion, comparable
from runner.commands.snapshot.names import escape, unescape
from runner.commands.snapshot.stripping import stripped_lines
from runner.errors import CompareError
from runner.storage.journal import FILE_NAME, Journal
from runner.storage.journal.line import to_bytes
from runner.storage.run_folder import write_atomically

REPLIES, TIMINGS, SUFFIX = "replies", "timings.json", ".txt"
TURN = "+"
"""Between a case and its turn, from the second on; no escaped name has one."""


def folder_of(suite: Path) -> Path:
    """Return the folder that a suite's snapshot is kept in."""
    return suite.with_name(f"{suite.stem}.snapshot")


def read_replies(folder: Path) -> dict[ComparedQuestion, str]:
    """Return the replies that are kept; none where there is no folder yet."""
    kept: dict[ComparedQuestion, str] = {}
    for path in sorted((folder / REPLIES).glob(f"*/*/*{SUFFIX}")):
        try:
            kept[_question_at(path)] = comparable(path.read_bytes().decode()).removesuffix("\n")
        except OSError as error:
            raise CompareError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError:
            raise CompareError(f"{path} was not written by compare, or changed since; restore or remove it") from None
    return kept


def write_reply(folder: Path, question: ComparedQuestion, text: str) -> None:
    """Keep one reply."""
    path = path_of(folder, question)
    _make_folder(path.parent)
    write_atomically(path, comparable(text) + "\n")


def remove_reply(folder: Path, question: ComparedQuestion) -> None:
    """Keep a reply no longer, nor the folders that are empty without it."""
    path = path_of(folder, question)
    try:
        path.unlink(missing_ok=True)
        for empty in (path.parent, path.parent.parent):
            if not any(empty.iterdir()):
                empty.rmdir()
    except OSError as error:
        raise CompareError(f"{path} cannot be removed: {error.strerror}") from error


def write_timings(folder: Path, log: Journal, timings: Mapping[str, Any]) -> None:
    """Keep a run's timings: as JSON to be read, and as the stripped journal that `--baseline` takes."""
    _make_folder(folder)
    write_atomically(folder / TIMINGS, json.dumps(timings, ensure_ascii=False, indent=2) + "\n")
    lines = stripped_lines(log.header, log.records, log.end)
    write_atomically(folder / FILE_NAME, "".join(to_bytes(line, str).decode() for line in lines))


def path_of(folder: Path, question: ComparedQuestion) -> Path:
    """Return the file that a reply is kept in."""
    turn = f"{TURN}{question.turn}" if question.turn > 1 else ""
    provider, _, model = question.target.partition("/")
    return folder / REPLIES / f"{escape(question.case)}{turn}" / escape(provider) / f"{escape(model)}{SUFFIX}"


def _question_at(path: Path) -> ComparedQuestion:
    case, _, turn = path.parent.parent.name.partition(TURN)
    target = f"{unescape(path.parent.name)}/{unescape(path.name.removesuffix(SUFFIX))}"
    question = ComparedQuestion(unescape(case), int(turn or 1), target)
    if path_of(path.parents[3], question) != path:
        raise ValueError(f"{path} is no name that `escape` gives")
    return question


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompareError(f"{folder} cannot be made: {error.strerror}") from error

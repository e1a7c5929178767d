"""Read files of votes, which the report's blind vote exports, one file per voter.

A file is strict: an unknown member, a missing one or one of another type is a problem, and all of a file are found at
once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from runner.errors import CompareError

PATTERN = "votes*.json"
"""The files of votes that are found in a run's folder."""

MAX_VOTE_FILE_BYTES = 50_000_000
"""Limit on the bytes of a file; a vote on every reply of a page takes far fewer."""


class VotedRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run whose replies were voted on."""

    run_id: str
    suite_digest: str


class Vote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One vote on the replies to one turn, as it is stored."""

    case: str
    turn: int
    repeat: int
    targets: tuple[str, ...]
    """The targets, in the order in which their replies were shown."""
    winner: str
    """One of the targets, `tie`, or `none` if no reply is good."""
    at: datetime
    runs: tuple[int, ...] | None = None
    """The place, from 1, of each target's run in the file's list of runs; None in a file on one run."""
    winner_run: int | None = None


@dataclass(frozen=True, slots=True)
class VoteFile:
    """The votes of one person."""

    path: Path
    voter: str | None
    """Name of the voter; None if none was given."""
    runs: tuple[VotedRun, ...]
    several: bool
    """Whether the votes name the run of each target."""
    votes: tuple[tuple[int, Vote], ...]
    """The votes, each with its place in the file, from 1."""

    @property
    def name(self) -> str:
        """The voter's name, or else the file's."""
        return self.voter or str(self.path)


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    run_id: str | None
    suite_digest: str | None
    voter: str | None
    votes: tuple[Any, ...]
    runs: tuple[VotedRun, ...] | None = None


def find_vote_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of votes in a run's folder, by name."""
    return tuple(sorted(path for path in folder.glob(PATTERN) if path.is_file()))


def read_vote_files(paths: Sequence[Path]) -> tuple[tuple[VoteFile, ...], tuple[str, ...]]:
    """Return files of votes, and what is wrong with any of them."""
    found: list[VoteFile] = []
    problems: list[str] = []
    for path in dict.fromkeys(paths):
        try:
            file, faults = _read_vote_file(path)
        except CompareError as error:
            problems.append(str(error))
            continue
        found.append(file)
        problems += faults
    return tuple(found), tuple(problems)


def _read_vote_file(path: Path) -> tuple[VoteFile, list[str]]:
    try:
        if path.stat().st_size > MAX_VOTE_FILE_BYTES:
            raise CompareError(f"{path}: larger than {MAX_VOTE_FILE_BYTES // 1_000_000} MB, which no file of votes is")
        text = path.read_bytes()
    except OSError as error:
        raise CompareError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        head = msgspec.json.decode(text, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CompareError(f"{path}: not a file of votes: {error}; export one from a report's blind vote") from error
    runs = _runs_of(path, head)
    problems: list[str] = []
    votes = list(_votes_of(head, problems))
    return (
        VoteFile(path, head.voter, runs, head.runs is not None, tuple(votes)),
        [f"{path}: {problem}" for problem in problems],
    )


def _runs_of(path: Path, head: _Head) -> tuple[VotedRun, ...]:
    if head.runs and head.run_id is None and head.suite_digest is None:
        return head.runs
    if head.runs is None and head.run_id is not None and head.suite_digest is not None:
        return (VotedRun(head.run_id, head.suite_digest),)
    raise CompareError(
        f"{path}: names its run by `run_id` and `suite_digest`, or several by `runs` with both of these null; "
        "this file does neither"
    )


def _votes_of(head: _Head, problems: list[str]) -> Iterator[tuple[int, Vote]]:
    """Yield the votes of a file; append what is wrong with the others."""
    for at, plain in enumerate(head.votes, start=1):
        try:
            vote = msgspec.convert(plain, Vote)
        except msgspec.ValidationError as error:
            problems.append(f"vote {at}: {error}")
            continue
        faults = list(_faults(vote, len(head.runs) if head.runs is not None else None))
        problems += [f"vote {at}: {fault}" for fault in faults]
        if not faults:
            yield at, vote


def _faults(vote: Vote, runs: int | None) -> Iterator[str]:
    if vote.at.tzinfo is None:
        yield "`at` has no offset from UTC"
    if len(vote.targets) < 2:
        yield "`targets` names fewer than two targets"
    if runs is None:
        if vote.runs is not None or vote.winner_run is not None:
            yield "`runs` and `winner_run` are only for a file on several runs"
        return
    if vote.runs is None or len(vote.runs) != len(vote.targets):
        yield "`runs` does not have a number for each target"
    for number in {*(vote.runs or ()), *(() if vote.winner_run is None else (vote.winner_run,))}:
        if not 1 <= number <= runs:
            yield f"there is no run {number} in a file on {runs}"

"""Matching of vote files with the runs whose replies were voted on, and a list of all problems found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from runner.analysis.measured_targets import MeasuredTarget, name_target
from runner.analysis.run_results import Run
from runner.analysis.votes import NONE, TIE, CastVote, VotedQuestion
from runner.analysis.win_rates import PairOutcome
from runner.core.answered_by import ANSWERED_BY_COLUMNS, AnsweredByColumn
from runner.core.events import TIMED
from runner.core.record import Record
from runner.errors import did_you_mean
from runner.storage.vote_file import Vote, VoteFile

Place = tuple[str, int, int]
"""Case, turn and repeat."""

BY = " by "
"""Part of the names of targets that a page splits by who answered."""


@dataclass(frozen=True, slots=True)
class _Replies:
    """The replies of a run by the names of its targets on pages, and its cases."""

    targets: frozenset[str]
    of_place: dict[Place, dict[str, str | None]] = field(default_factory=dict)
    """Digest of the reply, by place and target; None if the request failed without a text."""
    cases: frozenset[str] = frozenset()


def match_votes(runs: Sequence[Run], files: Sequence[VoteFile]) -> tuple[tuple[CastVote, ...], tuple[str, ...]]:
    """Return the votes of files, with the replies that were voted on, and the problems of all files."""
    matcher = VoteMatcher(runs, files)
    votes = [vote for file in files for vote in matcher.match(file)]
    return tuple(votes), tuple(matcher.problems)


def judge_outcomes(runs: Sequence[Run]) -> dict[str, list[PairOutcome]]:
    """Return the outcomes of judged pairs by judge, with targets named as in votes.

    A judge with several sets of criteria or parameters is numbered.
    """
    found: dict[str, list[PairOutcome]] = {}
    ids: dict[str, list[str]] = {}
    for each in (each for run in runs for each in run.judged):
        if each.id not in ids.setdefault(each.judge, []):
            ids[each.judge].append(each.id)
    for number, run in enumerate(runs, start=1):
        names = {target: _name(target, number, len(runs)) for target in run.header.targets}
        for each in run.judged:
            own = ids[each.judge]
            judge = each.judge if len(own) == 1 else f"{each.judge} ({own.index(each.id) + 1})"
            found.setdefault(judge, []).extend(_renamed(outcome, names) for outcome in each.outcomes)
    return found


def _renamed(outcome: PairOutcome, names: Mapping[str, str]) -> PairOutcome:
    winner = None if outcome.winner is None else names.get(outcome.winner, outcome.winner)
    first, second = (names.get(name, name) for name in (outcome.first, outcome.second))
    return replace(outcome, first=first, second=second, winner=winner)


def _name(target: str, number: int, count: int) -> str:
    """Return a target's name, with its run, counted from 1, if there are several."""
    return str(name_target(MeasuredTarget(target), number, count))


class VoteMatcher:
    """Matches vote files with runs one after another, and collects the problems."""

    def __init__(self, runs: Sequence[Run], files: Iterable[VoteFile]) -> None:
        self._runs = runs
        voted = {target for file in files for _, vote in file.votes for target in vote.targets}
        columns = ANSWERED_BY_COLUMNS if any(BY in target for target in voted) else ()
        self._replies = [_read_replies(run, (None, *columns)) for run in runs]
        self._cast: dict[tuple[str, VotedQuestion], str] = {}
        self._moments: dict[tuple[VotedQuestion, str, str], Path] = {}
        self.problems: list[str] = []

    def match(self, file: VoteFile) -> Iterator[CastVote]:
        """Yield the votes of a file that match a run; the others, and a file on other runs, become problems."""
        numbers = [self._find_run(file, voted.run_id, voted.suite_digest) for voted in file.runs]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            return
        for at, vote in file.votes:
            of_target = [known[number - 1] for number in vote.runs] if vote.runs else [known[0]] * len(vote.targets)
            winner_run = None if vote.winner_run is None else known[vote.winner_run - 1]
            faults = list(self._faults(vote, of_target, winner_run))
            if not faults:
                cast = self._cast_vote(file, vote, of_target, winner_run)
                faults = list(self._duplicates(file, vote, cast))
                if not faults:
                    yield cast
            self.problems += [f"{file.path}: vote {at} ({vote.case}, turn {vote.turn}): {fault}" for fault in faults]

    def _find_run(self, file: VoteFile, run_id: str, digest: str) -> int | None:
        """Return the position of a run; None, after adding a problem, if it is not there."""
        for number, run in enumerate(self._runs):
            if run.header.run_id == run_id:
                if run.header.digest == digest:
                    return number
                self.problems.append(
                    f"{file.path}: the suite of {run_id} had the digest {digest} when it was voted on, and has "
                    f"{run.header.digest} in the journal: vote on a page of this run"
                )
                return None
        given = ", ".join(run.header.run_id for run in self._runs)
        self.problems.append(
            f"{file.path}: votes on run {run_id}, not on {given}; name that run as well, or leave the file out"
        )
        return None

    def _faults(self, vote: Vote, of_target: Sequence[int], winner_run: int | None) -> Iterator[str]:
        shown = list(zip(vote.targets, of_target, strict=True))
        if len(set(shown)) < len(shown):
            yield "a target is listed twice"
        for target, number in shown:
            if target not in (known := self._replies[number].targets):
                yield f"{self._runs[number].header.run_id} has no target {target!r}{_hint(target, known)}"
        for number in dict.fromkeys(of_target):
            cases = self._replies[number].cases
            if vote.case not in cases:
                yield f"{self._runs[number].header.run_id} has no such case{_hint(vote.case, cases)}"
        yield from self._faults_of_winner(vote, shown, winner_run)

    def _faults_of_winner(self, vote: Vote, shown: Sequence[tuple[str, int]], winner_run: int | None) -> Iterator[str]:
        place = (vote.case, vote.turn, vote.repeat)
        if vote.winner in {TIE, NONE}:
            if winner_run is not None:
                yield f"`winner_run` must be null, as the vote is {vote.winner!r}"
            if all(self._digest(place, *each) is None for each in shown):
                yield f"no target replied in repeat {vote.repeat}"
        elif vote.winner not in vote.targets:
            yield f"the winner {vote.winner!r} is not among the targets{_hint(vote.winner, (*vote.targets, TIE, NONE))}"
        elif vote.runs is not None and (vote.winner, winner_run) not in shown:
            yield f"the winner {vote.winner!r} is not a target of its run: `winner_run` does not fit `runs`"
        elif self._digest(place, vote.winner, shown[0][1] if winner_run is None else winner_run) is None:
            yield f"the winner {vote.winner!r} has no reply in repeat {vote.repeat}"

    def _digest(self, place: Place, target: str, number: int) -> str | None:
        return self._replies[number].of_place.get(place, {}).get(target)

    def _cast_vote(self, file: VoteFile, vote: Vote, of_target: Sequence[int], winner_run: int | None) -> CastVote:
        place = (vote.case, vote.turn, vote.repeat)
        replies = {
            self._name(target, number): digest
            for target, number in zip(vote.targets, of_target, strict=True)
            if (digest := self._digest(place, target, number)) is not None
        }
        shown = frozenset(self._name(*each) for each in zip(vote.targets, of_target, strict=True))
        choice = (
            vote.winner
            if vote.winner in {TIE, NONE}
            else self._name(vote.winner, of_target[0] if winner_run is None else winner_run)
        )
        return CastVote(file.name, VotedQuestion(*place, shown), choice, replies)

    def _name(self, target: str, number: int) -> str:
        return _name(target, number + 1, len(self._runs))

    def _duplicates(self, file: VoteFile, vote: Vote, cast: CastVote) -> Iterator[str]:
        key = (cast.voter, cast.question)
        if key in self._cast:
            yield f"{cast.voter} has voted on the same replies already, in {self._cast[key]}"
            return
        moment = (cast.question, cast.choice, vote.at.isoformat())
        if moment in self._moments:
            yield f"this is the vote in {self._moments[moment]}, cast at the same moment: leave one of the files out"
            return
        self._cast[key] = str(file.path)
        self._moments[moment] = file.path


def _hint(name: str, known: Iterable[str]) -> str:
    return f". {did_you_mean(name, sorted(known))}".removesuffix(". ")


def _read_replies(run: Run, columns: Iterable[AnsweredByColumn | None]) -> _Replies:
    """Return a run's replies by the names of its targets on pages, which may split them by each of these columns."""
    splits = [replace(run, by=by).split_by_place.split for by in columns]
    names = [split.list_targets(run.header.targets) for split in splits]
    found = _Replies(
        frozenset(str(target) for own in names for target in own),
        {},
        frozenset(run.header.cases),
    )
    for record in run.records:
        if record.warmup:
            continue
        identity = record.identity
        of_place = found.of_place.setdefault((identity.case, identity.turn, identity.repeat), {})
        for split in splits:
            of_place.setdefault(str(split.target_of(record)), _digest(record))
    return found


def _digest(record: Record) -> str | None:
    """Return a digest of a reply with its tool calls; None if the request failed without a text."""
    text = (record.reply or "").strip()
    if not text and record.outcome not in TIMED:
        return None
    calls = repr([(call.name, call.arguments) for call in record.calls]) if record.calls else ""
    return sha256(f"{text}\0{calls}".encode("utf-8", "surrogatepass")).hexdigest()

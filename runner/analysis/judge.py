"""Judged pairs of replies: win rates, and the influence of the order and the length of replies on the judge.

Each pair is judged in both orders. A target wins a pair if the judge prefers it in both. If the two orders lead to
different winners, the pair is a tie. Cases are the units of all intervals, as in `win_rates`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Any

from runner.analysis.check_results import Expectations, steps_in
from runner.analysis.intervals import Interval
from runner.analysis.judge_costs import JudgeCost, judge_cost, read_prices
from runner.analysis.win_rates import PairOutcome, WinRates, rate_interval, win_rates
from runner.checks.check_finding import CheckVerdict
from runner.checks.rubric import judged_text, rubric_verdicts
from runner.core.events import TIMED
from runner.core.judge_prompt import read_preference
from runner.core.model_family import family_of
from runner.core.record import Record
from runner.storage.journal import Header, Journal

JUDGED = "judged"
"""Name of the cell with a judge's verdicts on a row's reply."""


@dataclass(frozen=True, slots=True)
class ReplyPair:
    """Two replies of different targets to the same turn of a case, in the same repeat and round, from the same node."""

    first: Record
    second: Record


def list_pairs(
    records: Iterable[Record], checks: Expectations, limit: int | None = None, seed: int = 0
) -> tuple[list[ReplyPair], int]:
    """Return the pairs of replies to judge, and the number of all pairs.

    Args:
        records: those of the run.
        checks: stored expectations of its cases.
        limit: number of pairs to select at random; None for all.
        seed: seed of the selection. With the same seed, a larger limit includes the pairs of a smaller one.

    """
    pairs = [ReplyPair(*pair) for group in _groups(records, checks) for pair in combinations(group, 2)]
    if limit is None or limit >= len(pairs):
        return pairs, len(pairs)
    random = Random(f"pairs/{seed}")  # noqa: S311 -- a sample, not a secret
    order = sorted(range(len(pairs)), key=lambda _: random.random())
    return [pairs[at] for at in sorted(order[:limit])], len(pairs)


def _groups(records: Iterable[Record], checks: Expectations) -> Iterator[list[Record]]:
    """Yield groups of replies to compare with one another, each in the order of its targets' names.

    If tools were called in a turn of the user, its reply is that to the last step.
    """
    groups: dict[tuple[str, int, int, int, str | None], dict[str, Record]] = {}
    for record in (each for each in records if not each.warmup):
        identity = record.identity
        asked, _ = steps_in(checks, identity.case).turn_and_step(identity.turn)
        group = groups.setdefault((identity.case, asked, identity.repeat, identity.block, record.node), {})
        earlier = group.get(identity.target)
        if earlier is None or earlier.identity.turn <= identity.turn:
            group[identity.target] = record
    for place in sorted(groups, key=str):
        last = [record for _, record in sorted(groups[place].items())]
        yield [record for record in last if record.outcome in TIMED and judged_text(record) is not None]


@dataclass(frozen=True, slots=True)
class JudgedShare:
    """Share of pairs or answers, with its interval by case."""

    count: int
    n: int
    cases: int
    interval: Interval | None
    """95 % interval of the share; None with fewer than two cases."""

    @property
    def value(self) -> float | None:
        """The share; None if `n` is 0."""
        return self.count / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """Pairs of a run as judged by one judge by one set of criteria."""

    judge: str
    id: str
    """Id of the judge; equal if target, parameters, criteria and the prompt around them are equal."""
    settings: Mapping[str, Any]
    """The judge's parameters that differ from their defaults, as plain data."""
    criteria: str
    at: str
    """Time of the first request to the judge, as ISO 8601."""
    prompt_version: int
    pairs: int
    """Number of pairs to judge."""
    of_pairs: int
    """Number of pairs in the run."""
    undecided: int
    """Number of pairs without a clear answer in both orders, which are left out of all rates."""
    equal: int
    """Number of pairs of equal replies, which are ties without a request to the judge."""
    outcomes: tuple[PairOutcome, ...]
    """Decided pairs."""
    rates: WinRates
    flips: JudgedShare
    """Share of the pairs judged in both orders whose winner depends on the order."""
    first_named: JudgedShare
    """Share of the answers with a preference that prefer the reply shown first."""
    longer_won: JudgedShare
    """Share of the pairs with a winner and replies of different lengths that the longer reply won."""
    relatives: tuple[str, ...]
    """Targets whose model is of the same family as the judge's."""
    cost: JudgeCost


@dataclass(frozen=True, slots=True)
class _Reply:
    """The parts of a reply that its judgement needs."""

    target: str
    model: str
    case: str
    turn: int
    repeat: int
    text: str


@dataclass(frozen=True, slots=True)
class _JudgedPair:
    """A pair of replies with the judge's answers in both orders."""

    first: _Reply
    second: _Reply
    answers: tuple[str | None, str | None] | None
    """Winner in each order: "first" or "second" of the pair, None for a tie; None without two clear answers."""

    @property
    def is_equal(self) -> bool:
        return self.first.text == self.second.text

    @property
    def is_flip(self) -> bool:
        return self.answers in {("first", "second"), ("second", "first")} and not self.is_equal

    @property
    def winner(self) -> _Reply | None:
        match self.answers:
            case ("first", "first"):
                return self.first
            case ("second", "second"):
                return self.second
        return None


def judged_pairs(journal: Journal) -> tuple[JudgedPairs, ...]:
    """Return the judged pairs of a run for each judge and criteria, in the order in which they were asked.

    Raises:
        JournalError: the price of a judge is damaged.

    """
    lines = [line for line in journal.lines("judge") if line["criteria"] is not None]
    judges = {line["id"]: line for line in lines}
    if not judges:
        return ()
    asked: dict[str, dict[tuple[str, str], str | None]] = {}
    for line in journal.preference_lines:
        asked.setdefault(line["judge"], {})[line["first"], line["second"]] = line["by"]
    replies, of_pairs = _read_replies(journal)
    answers = journal.judge_records
    first_asked = {line["id"]: line["at"] for line in reversed(lines)}
    prices = read_prices(journal)
    return tuple(
        _judged(
            journal.header,
            {**line, "at": first_asked[id_]},
            asked=asked[id_],
            replies=replies,
            of_pairs=of_pairs,
            answers=answers,
            prices=prices,
        )
        for id_, line in judges.items()
        if asked.get(id_)
    )


def _read_replies(journal: Journal) -> tuple[dict[str, _Reply], int]:
    """Return the replies by the keys of their records, and the number of pairs."""
    replies, pairs = {}, 0
    for group in _groups(journal.records, journal.header.checks):
        pairs += len(group) * (len(group) - 1) // 2
        for record in group:
            identity = record.identity
            replies[identity.key] = _Reply(
                identity.target,
                identity.model,
                identity.case,
                identity.turn,
                identity.repeat,
                judged_text(record) or "",
            )
    return replies, pairs


def _judged(
    header: Header,
    line: Mapping[str, Any],
    *,
    asked: Mapping[tuple[str, str], str | None],
    replies: Mapping[str, _Reply],
    of_pairs: int,
    answers: Mapping[str, Record],
    prices: Mapping[str, Any],
) -> JudgedPairs:
    orders = {keys: by for keys, by in asked.items() if keys[0] in replies and keys[1] in replies}
    pairs = [
        _pair(replies[first], replies[second], [answers.get(by or ""), answers.get(orders.get((second, first)) or "")])
        for (first, second), by in orders.items()
        if first < second or (second, first) not in orders
    ]
    used = [answers[by] for by in dict.fromkeys(orders.values()) if by is not None and by in answers]
    decided = [pair for pair in pairs if pair.answers is not None or pair.is_equal]
    outcomes = tuple(map(_outcome, decided))
    names = {reply.target: reply.model for pair in pairs for reply in (pair.first, pair.second)}
    family = family_of(line["target"].partition("/")[2])
    return JudgedPairs(
        judge=line["target"],
        id=line["id"],
        settings=line["settings"],
        criteria=line["criteria"],
        at=line["at"],
        prompt_version=line["prompt_version"],
        pairs=len(pairs),
        of_pairs=of_pairs,
        undecided=len(pairs) - len(decided),
        equal=sum(pair.is_equal for pair in pairs),
        outcomes=outcomes,
        rates=win_rates(outcomes),
        flips=_share((pair.first.case, pair.is_flip) for pair in decided if not pair.is_equal),
        first_named=_share(_named_first(orders, replies, answers)),
        longer_won=_share(_longer_wins(pairs)),
        relatives=tuple(name for name, model in sorted(names.items()) if family and family_of(model) == family),
        cost=judge_cost(header, line, used, prices),
    )


def _pair(first: _Reply, second: _Reply, answers: Sequence[Record | None]) -> _JudgedPair:
    """Return a pair with its answers; the second answer, to the reversed pair, is mapped back."""
    found = [_preference(record) for record in answers]
    if found[0] is None or found[1] is None:
        return _JudgedPair(first, second, None)
    turned = {"first": "second", "second": "first", "tie": "tie"}
    both = [None if name == "tie" else name for name in (found[0], turned[found[1]])]
    return _JudgedPair(first, second, (both[0], both[1]))


def _preference(record: Record | None) -> str | None:
    found = None if record is None or record.outcome not in TIMED else read_preference(record.reply or "")
    return None if found is None else found[0]


def _outcome(pair: _JudgedPair) -> PairOutcome:
    first, winner = pair.first, pair.winner
    return PairOutcome(
        case=first.case,
        first=first.target,
        second=pair.second.target,
        winner=None if winner is None else winner.target,
        turn=first.turn,
        repeat=first.repeat,
    )


def _named_first(
    orders: Mapping[tuple[str, str], str | None], replies: Mapping[str, _Reply], answers: Mapping[str, Record]
) -> Iterator[tuple[str, bool]]:
    for (first, _), by in orders.items():
        preference = _preference(answers.get(by or ""))
        if preference in {"first", "second"}:
            yield replies[first].case, preference == "first"


def _longer_wins(pairs: Iterable[_JudgedPair]) -> Iterator[tuple[str, bool]]:
    for pair in pairs:
        winner, lengths = pair.winner, (len(pair.first.text), len(pair.second.text))
        if winner is not None and lengths[0] != lengths[1]:
            yield pair.first.case, len(winner.text) == max(lengths)


def _share(found: Iterable[tuple[str, bool]]) -> JudgedShare:
    every = [*found]
    count, cases = sum(holds for _, holds in every), {case for case, _ in every}
    return JudgedShare(count, len(every), len(cases), rate_interval(every))


def write_rubric_verdicts(header: Header, record: Record) -> str:
    """Return a line for each rubric that a judge was asked about: verdict, rubric and reason, separated by tabs."""
    wanted = header.checks.get(record.identity.case, {}).get("checks", {}).get("rubric", ())
    found = ((each.verdict.value, each.rubric, each.why or "") for each in rubric_verdicts(record, wanted))
    return "\n".join("\t".join(" ".join(text.split()) for text in fields) for fields in found)


def read_rubric_verdicts(cell: object) -> list[tuple[CheckVerdict, str, str]]:
    """Parse a cell that `write_rubric_verdicts` wrote; an absent cell has no verdicts."""
    lines = cell.split("\n") if isinstance(cell, str) else []
    return [(CheckVerdict(verdict), rubric, why) for verdict, rubric, why in (line.split("\t") for line in lines)]

"""Costs of the requests to judges, of rubrics and of pairs, by the price at the time of each request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.analysis.cost import record_cost
from runner.core.events import TIMED
from runner.core.judge_prompt import read_preference, read_verdict
from runner.core.record import Record
from runner.pricing.money import Money, add_up
from runner.storage.journal import Header, Journal, decode_record


@dataclass(frozen=True, slots=True)
class JudgeCost:
    """Requests to a judge, and the sum of the costs of the `priced` ones, whose cost is known."""

    target: str
    simulated: bool
    requests: int
    failed: int
    """Number of requests without an answer."""
    unclear: int
    """Number of answers without a clear verdict."""
    priced: int
    spent: tuple[Money, ...]
    id: str = ""
    """Id of the judge with its parameters and its prompt; equal if these are equal."""


def rubric_costs(journal: Journal) -> tuple[JudgeCost, ...]:
    """Return the cost of each judge of a run's rubrics.

    Raises:
        JournalError: the price of a judge is damaged.

    """
    if not journal.has_rubrics:
        return ()
    judges = {line["target"]: line for line in journal.lines("judge") if line["criteria"] is None}
    keys = {line["by"] for line in journal.lines("judgement")}
    records = [record for key, record in journal.judge_records.items() if key in keys]
    prices = read_prices(journal)
    return tuple(
        judge_cost(journal.header, line, [record for record in records if record.identity.target == target], prices)
        for target, line in judges.items()
    )


def read_prices(journal: Journal) -> dict[str, Any]:
    """Return key of a judge's request -> the price in the last line of its judge before it, None if unknown.

    A judge has a line for each time it was asked, and its price may have changed in between.
    """
    prices: dict[str, Any] = {}
    of_request = {}
    for line in journal.lines("judge", "judge_record"):
        if line["kind"] == "judge":
            prices[line["target"]] = line["price"]
        else:
            of_request[line["key"]] = prices.get(decode_record(line).identity.target)
    return of_request


def judge_cost(
    header: Header, line: Mapping[str, Any], records: Sequence[Record], prices: Mapping[str, Any]
) -> JudgeCost:
    """Return the cost of a judge's requests, by the price of each or as reported by the provider.

    Args:
        header: that of the judged run.
        line: the last `judge` line of the judge.
        records: its requests.
        prices: the price of each request by its key, as in a header; None if unknown.

    Raises:
        JournalError: a price is damaged.

    """
    costs = (_cost_by(header, record, prices[record.identity.key]) for record in records)
    known = [cost for cost in costs if cost is not None]
    answered = [record for record in records if record.outcome in TIMED]
    read = read_verdict if line["criteria"] is None else read_preference
    return JudgeCost(
        target=line["target"],
        simulated=any(record.identity.simulated for record in records),
        requests=len(records),
        failed=len(records) - len(answered),
        unclear=sum(read(record.reply or "") is None for record in answered),
        priced=len(known),
        spent=add_up(known),
        id=line["id"],
    )


def _cost_by(header: Header, record: Record, price: Any) -> Money | None:
    """Return the cost of a request to a judge, by a price as in a header; None if unknown."""
    return record_cost(replace(header, prices={} if price is None else {record.identity.target: price}), record)

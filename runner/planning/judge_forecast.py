"""Forecast the upper bounds of a judge's requests. Pure.

A judge reads the replies of another model, so its input is bounded by the limit on those replies. Another tokenizer
may make more tokens of a reply than its author's did; that is not counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from runner.core.earlier_reply import EarlierReply
from runner.core.judge_prompt import rubric_prompt
from runner.core.suite import Case, Message
from runner.core.token_estimate import FEWEST_TOKENS_OF_CALL, UPPER_BOUND
from runner.planning.forecast import Bound, TargetForecast, bound, reply_limit, target_forecast
from runner.planning.plan import Plan, Request, Target
from runner.planning.request_size import input_sizes
from runner.pricing.rates import Price
from runner.providers.provider_row import Row

MARKS = 64
"""Highest number of bytes of the two marks around a message of the conversation."""


def rubrics_of(case: Case) -> tuple[str, ...]:
    """Return the rubrics by which a judge decides on each reply of a case."""
    wanted = case.expectations.checks.get("rubric", ())
    return (wanted,) if isinstance(wanted, str) else tuple(wanted) if isinstance(wanted, Sequence) else ()


def conversation_before(case: Case, target: Target, replies: Sequence[EarlierReply]) -> list[Message]:
    """Return the messages of a conversation before the reply to judge; `replies` are the earlier ones."""
    return list(Request(target, case, repeat=1, block=1, replies=tuple(replies)).conversation())


def forecast_judge(
    judge: Target, price: Price | None, plan: Plan, *, rounds: int | None, rows: Mapping[str, Row]
) -> TargetForecast:
    """Return the forecast of the requests that decide on the rubrics of a plan.

    Args:
        judge: the model that judges.
        price: its price, if known.
        plan: the requests whose last replies are judged.
        rounds: the number of times that each case is sent to each target; None without a limit.
        rows: provider -> its row, which has the limits of replies; the judge's provider included.

    """
    limit = reply_limit(judge, rows[judge.provider])
    sizes = [
        size
        for target in plan.targets
        for size in _prompt_sizes(plan.cases, target, reply_limit(target, rows[target.provider]))
    ]
    each_round = [bound(size, limit, price) for size in sizes]
    total = None if rounds is None else sum(each_round, Bound()) * (rounds * len(plan.origins))
    forecast = target_forecast(judge, limit, price, total, [each.cost for each in each_round])
    return replace(forecast, upload_bytes=0)  # it reads texts alone, however many rounds there are


def _prompt_sizes(cases: Iterable[Case], target: Target, reply: int | None) -> Iterator[int | None]:
    """Yield the highest number of input tokens of each request that judges a case's reply by one of its rubrics."""
    for case in cases:
        for rubric in rubrics_of(case):
            if reply is None:
                yield None
                continue
            *_, conversation = input_sizes(case, target.parameters, reply)
            assert conversation is not None, "only a reply without a limit makes it unknown"
            task = UPPER_BOUND.of_messages([rubric_prompt(rubric, (), "")])
            yield task + conversation + reply + MARKS * _most_messages(case, reply)


def _most_messages(case: Case, reply: int) -> int:
    results = reply // FEWEST_TOKENS_OF_CALL + 1 if case.tool_results else 0
    return 1 + len(case.history) + case.steps.most * (2 + results)

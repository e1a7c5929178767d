"""Forecast the upper bounds of a judge's requests. Pure.

A judge reads the replies of another model, so its input is bounded by the limit on those replies. Another tokenizer
may make more tokens of a reply than its author's did; that is not counted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from runner.core.judge_prompt import rubric_prompt
from runner.core.suite import Case
from runner.core.token_estimate import MIN_TOKENS_OF_CALL, UPPER_BOUND
from runner.planning.forecast import Bound, TargetForecast, bound, reply_limit, target_forecast
from runner.planning.plan import Plan
from runner.planning.request import Target
from runner.planning.request_size import input_sizes
from runner.pricing.rates import Price
from runner.providers.provider_row import ProviderRow

MAX_MARK_BYTES = 64
"""Highest number of bytes of the two marks around a message of the conversation."""


def forecast_judge(
    judge: Target, price: Price | None, plan: Plan, *, rounds: int | None, rows: Mapping[str, ProviderRow]
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
        for rubric in case.rubrics:
            if reply is None:
                yield None
                continue
            *_, conversation = input_sizes(case, target.parameters, reply)
            assert conversation is not None, "only a reply without a limit makes it unknown"
            task = UPPER_BOUND.of_messages([rubric_prompt(rubric, (), "")])
            yield task + conversation + reply + MAX_MARK_BYTES * _most_messages(case, reply)


def _most_messages(case: Case, reply: int) -> int:
    results = reply // MIN_TOKENS_OF_CALL + 1 if case.tool_results else 0
    return 1 + len(case.history) + case.steps.most * (2 + results)

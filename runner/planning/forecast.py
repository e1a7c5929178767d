"""What a plan would send and cost at worst, as far as that is bounded: requests, tokens, money, time. Pure.

Prompts are counted upward: a token is at least one byte of UTF-8, so a text has no more tokens than bytes. A reply is
as long as it may be; where nothing limits it, its tokens and its cost have no bound either, and are None. Attempts
that are repeated after a failure are not counted: a provider that refuses a request does not charge for it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from math import ceil

from runner.core.load import LoadProfile
from runner.core.suite import Case
from runner.core.token_estimate import UPPER_BOUND
from runner.planning.plan import Plan, Target
from runner.pricing.money import Money, add_up
from runner.pricing.rates import Price, highest_cost
from runner.providers.request_body import request_body
from runner.providers.row import Limits, Row

REPLY_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """One target's share. None is what nothing bounds, or, of money, what has no known price."""

    target: str
    simulated: bool
    requests: int | None
    """Warm-ups included."""
    warmups: int
    input_tokens: int | None
    output_tokens: int | None
    reply_limit: int | None
    """Tokens that one reply may have."""
    thinks: bool
    """Whether thinking is left to the model or asked for: some providers do not count it against the limit."""
    price: Price | None
    cost: Money | None
    dearest_conversation: Money | None


@dataclass(frozen=True, slots=True)
class LaneForecast:
    """How fast a provider, or a model with limits of its own, may be asked.

    Each time is in seconds, None where no limit is known that takes any.
    """

    name: str
    concurrency: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    by_requests_s: float | None
    """What the requests take at the rate that is set, or at the limit per minute: the run takes this long or longer."""
    by_tokens_s: float | None
    """What the tokens take at the limit per minute, if every one comes that may come."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A whole plan. `blocks` are repeats of everything; None goes on until its time is up or somebody stops it."""

    cases: int
    turns: int
    blocks: int | None
    nodes: int
    """How many nodes ask everything, each of them; 1 where it does not matter who asks."""
    most_requests: int | None
    """What the user allows in all, warm-ups apart."""
    has_end: bool
    """Whether repeats, requests or time end it."""
    targets: tuple[TargetForecast, ...]
    lanes: tuple[LaneForecast, ...]

    @property
    def requests(self) -> int | None:
        """All requests, warm-ups included."""
        in_all = _sum(each.requests for each in self.targets)
        if in_all is None or self.most_requests is None:
            return in_all
        return min(in_all, self.most_requests + sum(each.warmups for each in self.targets))

    @property
    def costs(self) -> tuple[Money, ...]:
        """The known bounds added up, one sum for each currency."""
        return add_up(each.cost for each in self.targets if each.cost is not None)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The real targets without a known price."""
        return tuple(each.target for each in self.targets if each.price is None and not each.simulated)

    @property
    def unbounded(self) -> tuple[str, ...]:
        """The targets that have a price, and nothing that bounds their cost."""
        return tuple(each.target for each in self.targets if each.price is not None and each.cost is None)


def worst_case(
    plan: Plan,
    rows: Mapping[str, Row],
    prices: Mapping[str, Price],
    load: LoadProfile | None = None,
    concurrency: int | None = None,
) -> Forecast:
    """Foresee a plan.

    Args:
        plan: what is asked, of whom.
        rows: provider -> its row, which says how the reply is limited there and how fast it may be asked.
        prices: target -> its price, where one is known.
        load: how hard the run presses.
        concurrency: the user's word on requests under way at once; it wins over the rows'.

    """
    load = load or LoadProfile()
    blocks = _count_blocks(plan, load)
    targets = tuple(
        _foresee(target, rows[target.provider], plan, blocks, None if target.simulated else prices.get(target.name))
        for target in plan.targets
    )
    return Forecast(
        cases=len(plan.cases),
        turns=sum(len(case.turns) for case in plan.cases),
        blocks=blocks,
        nodes=len(plan.origins),
        most_requests=None if load.max_requests is None else load.max_requests * plan.levels,
        has_end=plan.repeat is not None or load.is_bounded,
        targets=targets,
        lanes=tuple(_foresee_lanes(plan.targets, targets, rows, load, concurrency)),
    )


def _count_blocks(plan: Plan, load: LoadProfile) -> int | None:
    """Return how often everything is asked at most; what bounds requests or time is shared evenly among targets."""
    conversations, a_block = len(plan.cases) * len(plan.targets) * len(plan.origins), plan.requests_a_block
    bounds = [] if plan.repeat is None else [plan.repeat]
    if load.max_requests is not None and a_block:
        bounds.append(ceil(load.max_requests / a_block))
    if load.duration_s is not None and load.rate is not None and conversations:
        begun = ceil(load.rate * load.duration_s) * len(plan.targets)
        bounds.append(ceil(begun / conversations))
    return min(bounds) * plan.levels if bounds else None


@dataclass(frozen=True, slots=True)
class _Bound:
    """What some requests take at most; None is without bound, or, of a cost, without price."""

    requests: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost: Decimal | None = Decimal(0)

    def __add__(self, other: "_Bound") -> "_Bound":
        return _Bound(
            self.requests + other.requests,
            _sum((self.input_tokens, other.input_tokens)),
            _sum((self.output_tokens, other.output_tokens)),
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )

    def __mul__(self, times: int) -> "_Bound":
        return _Bound(
            self.requests * times,
            None if self.input_tokens is None else self.input_tokens * times,
            None if self.output_tokens is None else self.output_tokens * times,
            None if self.cost is None else self.cost * times,
        )


def _foresee(target: Target, row: Row, plan: Plan, blocks: int | None, price: Price | None) -> TargetForecast:
    limit = reply_limit(target, row)
    conversations = [[_bound(size, limit, price) for size in _input_sizes(case, target, limit)] for case in plan.cases]
    warmups = [conversations[number % len(conversations)][0] for number in range(plan.warmups)] if plan.cases else []
    a_block, warm = sum(chain.from_iterable(conversations), _Bound()), sum(warmups, _Bound())
    total = None if blocks is None else (a_block * blocks + warm) * len(plan.origins)
    costs = [sum(requests, _Bound()).cost for requests in conversations]
    known = [cost for cost in costs if cost is not None]
    return TargetForecast(
        target=target.name,
        simulated=target.simulated,
        requests=total.requests if total else None,
        warmups=plan.warmups * len(plan.origins),
        input_tokens=total.input_tokens if total else None,
        output_tokens=total.output_tokens if total else None,
        reply_limit=limit,
        thinks=target.parameters.thinking != "off",
        price=price,
        cost=_money(total.cost if total else None, price),
        dearest_conversation=_money(max(known, default=None) if len(known) == len(costs) else None, price),
    )


def _money(amount: Decimal | None, price: Price | None) -> Money | None:
    return None if amount is None or price is None else Money(amount, price.currency)


def _bound(input_tokens: int | None, reply: int | None, price: Price | None) -> _Bound:
    if price is None or input_tokens is None or reply is None:
        return _Bound(1, input_tokens, reply, None)
    return _Bound(1, input_tokens, reply, highest_cost(price, input_tokens, reply))


def _input_sizes(case: Case, target: Target, reply: int | None) -> Iterator[int | None]:
    """Yield the most input tokens of each turn: all that was said before is sent again."""
    system = case.system or target.parameters.system
    texts = [*([system] if system else []), *(message.content for message in case.history)]
    said = UPPER_BOUND.of_messages((*texts, json.dumps(dict(target.parameters.extra_body), default=str)))
    for turn, prompt in enumerate(case.turns):
        if turn and reply is None:
            yield None
            continue
        said += UPPER_BOUND.of_messages((prompt,))
        yield said + UPPER_BOUND.per_request
        said += (reply or 0) + UPPER_BOUND.per_message


def reply_limit(target: Target, row: Row) -> int | None:
    """Return how many tokens a reply may have, as it is sent; None where nothing that is sent limits it."""
    body, _ = request_body(row, target.model, target.parameters)
    limits = [body[name] for name in REPLY_LIMITS if name in body]
    return max((limit for limit in limits if isinstance(limit, int)), default=None)


def _foresee_lanes(
    asked: Sequence[Target],
    targets: Sequence[TargetForecast],
    rows: Mapping[str, Row],
    load: LoadProfile,
    concurrency: int | None,
) -> Iterator[LaneForecast]:
    """Yield a lane for each provider, and one for each model that has limits of its own."""
    shares: dict[tuple[str, str | None], list[TargetForecast]] = {}
    for target, share in zip(asked, targets, strict=True):
        has_own = rows[target.provider].limits_of(target.model) is not None
        shares.setdefault((target.provider, target.model if has_own else None), []).append(share)
    for (provider, model), group in shares.items():
        row = rows[provider]
        own = (None if model is None else row.limits_of(model)) or Limits()
        yield _foresee_lane(
            provider if model is None else f"{provider}/{model}",
            group,
            Limits(
                concurrency=own.concurrency or concurrency or row.concurrency or load.concurrency,
                requests_per_minute=own.requests_per_minute or row.requests_per_minute,
                tokens_per_minute=own.tokens_per_minute or row.tokens_per_minute,
            ),
            load.rate,
        )


def _foresee_lane(name: str, group: Sequence[TargetForecast], limits: Limits, rate: float | None) -> LaneForecast:
    requests = _sum(each.requests for each in group)
    tokens = _sum(count for each in group for count in (each.input_tokens, each.output_tokens))
    begun = [each.requests / rate for each in group if each.requests is not None and rate is not None]
    by_limit = [] if limits.requests_per_minute is None else [_minutes_s(requests, limits.requests_per_minute)]
    return LaneForecast(
        name=name,
        concurrency=limits.concurrency,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        by_requests_s=max((seconds for seconds in (*by_limit, *begun) if seconds is not None), default=None),
        by_tokens_s=None if limits.tokens_per_minute is None else _minutes_s(tokens, limits.tokens_per_minute),
    )


def _minutes_s(count: int | None, a_minute: int) -> float | None:
    return None if count is None else 60 * count / a_minute


def _sum(counts: Iterable[int | None]) -> int | None:
    """Add up counts; None where one of them has no bound."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total

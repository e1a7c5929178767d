"""Forecast the upper bounds of a plan: requests, tokens, money, time. Pure.

The tokens of a prompt are bounded by its bytes, since a token is at least one byte of UTF-8. A reply has as many tokens
as its limit allows; without a limit its tokens and cost have no bound and are None. Retries are not counted, since a
provider that refuses a request does not charge for it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain
from math import ceil

from runner.core.attachment_parts import attachments_of
from runner.core.load_profile import LoadProfile
from runner.core.suite import Case
from runner.core.target_name import TargetName
from runner.core.token_estimate import most_attachment_tokens
from runner.planning.plan import Plan, cache_warming_cases, probed_cases, warms_cache
from runner.planning.request import Target
from runner.planning.request_size import input_sizes
from runner.pricing.money import Money, add_up
from runner.pricing.rates import Price, highest_cost
from runner.providers.provider_row import Limits, ProviderRow
from runner.providers.request_body import request_body

REPLY_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The fields of a request body that limit a reply, in all dialects."""


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """The forecast of one target. None means no bound, or for money no known price."""

    name: TargetName
    settings: Mapping[str, object]
    """Parameters that a variant sets; empty for a target that is not a variant."""
    simulated: bool
    requests: int | None
    """Number of requests, warm-ups included."""
    warmups: int
    input_tokens: int | None
    output_tokens: int | None
    reply_limit: int | None
    """Limit on the tokens of one reply."""
    thinks: bool
    """Whether the model may think; some providers do not count tokens of thinking against `reply_limit`."""
    price: Price | None
    cost: Money | None
    dearest_conversation: Money | None
    """Highest cost of one conversation, with the request that warms its cache: a budget must allow for both."""
    sized_tokens: int | None = 0
    """Estimated input tokens of the requests whose text is cut to a number of tokens. Not a bound."""
    sized_cost: Money | None = None
    """Cost of `sized_tokens` at the highest rates; None without a price or a bound on rounds."""
    upload_bytes: int | None = 0
    """Bytes of images, files and audio in its requests, in base64; later turns repeat those of earlier ones."""

    @property
    def target(self) -> str:
        """The target's name."""
        return str(self.name)


@dataclass(frozen=True, slots=True)
class LaneForecast:
    """The forecast of a lane: a provider, or a model with its own limits.

    Times are in seconds, and None if no known limit determines them.
    """

    name: str
    concurrency: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    by_requests_s: float | None
    """Time until the last conversation starts at the set rate, or time for all requests at the limit per minute: a
    lower bound of the run's time."""
    by_tokens_s: float | None
    """Time for the highest number of tokens at the limit per minute."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of a whole plan."""

    cases: int
    turns: int
    rounds: int | None
    """Number of rounds over all levels; None without a limit."""
    nodes: int
    """Number of nodes that each send all requests; 1 if any node may send a request."""
    most_requests: int | None
    """The user's limit on all requests, warm-ups not counted."""
    has_end: bool
    """Whether a number of repeats, a number of requests, or a duration ends the run."""
    targets: tuple[TargetForecast, ...]
    lanes: tuple[LaneForecast, ...]
    max_steps: int = 1
    """Highest number of requests for one turn of the user, in which models may call tools."""
    judge: TargetForecast | None = None
    """Forecast of the requests to the suite's judge, sent after those to the targets; None without rubrics."""

    @property
    def paid(self) -> tuple[TargetForecast, ...]:
        """The targets, and the judge if there is one: all that may cost money."""
        return self.targets if self.judge is None else (*self.targets, self.judge)

    @property
    def requests(self) -> int | None:
        """Highest number of requests, warm-ups included; the exact number if no turn has several steps."""
        total = _sum(each.requests for each in self.targets)
        if total is None or self.most_requests is None:
            return total
        return min(total, self.most_requests + sum(each.warmups for each in self.targets))

    @property
    def upload_bytes(self) -> int | None:
        """Bytes of images, files and audio in all requests; None without an end."""
        return _sum(each.upload_bytes for each in self.targets)

    @property
    def is_capped(self) -> bool:
        """Whether the limit on all requests is below the sum of the targets' highest numbers of requests."""
        total = _sum(each.requests for each in self.targets)
        return self.most_requests is not None and total != self.requests

    @property
    def costs(self) -> tuple[Money, ...]:
        """The sum of the known upper bounds, for each currency."""
        return add_up(each.cost for each in self.paid if each.cost is not None)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The targets without a known price, except simulated ones."""
        return tuple(each.target for each in self.paid if each.price is None and not each.simulated)

    @property
    def unbounded(self) -> tuple[str, ...]:
        """The targets with a price and no bound on their cost."""
        return tuple(each.target for each in self.paid if each.price is not None and each.cost is None)


def provider_limit(row: ProviderRow, load: LoadProfile, concurrency: int | None) -> int:
    """Return the concurrency limit of a provider, not counting models with limits of their own."""
    return concurrency or row.concurrency or load.concurrency


def forecast_plan(
    plan: Plan,
    rows: Mapping[str, ProviderRow],
    prices: Mapping[str, Price],
    load: LoadProfile | None = None,
    concurrency: int | None = None,
) -> Forecast:
    """Return the forecast of a plan.

    Args:
        plan: the requests of the run.
        rows: provider -> its row, which has the field that limits a reply and the limits of the provider.
        prices: target -> its price, if one is known.
        load: the load profile; by default that of a plain comparison.
        concurrency: the user's limit on requests in flight; it overrides those of the rows.

    """
    load = load or LoadProfile()
    rounds = _count_rounds(plan, load)
    targets = tuple(
        _forecast_target(
            target, rows[target.provider], plan, rounds, None if target.simulated else prices.get(target.name)
        )
        for target in plan.targets
    )
    return Forecast(
        cases=len(plan.cases),
        turns=sum(len(case.turns) for case in plan.cases),
        max_steps=max((case.steps.max_steps for case in plan.cases), default=1),
        rounds=rounds,
        nodes=len(plan.origins),
        most_requests=None if load.max_requests is None else load.max_requests * plan.levels,
        has_end=plan.repeat is not None or load.is_bounded,
        targets=targets,
        lanes=tuple(
            _forecast_lanes(plan.targets, targets, rows, load, concurrency, start_s=_last_start_s(plan, rounds, load))
        ),
    )


def _count_rounds(plan: Plan, load: LoadProfile) -> int | None:
    """Return an upper bound on the rounds of all levels; limits on requests and time apply evenly to all targets."""
    conversations, a_round = len(plan.cases) * len(plan.targets) * len(plan.origins), plan.requests_a_round
    bounds = [] if plan.repeat is None else [plan.repeat]
    if load.max_requests is not None and a_round:
        bounds.append(ceil(load.max_requests / a_round))
    if load.duration_s is not None and load.rate is not None and conversations:
        started = ceil(load.rate * load.duration_s) * len(plan.targets)
        bounds.append(ceil(started / conversations))
    return min(bounds) * plan.levels if bounds else None


def _last_start_s(plan: Plan, rounds: int | None, load: LoadProfile) -> float | None:
    """Return the seconds until an open loop starts each target's last conversation; None without a rate or an end."""
    if rounds is None or load.rate is None:
        return None
    conversations = rounds * len(plan.cases) * len(plan.origins)
    if load.max_requests is not None and plan.requests_a_round:
        conversations = min(conversations, load.max_requests * conversations // (rounds * plan.requests_a_round))
    seconds = max(0, conversations - 1) / load.rate
    return seconds if load.duration_s is None else min(seconds, load.duration_s)


@dataclass(frozen=True, slots=True)
class Bound:
    """Upper bounds of some requests. None means no bound; for a cost, also no price."""

    requests: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost: Decimal | None = Decimal(0)
    upload_bytes: int = 0

    def __add__(self, other: "Bound") -> "Bound":
        return Bound(
            self.requests + other.requests,
            _sum((self.input_tokens, other.input_tokens)),
            _sum((self.output_tokens, other.output_tokens)),
            None if self.cost is None or other.cost is None else self.cost + other.cost,
            self.upload_bytes + other.upload_bytes,
        )

    def __mul__(self, times: int) -> "Bound":
        return Bound(
            self.requests * times,
            None if self.input_tokens is None else self.input_tokens * times,
            None if self.output_tokens is None else self.output_tokens * times,
            None if self.cost is None else self.cost * times,
            self.upload_bytes * times,
        )


def _forecast_target(
    target: Target, row: ProviderRow, plan: Plan, rounds: int | None, price: Price | None
) -> TargetForecast:
    limit = reply_limit(target, row)
    conversations = [list(_bounds(case, target, limit, price)) for case in plan.cases]
    warmups = [conversations[number % len(conversations)][0] for number in range(plan.warmups)] if plan.cases else []
    unmeasured = [*cache_warming_cases(plan, target), *(case for _, case in probed_cases(plan))]
    warmups += [next(_bounds(case, target, limit, price)) for case in unmeasured]
    sized = [tokens for case in plan.cases if case.input for tokens in [case.input.tokens] * len(case.turns)]
    each_round, warmup = sum(chain.from_iterable(conversations), Bound()), sum(warmups, Bound())
    total = None if rounds is None else (each_round * rounds + warmup) * len(plan.origins)
    costs = [
        sum(requests, requests[0] if warms_cache(target, case) else Bound()).cost
        for case, requests in zip(plan.cases, conversations, strict=True)
    ]
    found = target_forecast(target, limit, price, total, costs)
    return replace(
        found,
        upload_bytes=found.upload_bytes if each_round.upload_bytes or warmup.upload_bytes else 0,
        warmups=len(warmups) * len(plan.origins),
        sized_tokens=_times(sum(sized), rounds, len(plan.origins)),
        sized_cost=_money(_input_cost(sized, rounds, len(plan.origins), price), price),
    )


def _times(in_a_round: int, rounds: int | None, origins: int) -> int | None:
    """Return how much all rounds have of what each has; None without a limit on rounds, unless each has nothing."""
    return 0 if not in_a_round else None if rounds is None else in_a_round * rounds * origins


def target_forecast(
    target: Target, limit: int | None, price: Price | None, total: Bound | None, costs: Sequence[Decimal | None]
) -> TargetForecast:
    """Return a target's forecast, without warm-ups and sized inputs.

    Args:
        target: the target.
        limit: the limit on the tokens of one reply.
        price: the target's price, if known.
        total: the upper bounds of all its requests; None without a limit on rounds.
        costs: the upper bounds of the costs of its conversations, of which the highest counts.

    """
    known = [cost for cost in costs if cost is not None]
    return TargetForecast(
        name=target.full_name,
        settings=target.settings,
        simulated=target.simulated,
        requests=total.requests if total else None,
        warmups=0,
        input_tokens=total.input_tokens if total else None,
        output_tokens=total.output_tokens if total else None,
        reply_limit=limit,
        thinks=target.parameters.thinking != "off",
        price=price,
        cost=_money(total.cost if total else None, price),
        dearest_conversation=_money(max(known, default=None) if len(known) == len(costs) else None, price),
        upload_bytes=total.upload_bytes if total else None,
    )


def _input_cost(sizes: Sequence[int], rounds: int | None, origins: int, price: Price | None) -> Decimal | None:
    """Return what inputs of these sizes cost at the dearest rates; None if that is not known."""
    if price is None or rounds is None or not sizes:
        return None
    return sum((highest_cost(price, tokens, 0) for tokens in sizes), Decimal(0)) * rounds * origins


def _money(amount: Decimal | None, price: Price | None) -> Money | None:
    return None if amount is None or price is None else Money(amount, price.currency)


def _bounds(case: Case, target: Target, reply: int | None, price: Price | None) -> Iterator[Bound]:
    """Yield the bounds of each turn."""
    before = [each for message in case.history for each in attachments_of(message.parts)]
    sent = before
    for turn, size in enumerate(input_sizes(case, target.parameters, reply), 1):
        asked, step = case.steps.turn_and_step(turn)
        if step == 1:
            sent = [*(before if case.idle_s else sent), *attachments_of(case.parts_of(asked))]
        tokens = _sum([size, *map(most_attachment_tokens, sent)])
        yield replace(bound(tokens, reply, price), upload_bytes=sum(each.upload_bytes for each in sent))


def bound(input_tokens: int | None, reply: int | None, price: Price | None) -> Bound:
    """Return the upper bounds of one request, given those of its input and its reply."""
    if price is None or input_tokens is None or reply is None:
        return Bound(1, input_tokens, reply, None)
    return Bound(1, input_tokens, reply, highest_cost(price, input_tokens, reply))


def reply_limit(target: Target, row: ProviderRow) -> int | None:
    """Return the limit on a reply's tokens in the request body; None if it has none."""
    body, _ = request_body(row, target.model, target.parameters)
    limits = [body[name] for name in REPLY_LIMITS if name in body]
    return max((limit for limit in limits if isinstance(limit, int)), default=None)


def _forecast_lanes(
    targets: Sequence[Target],
    forecasts: Sequence[TargetForecast],
    rows: Mapping[str, ProviderRow],
    load: LoadProfile,
    concurrency: int | None,
    *,
    start_s: float | None,
) -> Iterator[LaneForecast]:
    """Yield a lane for each provider, and one for each model with its own limits."""
    lanes: dict[tuple[str, str | None], list[TargetForecast]] = {}
    for target, forecast in zip(targets, forecasts, strict=True):
        has_own = rows[target.provider].limits_of(target.model) is not None
        lanes.setdefault((target.provider, target.model if has_own else None), []).append(forecast)
    for (provider, model), group in lanes.items():
        row = rows[provider]
        own = (None if model is None else row.limits_of(model)) or Limits()
        yield _forecast_lane(
            provider if model is None else f"{provider}/{model}",
            group,
            Limits(
                concurrency=own.concurrency or provider_limit(row, load, concurrency),
                requests_per_minute=own.requests_per_minute or row.requests_per_minute,
                tokens_per_minute=own.tokens_per_minute or row.tokens_per_minute,
            ),
            start_s,
        )


def _forecast_lane(name: str, group: Sequence[TargetForecast], limits: Limits, start_s: float | None) -> LaneForecast:
    requests = _sum(each.requests for each in group)
    tokens = _sum(count for each in group for count in (each.input_tokens, each.output_tokens))
    by_limit = None if limits.requests_per_minute is None else _seconds_of(requests, limits.requests_per_minute)
    return LaneForecast(
        name=name,
        concurrency=limits.concurrency,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        by_requests_s=max((seconds for seconds in (by_limit, start_s) if seconds is not None), default=None),
        by_tokens_s=None if limits.tokens_per_minute is None else _seconds_of(tokens, limits.tokens_per_minute),
    )


def _seconds_of(count: int | None, per_minute: int) -> float | None:
    return None if count is None else 60 * count / per_minute


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return the sum of counts; None if one of them has no bound."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total

"""When a run has spent enough, or knows enough: rules that hear of every record and are asked before each conversation.

A rule gives a sentence once it wants no further conversation begun; what is under way ends by itself. The rules read
no clock and do no I/O. The bootstrap behind `Precision` takes up to a second, so it runs where the caller says: on a
thread of its own, the loop that stamps is held up by 5 ms at most.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Protocol

from runner.analysis.cost import cost_by, tokens_of
from runner.analysis.intervals import FEWEST_UNITS, median_interval
from runner.analysis.places import MeasuredTarget
from runner.core.record import Record
from runner.errors import CompareError
from runner.planning.forecast import Forecast, TargetForecast
from runner.planning.plan import Plan
from runner.pricing.money import Money
from runner.pricing.rates import Price, highest_cost


class StopRule(Protocol):
    """Hears of every record, earlier ones of a resumed run first; called, it says why nothing more may begin."""

    def hear(self, record: Record) -> None:
        """Learn what came of one request."""

    def __call__(self) -> str | None:
        """Return why to stop, in a clause; None allows one more conversation."""


class Budget:
    """Stops before a sum of one currency may be passed, as far as that can be foreseen.

    It holds back what all conversations under way, and one more, may cost at most. Where nothing limits a reply, the
    dearest one so far stands in for that, so that the last few conversations may still pass the budget.
    """

    def __init__(self, limit: Money, plan: Plan, targets: Sequence[TargetForecast]) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self._turns = {case.id: len(case.turns) for case in plan.cases}
        self._prices = {each.target: each.price for each in targets if each.price is not None}
        bounds = [each.dearest_conversation for each in targets]
        self._is_bounded = None not in bounds
        self._dearest_conversation = max((bound.amount for bound in bounds if bound is not None), default=Decimal(0))
        self._dearest_request = Decimal(0)
        self._begun = self._finished = 0

    def hear(self, record: Record) -> None:
        """Charge a request, and note if its conversation is over."""
        charge = self._charge(record)
        self.spent += charge
        self._dearest_request = max(self._dearest_request, charge)
        is_last = record.identity.turn == self._turns.get(record.identity.case)
        if self._begun and is_last and not record.warmup:
            self._finished += 1

    def __call__(self) -> str | None:
        """Return why nothing more may begin; None counts one more conversation as begun."""
        under_way = self._begun - self._finished
        reserve = (under_way + 1) * self._reserve_of_one
        if self.spent + reserve <= self.limit.amount and self.spent < self.limit.amount:
            self._begun += 1
            return None
        spent = Money(self.spent, self.limit.currency)
        held_back = Money(reserve, self.limit.currency)
        return f"the budget of {self.limit} is reached: {spent} spent, up to {held_back} for {_describe(under_way)}"

    @property
    def _reserve_of_one(self) -> Decimal:
        if self._is_bounded:
            return self._dearest_conversation
        return max(self._dearest_conversation, self._dearest_request * max(self._turns.values(), default=1))

    def _charge(self, record: Record) -> Decimal:
        """Return what a request costs, upward where that is not known; a refused one costs nothing."""
        price = self._prices.get(record.identity.target)
        if price is None:
            return Decimal(0)
        known = cost_by(price, record)
        return self._most(price, record) if known is None else known

    def _most(self, price: Price, record: Record) -> Decimal:
        tokens = tokens_of(record)
        if tokens.input is not None and tokens.output is not None:
            return highest_cost(price, tokens.input, tokens.output)
        was_refused = record.http_status is not None and record.http_status >= 400
        if record.timestamps.sent is None or was_refused:
            return Decimal(0)
        return self._dearest_conversation if self._is_bounded else self._dearest_request


def _describe(under_way: int) -> str:
    if under_way == 0:
        return "one more conversation"
    return f"{under_way} conversation{'' if under_way == 1 else 's'} under way and one more"


@dataclass(frozen=True, slots=True)
class Narrowness:
    """Half of a median's 95 % interval as a share of the median; None where there is no interval yet."""

    target: str
    share: float | None
    n: int


Sample = tuple[Sequence[float], Sequence[int]]
"""Values, and the block of each."""


def measure_narrowness(samples: Mapping[str, Sample]) -> tuple[Narrowness, ...]:
    """Return how narrow each target's interval is; takes about a tenth of a second for each."""
    return tuple(Narrowness(target, _half_width(*sample), len(sample[0])) for target, sample in samples.items())


def _half_width(values: Sequence[float], blocks: Sequence[int]) -> float | None:
    interval = median_interval(values, blocks)
    middle = median(values) if values else 0.0
    return (interval.high - interval.low) / 2 / middle if interval is not None and middle > 0 else None


class Precision:
    """Stops when the 95 % interval of the median TTFT is narrow enough for every target, from every vantage.

    Judged at ends of blocks alone, from whole blocks: to stop in the middle of one would favour the targets that
    answered in it first. Conversations go on beginning while a judgement is under way.
    """

    def __init__(self, share: float, plan: Plan, executor: Executor) -> None:
        self.share = share
        self._executor = executor
        self._requests_a_block = plan.requests_a_block
        self._has_vantages = bool(plan.vantages)
        self._heard: Counter[int] = Counter()
        self._open: defaultdict[int, list[tuple[str, float]]] = defaultdict(list)
        self._samples: dict[str, tuple[list[float], list[int]]] = {
            _name_sample(target.name, origin.name if origin else None): ([], [])
            for target in plan.targets
            for origin in plan.origins
        }
        self._blocks = self._judged = 0
        self._judging: Future[tuple[Narrowness, ...]] | None = None

    def hear(self, record: Record) -> None:
        """Note a request's TTFT, if it counts, and whether it was the last of its block."""
        if record.warmup:
            return
        block = record.identity.block
        if record.timed and record.ttft_s is not None:
            node = record.node if self._has_vantages else None
            self._open[block].append((_name_sample(record.identity.target, node), record.ttft_s))
        self._heard[block] += 1
        if self._heard[block] == self._requests_a_block:
            self._close(block)

    def _close(self, block: int) -> None:
        """Let the values of a whole block count."""
        del self._heard[block]
        self._blocks += 1
        for target, ttft_s in self._open.pop(block, ()):
            values, blocks = self._samples[target]
            values.append(ttft_s)
            blocks.append(block)

    def __call__(self) -> str | None:
        """Return that all is known well enough, once it is."""
        if self._judging is None and self._blocks >= FEWEST_UNITS and self._blocks > self._judged:
            self._judged = self._blocks
            samples = {target: (values[:], blocks[:]) for target, (values, blocks) in self._samples.items()}
            self._judging = self._executor.submit(measure_narrowness, samples)
        if self._judging is None or not self._judging.done():
            return None
        found, self._judging = self._judging.result(), None
        return self._verdict(found)

    def _verdict(self, found: Sequence[Narrowness]) -> str | None:
        shares = [each.share for each in found if each.share is not None]
        if len(shares) < len(found) or max(shares) > self.share:
            return None
        widest = max(found, key=lambda each: each.share or 0.0)
        return (
            f"every target's median TTFT is known to ±{_percent(self.share)}, "
            f"least well {widest.target}'s, to ±{_percent(max(shares))} (n {widest.n}, {self._judged} blocks)"
        )


def _name_sample(target: str, node: str | None) -> str:
    """Say of whom a median is, and as seen from where, if each node asks everything."""
    return str(MeasuredTarget(target, node))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


class FirstOf:
    """Several rules; the first that wants to stop has its way."""

    def __init__(self, rules: Sequence[StopRule]) -> None:
        self._rules = tuple(rules)

    def hear(self, record: Record) -> None:
        """Tell all."""
        for rule in self._rules:
            rule.hear(record)

    def __call__(self) -> str | None:
        """Ask one after the other."""
        return next((reason for rule in self._rules if (reason := rule()) is not None), None)


def stop_rule(
    plan: Plan,
    forecast: Forecast,
    *,
    budgets: Sequence[Money] = (),
    until_ci: float | None = None,
    executor: Executor | None = None,
) -> StopRule | None:
    """Return the rule that ends a run early; None if nothing does.

    Args:
        plan: what is asked.
        forecast: what it may cost, with the price of every target.
        budgets: the sums that may be spent, one of each currency.
        until_ci: how narrow every target's median TTFT is to be known, as a share of it.
        executor: where the judgement on that is made.

    Raises:
        CompareError: a budget cannot be kept, since a price is not known or in another currency; or narrowness may
            never be reached, since nothing else ends the run, or a target is asked for its reply in one piece.

    """
    rules: list[StopRule] = []
    if until_ci is not None:
        assert executor is not None
        _refuse_endless(forecast, budgets)
        _refuse_untimed(plan)
        rules.append(Precision(until_ci, plan, executor))
    if budgets:
        _refuse_unwatched(forecast, budgets)
        rules += [Budget(budget, plan, _paid_in(budget.currency, forecast)) for budget in budgets]
    return FirstOf(rules) if rules else None


def _refuse_endless(forecast: Forecast, budgets: Sequence[Money]) -> None:
    if not forecast.has_end and not budgets:
        raise CompareError(
            "--until-ci may go on for ever, if a target's times vary too much. "
            "Say how far it may go: add --max-requests N, --duration TIME or --budget SUM."
        )


def _refuse_untimed(plan: Plan) -> None:
    untimed = [target.name for target in plan.targets if not target.parameters.stream]
    if untimed:
        raise CompareError(
            f"--until-ci waits for the TTFT of {', '.join(untimed)}, which there is none of without streaming. "
            "Remove `stream: false`, or --until-ci."
        )


def _refuse_unwatched(forecast: Forecast, budgets: Sequence[Money]) -> None:
    currencies = [budget.currency for budget in budgets]
    if len(set(currencies)) < len(currencies):
        raise CompareError(f"--budget names {max(currencies, key=currencies.count)} twice. Give one sum a currency.")
    if forecast.unpriced:
        raise CompareError(
            f"--budget cannot watch {', '.join(forecast.unpriced)}: no price is known. "
            "`compare plan` says why; write one under `prices` in compare.yaml, or leave the target out."
        )
    for each in forecast.targets:
        if each.price is not None and each.price.currency not in currencies:
            raise CompareError(
                f"--budget is in {' and '.join(currencies)}, and {each.target} costs {each.price.currency}: "
                f"add --budget N{each.price.currency}. Currencies are not converted."
            )


def _paid_in(currency: str, forecast: Forecast) -> list[TargetForecast]:
    return [each for each in forecast.targets if each.price is not None and each.price.currency == currency]


def parse_share(text: str) -> float:
    """Read `5%` as 0.05; raise `CompareError` for anything else."""
    number = text.strip().removesuffix("%").strip()
    try:
        percent = float(number)
    except ValueError:
        percent = 0.0
    if not text.strip().endswith("%") or not 0 < percent <= 100:
        raise CompareError(f"{text!r} is no share. Write a percentage above 0, such as 5%.")
    return percent / 100

"""Rules that end a run early: a budget is spent, or every median is known precisely enough.

A rule observes every record, and is called before each conversation starts. It returns a sentence once no further
conversation is to start; those that have started run to their end. The rules read no clock and do no I/O. The bootstrap
behind `Precision` takes up to a second, so it runs on the executor that the caller passes: a thread of its own holds up
the event loop by 5 ms at most.
"""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from runner.analysis.checks import CheckedCell, CheckTally
from runner.analysis.cost import cost_by, tokens_of
from runner.analysis.intervals import FEWEST_UNITS, median_interval
from runner.analysis.measured_target import MeasuredTarget, TargetSplit
from runner.analysis.pass_rate import measure_pass_rate
from runner.core.conversation import is_last_turn
from runner.core.record import Record
from runner.core.until_ci import UntilCi
from runner.engine.observer import Observer
from runner.errors import CompareError
from runner.planning.forecast import Forecast, TargetForecast
from runner.planning.judge_forecast import rubrics_of
from runner.planning.plan import Plan
from runner.planning.settled_requests import SettledRequests
from runner.pricing.money import Money
from runner.pricing.rates import Price, highest_cost
from runner.storage.journal import Header


class StopRule(Observer, ABC):
    """Decides before each conversation whether it may start; observes records, those of a resumed run first."""

    @abstractmethod
    def __call__(self) -> str | None:
        """Return why to stop, in a clause; None allows one more conversation."""


class Budget(StopRule):
    """Stops before a sum of one currency may be exceeded, as far as that can be foreseen.

    It reserves the most that all conversations under way, and one more, may cost. Where nothing limits a reply, the
    most expensive one so far counts as that most, so that the last few conversations may still exceed the budget.
    """

    def __init__(self, limit: Money, plan: Plan, targets: Sequence[TargetForecast]) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self._steps = {case.id: case.steps for case in plan.cases}
        self._prices = {each.target: each.price for each in targets if each.price is not None}
        bounds = [each.dearest_conversation for each in targets]
        self._is_bounded = None not in bounds
        self._dearest_conversation = max((bound.amount for bound in bounds if bound is not None), default=Decimal(0))
        self._dearest_request = Decimal(0)
        self._started = self._finished = 0

    def finished(self, record: Record) -> None:
        """Charge a request, and count its conversation as finished if this was its last turn."""
        charge = self._charge(record)
        self.spent += charge
        self._dearest_request = max(self._dearest_request, charge)
        steps = self._steps.get(record.identity.case)
        is_last = steps is not None and is_last_turn(steps, record)
        if self._started and is_last and not record.warmup:
            self._finished += 1

    def __call__(self) -> str | None:
        """Return why no conversation may start; None counts one more as started."""
        under_way = self._started - self._finished
        reserve = (under_way + 1) * self._reserve_each
        if self.spent + reserve <= self.limit.amount and self.spent < self.limit.amount:
            self._started += 1
            return None
        spent = Money(self.spent, self.limit.currency)
        reserved = Money(reserve, self.limit.currency)
        conversations = _describe_reserved(under_way)
        return f"the budget of {self.limit} is reached: {spent} spent, up to {reserved} for {conversations}"

    @property
    def _reserve_each(self) -> Decimal:
        if self._is_bounded:
            return self._dearest_conversation
        most = max((steps.most for steps in self._steps.values()), default=1)
        return max(self._dearest_conversation, self._dearest_request * most)

    def _charge(self, record: Record) -> Decimal:
        """Return what a request cost, at most where its tokens are not known; a refused one cost nothing."""
        price = self._prices.get(record.identity.target)
        if price is None:
            return Decimal(0)
        known = cost_by(price, record)
        return self._highest_charge(price, record) if known is None else known

    def _highest_charge(self, price: Price, record: Record) -> Decimal:
        tokens = tokens_of(record)
        if tokens.input is not None and tokens.output is not None:
            return highest_cost(price, tokens.input, tokens.output)
        was_refused = record.http_status is not None and record.http_status >= 400
        if record.timestamps.sent is None or was_refused:
            return Decimal(0)
        return self._dearest_conversation if self._is_bounded else self._dearest_request


def _describe_reserved(under_way: int) -> str:
    if under_way == 0:
        return "one more conversation"
    return f"{under_way} conversation{'' if under_way == 1 else 's'} under way and one more"


@dataclass(frozen=True, slots=True)
class Narrowness:
    """Half the width of a median's 95 % interval, as a share of the median; None where there is no interval yet."""

    target: str
    share: float | None
    n: int


Sample = tuple[Sequence[float], Sequence[int]]
"""TTFTs in seconds, and the round of each."""


def measure_narrowness(samples: Mapping[str, Sample]) -> tuple[Narrowness, ...]:
    """Return how narrow each target's interval is. Takes about 0.1 s for each target."""
    return tuple(Narrowness(target, _half_width(*sample), len(sample[0])) for target, sample in samples.items())


def _half_width(values: Sequence[float], rounds: Sequence[int]) -> float | None:
    interval = median_interval(values, rounds)
    middle = median(values) if values else 0.0
    return (interval.high - interval.low) / 2 / middle if interval is not None and middle > 0 else None


class Precision(StopRule):
    """Stops when the 95 % interval of the median TTFT is narrow enough for every target, from every vantage.

    Only whole rounds count: to stop in the middle of one would favour the targets that answered in it first.
    Conversations keep starting while the intervals are computed.
    """

    def __init__(self, share: float, plan: Plan, executor: Executor) -> None:
        self.share = share
        self._executor = executor
        self._requests_a_round, self._settled = plan.requests_a_round, SettledRequests(plan)
        self._has_vantages = bool(plan.vantages)
        self._recorded: Counter[int] = Counter()
        self._open: defaultdict[int, list[tuple[str, float]]] = defaultdict(list)
        self._samples: dict[str, tuple[list[float], list[int]]] = {
            _name_sample(target.name, origin.name if origin else None): ([], [])
            for target in plan.targets
            for origin in plan.origins
        }
        self._rounds = self._measured_rounds = 0
        self._measuring: Future[tuple[Narrowness, ...]] | None = None

    def finished(self, record: Record) -> None:
        """Take in a request's TTFT, if it counts, and close its round if this was the last request of it."""
        if record.warmup:
            return
        round_number = record.identity.block
        if record.timed and record.ttft_s is not None:
            node = record.node if self._has_vantages else None
            self._open[round_number].append((_name_sample(record.identity.target, node), record.ttft_s))
        self._recorded[round_number] += self._settled.of(record)
        if self._recorded[round_number] == self._requests_a_round:
            self._close(round_number)

    def _close(self, round_number: int) -> None:
        """Add the values of a whole round to the samples."""
        del self._recorded[round_number]
        self._rounds += 1
        for target, ttft_s in self._open.pop(round_number, ()):
            values, rounds = self._samples[target]
            values.append(ttft_s)
            rounds.append(round_number)

    def __call__(self) -> str | None:
        """Return why to stop, once every interval is narrow enough."""
        if self._measuring is None and self._rounds >= FEWEST_UNITS and self._rounds > self._measured_rounds:
            self._measured_rounds = self._rounds
            samples = {target: (values[:], rounds[:]) for target, (values, rounds) in self._samples.items()}
            self._measuring = self._executor.submit(measure_narrowness, samples)
        if self._measuring is None or not self._measuring.done():
            return None
        found, self._measuring = self._measuring.result(), None
        return self._judge(found)

    def _judge(self, found: Sequence[Narrowness]) -> str | None:
        shares = [each.share for each in found if each.share is not None]
        if len(shares) < len(found) or max(shares) > self.share:
            return None
        widest = max(found, key=lambda each: each.share or 0.0)
        return (
            f"every target's median TTFT is known to ±{_percent(self.share)}, "
            f"least well {widest.target}'s, to ±{_percent(max(shares))} (n {widest.n}, {self._measured_rounds} rounds)"
        )


class PassPrecision(StopRule):
    """Stops when the 95 % interval of the pass rate is narrow enough for every target, from every vantage.

    Only whole rounds count, as for `Precision`, from the first on: the cases are the sample. Replies are checked on the
    executor, each round's when it is whole.
    """

    def __init__(self, share: float, plan: Plan, executor: Executor, header: Header) -> None:
        self.share = share
        self._executor = executor
        self._requests_a_round = plan.requests_a_round
        self._targets = len(plan.targets) * len(plan.origins)
        self._open: defaultdict[int, list[Record]] = defaultdict(list)
        self._tally = CheckTally(header, TargetSplit({name: name for name in header.vantages}))
        self._rounds = 0
        self._checking: Future[str | None] | None = None

    def finished(self, record: Record) -> None:
        """Take in a request, if it counts, and have its round checked if this was the last request of it."""
        if record.warmup:
            return
        of_round = self._open[record.identity.block]
        of_round.append(record)
        if len(of_round) == self._requests_a_round:
            del self._open[record.identity.block]
            self._rounds += 1
            self._checking = self._executor.submit(self._judge, of_round, self._rounds)

    def __call__(self) -> str | None:
        """Return why to stop, once every interval is narrow enough."""
        return self._checking.result() if self._checking is not None and self._checking.done() else None

    def _judge(self, records: Sequence[Record], rounds: int) -> str | None:
        """Check the replies of a whole round; return why to stop after it, if so."""
        for record in records:
            self._tally.add(record)
        cells = defaultdict[str, list[CheckedCell]](list)
        for cell in self._tally.cells:
            cells[str(cell.target)].append(cell)
        rates = {target: rate for target, of_target in cells.items() if (rate := measure_pass_rate(of_target))}
        halves = {target: (each.interval.high - each.interval.low) / 2 for target, each in rates.items()}
        if len(halves) < self._targets or max(halves.values()) > self.share:
            return None
        widest = max(halves, key=lambda target: halves[target])
        return (
            f"every target's pass rate is known to ±{_points(self.share)}, least well {widest}'s, to "
            f"±{_points(halves[widest])} (n {rates[widest].n} repeats of {rates[widest].cases} cases, {rounds} rounds)"
        )


def _points(share: float) -> str:
    return f"{100 * share:.2g} points"


def _name_sample(target: str, node: str | None) -> str:
    """Return the target's name, with that of the node if each node asks everything."""
    return str(MeasuredTarget(target, node))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


class AllOf(StopRule):
    """Stops once each of several rules has had a reason to stop."""

    def __init__(self, rules: Sequence[StopRule]) -> None:
        self._reasons: dict[StopRule, str | None] = dict.fromkeys(rules)

    def finished(self, record: Record) -> None:
        """Pass a record to every rule."""
        for rule in self._reasons:
            rule.finished(record)

    def __call__(self) -> str | None:
        """Return the reasons of all rules, once each has had one."""
        self._reasons = {rule: reason or rule() for rule, reason in self._reasons.items()}
        known = [reason for reason in self._reasons.values() if reason]
        return "; ".join(known) if len(known) == len(self._reasons) else None


class FirstOf(StopRule):
    """Stops as soon as one of several rules does."""

    def __init__(self, rules: Sequence[StopRule]) -> None:
        self._rules = tuple(rules)

    def finished(self, record: Record) -> None:
        """Pass a record to every rule."""
        for rule in self._rules:
            rule.finished(record)

    def __call__(self) -> str | None:
        """Return the reason of the first rule that stops."""
        return next((reason for rule in self._rules if (reason := rule()) is not None), None)


def stop_rule(
    plan: Plan,
    forecast: Forecast,
    *,
    budgets: Sequence[Money] = (),
    until_ci: UntilCi | None = None,
    executor: Executor | None = None,
    header: Header | None = None,
) -> StopRule | None:
    """Return the rule that ends a run early; None if it has none.

    Args:
        plan: the run's plan.
        forecast: the most it may cost, with the price of every target.
        budgets: the sums that may be spent, one per currency.
        until_ci: how precisely every target is to be known.
        executor: computes the intervals.
        header: that of the run, which has the checks; only a pass rate needs it.

    Raises:
        CompareError: a budget cannot be kept, since a price is not known or in another currency; or the precision may
            never be reached, since nothing else ends the run, a target does not stream its replies, or no case has
            checks.

    """
    rules: list[StopRule] = []
    if until_ci is not None:
        assert executor is not None
        _refuse_endless(forecast, budgets)
        rules.append(AllOf(list(_precision_rules(until_ci, plan, executor, header))))
    if budgets:
        _refuse_unwatched(forecast, budgets)
        rules += [Budget(budget, plan, _paid_in(budget.currency, forecast)) for budget in budgets]
    return FirstOf(rules) if rules else None


def _precision_rules(until_ci: UntilCi, plan: Plan, executor: Executor, header: Header | None) -> Iterator[StopRule]:
    """Yield a rule for each figure that is to be known precisely.

    Raises:
        CompareError: see `stop_rule`.

    """
    if until_ci.ttft is not None:
        _refuse_untimed(plan)
        yield Precision(until_ci.ttft, plan, executor)
    if until_ci.passes is not None:
        assert header is not None
        if not CheckTally(header).has_checks:
            raise CompareError(
                "--until-ci passes=... waits for the pass rate, and no case has checks. Write `checks:` into the suite."
            )
        if any(rubrics_of(case) for case in plan.cases):
            raise CompareError(
                "--until-ci passes=... waits for the pass rate, and a judge decides on `rubric` when the run is over. "
                "Say how often to ask: --repeat N."
            )
        yield PassPrecision(until_ci.passes, plan, executor, header)


def budgets_left(
    plan: Plan, forecast: Forecast, budgets: Sequence[Money], records: Iterable[Record]
) -> tuple[Money, ...]:
    """Return what these requests of a run leave of each budget; 0 where it does not pay for one more conversation."""
    rules = [Budget(budget, plan, _paid_in(budget.currency, forecast)) for budget in budgets]
    for record in records:
        for rule in rules:
            rule.finished(record)
    left = (rule.limit.amount - rule.spent if rule() is None else Decimal(0) for rule in rules)
    return tuple(Money(amount, budget.currency) for amount, budget in zip(left, budgets, strict=True))


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
    for each in forecast.paid:
        if each.price is not None and each.price.currency not in currencies:
            raise CompareError(
                f"--budget is in {' and '.join(currencies)}, and {each.target} costs {each.price.currency}: "
                f"add --budget N{each.price.currency}. Currencies are not converted."
            )


def _paid_in(currency: str, forecast: Forecast) -> list[TargetForecast]:
    return [each for each in forecast.paid if each.price is not None and each.price.currency == currency]

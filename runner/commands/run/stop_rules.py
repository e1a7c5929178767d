"""Stop rules that end a run early: a budget is spent, or every median is precise enough (`until_ci_stop_rules.py`).

A rule observes every record, and is called before each conversation, warm-up request and probe. It returns a sentence
once no further one may start; those already started run to their end. Rules read no clock and do no I/O.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from decimal import Decimal

from runner.analysis.cost import cost_by, tokens_of
from runner.commands.run.until_ci_stop_rules import precision_rules
from runner.core.conversation_state import is_last_turn
from runner.core.record import Record
from runner.core.until_ci import UntilCi
from runner.engine.run_observers import StopRule
from runner.errors import CompareError, Spelling, counted
from runner.planning.forecast import Forecast, TargetForecast
from runner.planning.plan import WARMING_REPEAT, Plan
from runner.pricing.money import Money
from runner.pricing.rates import Price, highest_cost
from runner.storage.journal import Header


class Budget(StopRule):
    """Stops before a sum in one currency may be exceeded, as far as costs are predictable.

    The rule reserves the highest cost of all conversations in flight and of one more. If replies have no length limit,
    the most expensive request so far stands for the highest cost, so the last few conversations may exceed the budget.
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
        self._warmups_under_way = 0

    def finished(self, record: Record) -> None:
        """Charge a request, and count its conversation as finished after its last turn."""
        charge = self._charge(record)
        self.spent += charge
        self._dearest_request = max(self._dearest_request, charge)
        steps = self._steps.get(record.identity.case)
        is_last = steps is not None and is_last_turn(steps, record)
        if self._started and is_last and not record.warmup:
            self._finished += 1
        # The reservation for a conversation covers the request that warms its cache.
        if self._warmups_under_way and record.warmup and record.identity.repeat != WARMING_REPEAT:
            self._warmups_under_way -= 1

    def __call__(self) -> str | None:
        """Return why no conversation may start; if one may, count it as started and return None."""
        refusal = self._refuse("conversation")
        self._started += refusal is None
        return refusal

    def refuse_warmup(self) -> str | None:
        """Return why no warm-up request or probe may be sent; if one may, count it as sent and return None.

        The rule reserves the cost of a whole conversation, of which a warm-up request is at most the first request.
        """
        refusal = self._refuse("warm-up request")
        self._warmups_under_way += refusal is None
        return refusal

    def _refuse(self, what: str) -> str | None:
        """Return why no further `what` may start; None if the budget covers it."""
        conversations = self._started - self._finished
        reserve = (conversations + self._warmups_under_way + 1) * self._reserve_each
        if self.spent + reserve <= self.limit.amount and self.spent < self.limit.amount:
            return None
        spent = Money(self.spent, self.limit.currency)
        reserved = Money(reserve, self.limit.currency)
        mixed = bool(conversations and self._warmups_under_way)
        reserved_for = _describe_reserved(conversations + self._warmups_under_way, "request" if mixed else what)
        return f"the budget of {self.limit} is reached: {spent} spent, up to {reserved} for {reserved_for}"

    @property
    def _reserve_each(self) -> Decimal:
        if self._is_bounded:
            return self._dearest_conversation
        most = max((steps.most for steps in self._steps.values()), default=1)
        return max(self._dearest_conversation, self._dearest_request * most)

    def _charge(self, record: Record) -> Decimal:
        """Return the cost of a request, its upper bound if the tokens are unknown; a refused request costs nothing."""
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


def _describe_reserved(under_way: int, what: str) -> str:
    if under_way == 0:
        return f"one more {what}"
    return f"{counted(under_way, what)} under way and one more"


def budgets_left(
    plan: Plan, forecast: Forecast, budgets: Sequence[Money], records: Iterable[Record]
) -> tuple[Money, ...]:
    """Return the rest of each budget after these records; 0 if it does not pay for one more conversation."""
    rules = _budget_rules(plan, forecast, budgets)
    for record in records:
        for rule in rules:
            rule.finished(record)
    left = (rule.limit.amount - rule.spent if rule() is None else Decimal(0) for rule in rules)
    return tuple(Money(amount, budget.currency) for amount, budget in zip(left, budgets, strict=True))


def _budget_rules(plan: Plan, forecast: Forecast, budgets: Sequence[Money]) -> list[Budget]:
    """Return a rule for each budget; each is in a currency of its own."""
    return [Budget(budget, plan, _paid_in(budget.currency, forecast)) for budget in budgets]


def _refuse_unwatched(forecast: Forecast, budgets: Sequence[Money], spell: Spelling) -> None:
    currencies = [budget.currency for budget in budgets]
    if len(set(currencies)) < len(currencies):
        twice = max(currencies, key=currencies.count)
        raise CompareError(f"{spell('budgets')} names {twice} twice. Give one sum per currency.")
    if forecast.unpriced:
        raise CompareError(
            f"{spell('budgets')} cannot be applied to {', '.join(forecast.unpriced)}: no price is known. "
            "`compare plan` says why; write one under `prices` in compare.yaml, or leave the target out."
        )
    for each in forecast.paid:
        if each.price is not None and each.price.currency not in currencies:
            raise CompareError(
                f"{spell('budgets')} is in {' and '.join(currencies)}, and {each.target} costs {each.price.currency}: "
                f"add {spell('budgets', f'N{each.price.currency}')}. Currencies are not converted."
            )


def _paid_in(currency: str, forecast: Forecast) -> list[TargetForecast]:
    return [each for each in forecast.paid if each.price is not None and each.price.currency == currency]


class AllOf(StopRule):
    """Stops once each of several rules has given a reason to stop."""

    def __init__(self, rules: Sequence[StopRule]) -> None:
        self._reasons: dict[StopRule, str | None] = dict.fromkeys(rules)

    def finished(self, record: Record) -> None:
        """Pass a record to every rule."""
        for rule in self._reasons:
            rule.finished(record)

    def __call__(self) -> str | None:
        """Return the reasons of all rules once each has given one."""
        self._reasons = {rule: reason or rule() for rule, reason in self._reasons.items()}
        known = [reason for reason in self._reasons.values() if reason]
        return "; ".join(known) if len(known) == len(self._reasons) else None


class FirstOf(StopRule):
    """Stops as soon as one of several rules stops."""

    def __init__(self, rules: Sequence[StopRule]) -> None:
        self._rules = tuple(rules)

    def finished(self, record: Record) -> None:
        """Pass a record to every rule."""
        for rule in self._rules:
            rule.finished(record)

    def __call__(self) -> str | None:
        """Return the reason of the first rule that stops."""
        return next((reason for rule in self._rules if (reason := rule()) is not None), None)

    def refuse_warmup(self) -> str | None:
        """Return the reason of the first rule that refuses a warm-up request."""
        return next((reason for rule in self._rules if (reason := rule.refuse_warmup()) is not None), None)


def stop_rule(
    plan: Plan,
    forecast: Forecast,
    *,
    budgets: Sequence[Money] = (),
    until_ci: UntilCi | None = None,
    executor: Executor | None = None,
    header: Header | None = None,
    spell: Spelling,
) -> StopRule | None:
    """Return the rule that ends a run early; None if there is neither a budget nor a precision.

    Args:
        plan: the run's plan.
        forecast: upper bound of the cost, with the price of every target.
        budgets: the sums that may be spent, one per currency.
        until_ci: the precision to reach for every target.
        executor: executor on which intervals are computed; required with `until_ci`.
        header: the run's header, which holds the checks; required only for the precision of a pass rate.
        spell: spells an option as the user writes it, for messages.

    Raises:
        CompareError: a budget cannot be applied, since a price is unknown or in another currency; or the precision may
            never be reached, since nothing else ends the run, a target does not stream its replies, or no case has
            checks.

    """
    rules: list[StopRule] = []
    if until_ci is not None:
        assert executor is not None
        _refuse_endless(forecast, budgets, spell)
        rules.append(AllOf(list(precision_rules(until_ci, plan, executor, header, spell))))
    if budgets:
        _refuse_unwatched(forecast, budgets, spell)
    rules += _budget_rules(plan, forecast, budgets)
    return FirstOf(rules) if rules else None


def _refuse_endless(forecast: Forecast, budgets: Sequence[Money], spell: Spelling) -> None:
    if not forecast.has_end and not budgets:
        raise CompareError(
            f"{spell('until_ci')} may never be reached, if a target's times vary too much. Add a further end: "
            f"{spell('max_requests')}, {spell('duration_s')} or {spell('budgets')}."
        )

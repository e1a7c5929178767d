"""Stop rules that end a run early: a budget is spent, or every median is precise enough.

A rule observes every record, and is called before each conversation, warm-up request and probe. It returns a sentence
once no further one may start; those already started run to their end. Rules read no clock and do no I/O.
"""

from collections.abc import Sequence
from concurrent.futures import Executor

from runner.commands.run.budget_stop_rule import budget_rules
from runner.commands.run.until_ci_stop_rules import precision_rules
from runner.core.record import Record
from runner.core.wanted_precision import UntilCi
from runner.engine.run_observers import StopRule
from runner.errors import CompareError
from runner.planning.forecast import Forecast
from runner.planning.plan import Plan
from runner.pricing.money import Money
from runner.storage.journal import Header


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
) -> StopRule | None:
    """Return the rule that ends a run early; None if there is neither a budget nor a precision.

    Args:
        plan: the run's plan.
        forecast: upper bound of the cost, with the price of every target.
        budgets: the sums that may be spent, one per currency.
        until_ci: the precision to reach for every target.
        executor: executor on which intervals are computed; required with `until_ci`.
        header: the run's header, which holds the checks; required only for the precision of a pass rate.

    Raises:
        CompareError: a budget cannot be applied, since a price is unknown or in another currency; or the precision may
            never be reached, since nothing else ends the run, a target does not stream its replies, or no case has
            checks.

    """
    rules: list[StopRule] = []
    if until_ci is not None:
        assert executor is not None
        _refuse_endless(forecast, budgets)
        rules.append(AllOf(list(precision_rules(until_ci, plan, executor, header))))
    rules += budget_rules(plan, forecast, budgets)
    return FirstOf(rules) if rules else None


def _refuse_endless(forecast: Forecast, budgets: Sequence[Money]) -> None:
    if not forecast.has_end and not budgets:
        raise CompareError(
            "--until-ci may go on for ever, if a target's times vary too much. "
            "Say how far it may go: add --max-requests N, --duration TIME or --budget SUM."
        )

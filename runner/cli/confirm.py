"""Ask for confirmation before many requests, high costs, or sending a key to a host that a found file names."""

import sys
from typing import TYPE_CHECKING

import click

from runner.cli.shared_options import ParsedParam
from runner.errors import CompareError

if TYPE_CHECKING:
    from runner.commands.run.prepared_run import PreparedRun
    from runner.planning.forecast import Forecast
    from runner.pricing.money import Money
    from runner.providers.allowed_hosts import HostNotAllowed

CONFIRM_OVER = "500"


def _parse_threshold(text: str) -> "int | Money":
    """Return a number of requests, or a sum of money."""
    from runner.pricing.money import parse_money

    if text.strip().isdecimal():
        return int(text)
    try:
        return parse_money(text.strip())
    except CompareError:
        raise CompareError(f"{text!r} is neither a number of requests nor a sum such as 5USD") from None


confirm_over_option = click.option(
    "--confirm-over",
    type=ParsedParam("threshold", _parse_threshold),
    default=CONFIRM_OVER,
    show_default=True,
    metavar="N|SUM",
    help="Ask before sending more than N requests, or spending more than a sum such as 5USD at worst, at real "
    "providers.",
)

yes_option = click.option("-y", "--yes", is_flag=True, help="Answer yes to questions.")


def ask_about_hosts(refusal: "HostNotAllowed") -> None:
    """Ask about each host that is not allowed yet.

    Raises:
        HostNotAllowed: the refusal itself, if there is no terminal or the answer was no.

    """
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if not is_terminal or not all(click.confirm(host.question, err=True) for host in refusal.hosts):
        raise refusal


def confirm(prepared: "PreparedRun", threshold: "int | Money", *, yes: bool) -> None:
    """Ask once if a run may exceed the threshold; simulated targets cost nothing.

    Raises:
        click.Abort: the answer was no.
        click.UsageError: standard input is not a terminal.

    """
    forecast = prepared.forecast
    real = [each for each in forecast.paid if not each.simulated]
    if yes or not real or not _exceeds(prepared, forecast, threshold):
        return
    question = f"{_describe(prepared, forecast)} to {', '.join(each.target for each in real)}: send them?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody is here to answer; say -y, or raise --confirm-over.")
    if not click.confirm(question, err=True):
        raise click.Abort


def _count(prepared: "PreparedRun", forecast: "Forecast") -> int | None:
    """Return the maximum number of requests still to be sent to real targets; None if there is no limit."""
    counts = [each.requests for each in forecast.targets if not each.simulated]
    judge = forecast.judge
    judged = 0 if judge is None or judge.simulated else judge.requests
    remaining = prepared.remaining_requests
    if None in counts or judged is None:
        return None if remaining is None or judged is None else remaining + judged
    total = sum(filter(None, counts))
    return judged + (total if remaining is None else min(total, remaining))


def _exceeds(prepared: "PreparedRun", forecast: "Forecast", threshold: "int | Money") -> bool:
    count = _count(prepared, forecast)
    if count == 0:
        return False
    if isinstance(threshold, int):
        return count is None or count > threshold
    is_known = not forecast.unpriced and not forecast.unbounded
    return not is_known or any(
        cost.currency != threshold.currency or cost.amount > threshold.amount for cost in forecast.costs
    )


def _describe(prepared: "PreparedRun", forecast: "Forecast") -> str:
    """Return a description of the number of requests and their maximum cost, as far as they are known."""
    from runner.errors import counted

    count = _count(prepared, forecast)
    requests = "requests without a fixed number" if count is None else counted(count, "request")
    of_all = " for the whole of the resumed run" if prepared.resumed else ""
    costs = f", at most {' + '.join(map(str, forecast.costs))}{of_all}," if forecast.costs else ""
    open_ends = len(forecast.unpriced) + len(forecast.unbounded)
    unknown = f" (cost unknown for {counted(open_ends, 'target')})" if open_ends else ""
    return f"{requests}{costs}{unknown}"

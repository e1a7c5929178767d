"""Sentences on the costs of a run: those of each target, their sum, the sources of prices, and what is unknown."""

from runner.analysis.cost import TargetCost, price_of
from runner.analysis.run_results import Run
from runner.outputs.text.judge import describe_judge_cost
from runner.outputs.text.translation import _, clauses, comma_list, name_some, plural, translate
from runner.pricing.money import add_up


def describe_costs(run: Run) -> list[str]:
    """Return sentences on the cost of each target and judge and, if there are several, on their sum."""
    return [
        *(_describe_cost(run, each) for each in run.costs),
        *map(describe_judge_cost, run.judge_costs),
        *_describe_sum(run),
    ]


def describe_prices(run: Run) -> list[str]:
    """Return sentences to go with a table of costs: judges' costs, the sum, and the sources of prices.

    A single target's cost is described in full.
    """
    if len(run.costs) < 2:
        return describe_costs(run)
    targets: dict[str, list[str]] = {}
    for each in run.costs:
        targets.setdefault(_describe_origin(run, each), []).append(str(each.target))
    return [
        *map(describe_judge_cost, run.judge_costs),
        *_describe_sum(run),
        *(
            _("{what} ({targets})", what=origin, targets=name_some(names))
            for origin, names in targets.items()
            if origin
        ),
    ]


def _describe_sum(run: Run) -> list[str]:
    judges = [each for each in (*run.judge_costs, *(judged.cost for judged in run.judged)) if each.spent]
    if len(run.costs) + len(judges) < 2:
        return []
    sums = add_up([each.spent for each in run.costs] + [money for each in judges for money in each.spent])
    of_judges = sum(each.priced for each in judges)
    total_n = sum(each.n for each in run.costs) + of_judges
    sent = int((run.table["attempts"] > 0).sum()) + sum(each.requests for each in judges)
    unknown = _describe_unknown(sent - total_n)
    with_judges = [_("{n} of them requests to judges", n=f"{of_judges:,}")] if of_judges else []
    unconverted = [_("currencies are not converted")] if len(sums) > 1 else []
    cost = _("cost of all: {sums}, n {n}", sums=" + ".join(map(str, sums)), n=f"{total_n:,}")
    return [clauses([cost, *with_judges, *unknown, *unconverted])]


def _describe_cost(run: Run, each: TargetCost) -> str:
    origin = _describe_origin(run, each)
    unknown = _describe_unknown(each.sent - each.n)
    cost = _("cost of {target}: {sum}, n {n}", target=each.target, sum=each.spent, n=f"{each.n:,}")
    return clauses([cost, *unknown, *([origin] if origin else [])])


def _describe_origin(run: Run, each: TargetCost) -> str:
    """Return the sources of a target's costs: charges of its provider, a source of prices, or both."""
    price = price_of(run.header, each.target.name)
    by_price = each.n - each.charged
    origins: list[str] = []
    if each.charged:
        charged = _("{n} as the provider charged", n=f"{each.charged:,}") if by_price else _("as the provider charged")
        origins.append(charged)
    if price is not None and (by_price or not each.n):
        origins.append(_("prices: {origin}", origin=translate(price.origin)))
    return comma_list(origins)


def _describe_unknown(unknown: int) -> list[str]:
    """Return a clause on the number of requests of unknown cost; empty if there are none."""
    one, many = "the cost of {n} more request is not known", "the cost of {n} more requests is not known"
    return [plural(unknown, one, many)] if unknown else []

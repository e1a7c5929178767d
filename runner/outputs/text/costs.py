"""What a run has cost, in sentences: each with its currency, how many requests it rests on, and whose price it is."""

from runner.analysis.cost import TargetCost, price_of
from runner.analysis.run import Run
from runner.outputs.text.figures import count
from runner.pricing.money import add_up


def describe_costs(run: Run) -> list[str]:
    """Say what each target has cost and, if there are several, what all have; nothing where no cost is known."""
    costs = run.costs
    said = [_describe_cost(run, each) for each in costs]
    if len(costs) > 1:
        sums = add_up(each.spent for each in costs)
        apart = "; currencies are not converted" if len(sums) > 1 else ""
        said.append(f"cost of all: {' + '.join(map(str, sums))}, n {sum(each.n for each in costs):,}{apart}")
    return said


def _describe_cost(run: Run, each: TargetCost) -> str:
    price = price_of(run.header, each.target.name)
    origin = f"; prices: {price.origin}" if price else ""
    unknown = each.sent - each.n
    rest = f"; the cost of {count(unknown, 'more request')} is not known" if unknown else ""
    return f"cost of {each.target}: {each.spent}, n {each.n:,}{rest}{origin}"

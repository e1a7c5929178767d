"""The first request of every conversation of a plan, in the order in which a run starts them."""

from collections.abc import Iterator

from runner.core.load_profile import LoadProfile
from runner.planning.plan import Plan
from runner.planning.request import Request


def first_requests(plan: Plan) -> Iterator[Request]:
    """Yield the first request of every conversation in the run's order, level after level."""
    names = {target.name for target in plan.targets}
    for level in range(plan.levels):
        yield from plan.openings_at(level, names)


def requests_of(plan: Plan, load: LoadProfile) -> list[Request]:
    """Return the first request of every conversation at the first level, in the order of a run with this load."""
    if load.release(plan.order) == "together":
        return [request for group in plan.groups_at(0) for request in group]
    return list(first_requests(plan))

"""The first request of every conversation of a plan."""

from collections.abc import Iterator

from runner.planning.plan import Plan, Request


def first_requests(plan: Plan) -> Iterator[Request]:
    """Yield every conversation's first request in the run's order, level after level."""
    names = {target.name for target in plan.targets}
    for level in range(plan.levels):
        yield from plan.openings_at(level, names)

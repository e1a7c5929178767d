"""How many of a plan's requests are settled, where a model may end a turn in fewer steps than it might have. Pure."""

from runner.core.conversation import next_turn
from runner.core.record import Record
from runner.planning.plan import Plan


class SettledRequests:
    """Counts the requests of a plan, of which each turn has the most that its tools allow, by the records of a run."""

    def __init__(self, plan: Plan) -> None:
        self._steps = {case.id: case.steps for case in plan.cases if case.steps.max_steps > 1}

    def of(self, record: Record) -> int:
        """Return how many planned requests a record settles: its own, and the steps that its reply left out."""
        return 1 + self.left_out(record)

    def left_out(self, record: Record) -> int:
        """Return the number of steps that a record's reply left out."""
        steps = self._steps.get(record.identity.case)
        return 0 if steps is None else next_turn(steps, record) - record.identity.turn - 1

"""A provider's doors: one that its models share, and one for each model that has limits of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.engine.lane import Lane
from runner.engine.lane_queue import LaneQueue
from runner.engine.limit import fix
from runner.engine.window import Window
from runner.providers.row import Limits, Row


@dataclass(slots=True)
class LaneQueues:
    """Every model's way to one provider. What a model's own limits leave open is shared with all the others."""

    provider: str
    row: Row
    concurrency: int
    shared: LaneQueue = field(init=False)
    _own: dict[str, LaneQueue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the door that most models share."""
        requests, tokens = _window(self.row.requests_per_minute), _window(self.row.tokens_per_minute)
        self.shared = LaneQueue(Lane(self.provider, fix(self.concurrency), requests=requests, tokens=tokens))

    def of(self, model: str) -> LaneQueue:
        """Return the door that requests to a model pass."""
        limits = self._limits_of(model)
        if limits is None:
            return self.shared
        if model not in self._own:
            self._own[model] = LaneQueue(self._own_lane(model, limits))
        return self._own[model]

    def _limits_of(self, model: str) -> Limits | None:
        return self.row.limits_of(model)

    def _own_lane(self, model: str, limits: Limits) -> Lane:
        shared = self.shared.lane
        return Lane(
            self.provider,
            fix(limits.concurrency or self.concurrency),
            model,
            requests=_window(limits.requests_per_minute) or shared.requests,
            tokens=_window(limits.tokens_per_minute) or shared.tokens,
        )

    def __iter__(self) -> Iterator[LaneQueue]:
        """Yield the doors that have been used, the shared one first."""
        yield from (self.shared, *self._own.values())


def _window(limit: int | None) -> Window | None:
    return None if limit is None else Window(limit)

"""Lane queues: tasks that wait for a permit, and the lane of a model with its own limits."""

from pathlib import Path
from time import perf_counter_ns

import anyio
import pytest

from runner.core.suite import Case, Parameters
from runner.engine.lane_limits import ConcurrencyLimit, RateWindow
from runner.engine.permit_queue import LaneQueue, LaneQueues
from runner.engine.provider_lane import Lane
from runner.planning.request import Request, Target
from runner.providers.config_files import CONFIG_NAME, load_config
from runner.providers.provider_row import ProviderRow
from tests.support.wait_until import until

REQUEST = Request(Target("acme", "m-1", Parameters()), Case("case", ("Hello?",)), 1, 1)


def open_queue(width: int) -> LaneQueue:
    """Return the queue of a lane without limits per minute."""
    return LaneQueue(Lane("acme", ConcurrencyLimit.of(width)))


@pytest.mark.anyio
async def test_waiters_get_permits_in_order() -> None:
    """Each released permit goes to the first waiter; the ones after a cancelled waiter move up."""
    queue = open_queue(1)
    first = await queue.acquire(REQUEST)
    admitted: list[int] = []

    async def wait(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            permit = await queue.acquire(REQUEST)
            assert permit.in_flight == 1
            admitted.append(number)

    async with anyio.create_task_group() as tasks:
        scopes = [anyio.CancelScope() for _ in range(4)]
        for number in range(4):
            tasks.start_soon(wait, number, scopes[number])
        await until(lambda: len(queue.lane._waiters) == 4)
        scopes[0].cancel()
        scopes[2].cancel()
        await until(lambda: len(queue.lane._waiters) == 2)
        for expected in ([1], [1, 3]):
            queue.lane.release(first)  # permits are interchangeable
            queue.wake()
            await until(lambda: len(queue.lane._waiters) == 2 - len(expected))  # noqa: B023 -- called at once
            assert admitted == expected


@pytest.mark.anyio
async def test_waiter_waits_to_the_end_of_an_extended_pause() -> None:
    """A waiter gets its permit when the lane is open again, even if a later refusal has moved that time."""
    queue = open_queue(2)
    permit = await queue.acquire(REQUEST)
    permitted_ns: list[int] = []

    async def wait() -> None:
        permitted_ns.append((await queue.acquire(REQUEST)).at_ns)

    queue.lane.note_refusal(permit, perf_counter_ns(), wait_s=0.02, why="busy")
    queue.lane.release(permit)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await until(lambda: len(queue.lane._waiters) == 1)
        queue.lane.note_refusal(permit, perf_counter_ns(), wait_s=0.05, why="busy")
    assert permitted_ns[0] >= queue.lane.limit.closed_until_ns


# Models with their own limits


ROW = ProviderRow.model_validate(
    {"keyless": True, "requests_per_minute": 60, "limits": {"big-*": {"concurrency": 1, "tokens_per_minute": 900}}}
)


def test_model_with_limits_has_its_own_lane() -> None:
    """Limits that a model's entry omits are the provider's: the concurrency, and the shared window per minute."""
    queues = LaneQueues("acme", ROW, 4)
    shared, big, bigger = (queues.for_model(model).lane for model in ("small", "big-1", "big-2"))
    assert queues.for_model("other").lane is shared
    assert queues.for_model("big-1").lane is big
    assert (big.name, bigger.name, shared.name) == ("acme/big-1", "acme/big-2", "acme")
    assert (shared.limit.width, big.limit.width) == (4, 1)
    assert big.requests is shared.requests
    assert (shared.tokens, big.tokens) == (None, RateWindow(900))
    assert big.tokens is not bigger.tokens


def test_yaml_of_the_load_page_loads(tmp_path: Path) -> None:
    """The YAML of docs/load.md is a compare.yaml whose model has its own lane."""
    page = (Path(__file__).parents[2] / "docs" / "load.md").read_text(encoding="utf-8")
    path = tmp_path / CONFIG_NAME
    path.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    queues = LaneQueues("team-gateway", load_config(path)["team-gateway"], 8)
    assert queues.for_model("house-70b-chat").lane.name == "team-gateway/house-70b-chat"
    assert queues.for_model("house-7b").lane.name == "team-gateway"

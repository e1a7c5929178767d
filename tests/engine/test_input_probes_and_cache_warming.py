"""`cache: warm`: a prefix is sent once, and conversations that share it wait for its reply."""

import anyio
import pytest

from runner.core.suite import CacheUse, Case, Parameters
from runner.engine.input_probes_and_cache_warming import PrefixWarmer
from runner.engine.provider_lane import Permit
from runner.planning.request import Request, Target
from tests.support.crafted_runs import answered

USES: tuple[CacheUse, ...] = ("warm", "allow")
PERMIT = Permit("p/m", 0, 1)
WARM, ALLOW = (Target("p", "m", Parameters(cache=cache)) for cache in USES)


def opening(target: Target, prompt: str, repeat: int = 1) -> Request:
    """Return the first request of a case with this prompt."""
    return Request(target, Case("c", (prompt,)), repeat, repeat)


async def _warm_all(openings: list[Request], *, fails: bool = False) -> tuple[list[str], list[int | None]]:
    """Warm all at the same time; return the sent requests and the result of each conversation."""
    warmer, sent, ended, found = PrefixWarmer(), list[str](), set[str](), list[int | None]()

    async def send(request: Request, _: Permit) -> object:
        assert request.warmup
        sent.append(request.prompt)
        await anyio.lowlevel.checkpoint()
        ended.add(request.prompt)
        if fails:
            raise OSError
        return answered()

    async def begin(request: Request) -> None:
        try:
            found.append(await warmer.warm(request, PERMIT, send))  # type: ignore[arg-type]
        except OSError:
            found.append(-1)
        assert request.target is ALLOW or request.prompt in ended

    async with anyio.create_task_group() as tasks:
        for each in openings:
            tasks.start_soon(begin, each)
    return sent, found


def test_each_prefix_is_sent_once() -> None:
    """Conversations that share a prefix start when its reply has ended."""
    openings = [opening(WARM, prompt, repeat) for repeat in (1, 2) for prompt in ("a", "b")]
    sent, found = anyio.run(_warm_all, [*openings, opening(ALLOW, "c")])
    assert sorted(sent) == ["a", "b"]
    assert sum(each is not None for each in found) == 2


@pytest.mark.parametrize("count", [1, 3])
def test_a_failed_warming_request_releases_the_waiting_conversations(count: int) -> None:
    """The run ends with the error and does not hang."""

    async def warm() -> tuple[list[str], list[int | None]]:
        with anyio.fail_after(5):
            return await _warm_all([opening(WARM, "a", repeat) for repeat in range(count)], fails=True)

    sent, found = anyio.run(warm)
    assert sent == ["a"]
    assert sorted(found, key=str) == sorted([-1, *[None] * (count - 1)], key=str)

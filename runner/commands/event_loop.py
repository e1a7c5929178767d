"""Choose the event loop of runs: uvloop if it is installed, else asyncio's own."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


def event_loop_options() -> dict[str, Any]:
    """Return keyword arguments that make `anyio.run` use uvloop; none if it is not installed."""
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return {}
    return {"backend_options": {"use_uvloop": True}}


def run_async(function: Callable[[Unpack[Arguments]], Awaitable[Result]], *arguments: *Arguments) -> Result:
    """Run a coroutine function on a new event loop; return its result."""
    return anyio.run(function, *arguments, **event_loop_options())

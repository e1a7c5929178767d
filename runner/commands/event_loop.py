"""The event loop that runs are performed on: uvloop where it is installed."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


def event_loop_options() -> dict[str, Any]:
    """Return the keywords that make `anyio.run` use uvloop where it is installed."""
    try:
        import uvloop  # noqa: F401, PLC0415
    except ImportError:
        return {}
    return {"backend_options": {"use_uvloop": True}}


def run_async(function: Callable[[Unpack[Arguments]], Awaitable[Result]], *arguments: *Arguments) -> Result:
    """Call a coroutine function on an event loop of its own; return its result."""
    return anyio.run(function, *arguments, **event_loop_options())

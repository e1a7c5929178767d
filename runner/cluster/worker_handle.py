"""One worker, as the driver holds it."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from runner.cluster.messages import Calibrated
from runner.core.nodes import Node
from runner.errors import CompareError

Told = TypeVar("Told")


class WorkerLost(Exception):
    """A worker is gone, and with it what it was hearing."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.why = why


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """A worker that has introduced itself."""

    handle: Any
    """Ray's handle of the `Worker`."""
    name: str
    node: Node
    host: str
    pid: int
    calibrated: Calibrated | None = None
    busy: int = 0
    """Attempts it has under way."""

    def __str__(self) -> str:
        return f"{self.name} on {self.node.name}"

    def facts(self) -> dict[str, object]:
        """Return its line in the journal."""
        return {
            "kind": "worker",
            "name": self.name,
            "node": self.node.name,
            "region": self.node.region,
            "host": self.host,
            "pid": self.pid,
            "calibration": None if self.calibrated is None else self.calibrated.facts,
            "within_bound": self.calibrated is not None and self.calibrated.is_within_bound,
        }

    async def collect(self, reference: Awaitable[Told]) -> Told:
        """Await what it was told to do.

        Raises:
            WorkerLost: it is gone.
            CompareError: it says why it cannot.

        """
        try:
            return await reference
        except RayTaskError as error:
            if isinstance(error.cause, CompareError):
                raise CompareError(f"{self}: {error.cause}") from None
            raise
        except RayError as error:
            # Its process, its node, or what it had to tell: a long reply waits on its node until it is fetched.
            raise WorkerLost(f"{self} was lost", first_line(error)) from None

    def dismiss(self) -> None:
        """Stop it, whatever it does."""
        dismiss(self.handle)


def dismiss(handle: Any) -> None:
    """Stop a worker that need not have introduced itself yet."""
    ray.kill(handle, no_restart=True)


def first_line(error: Exception) -> str:
    """Return the gist of what Ray says of a loss, which goes on for pages."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def last_line(error: Exception) -> str:
    """Return the gist of a traceback that Ray hands on."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]

"""Joining a Ray cluster, or saying in one sentence why that cannot be."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from runner.errors import CompareError
from runner.fleet import NEAREST

DIAL_LIMIT_S = 5.0
"""Ray itself would try for minutes, then end the process."""


async def check_cluster(address: str) -> str:
    """Return the address to join; raise `CompareError` where Ray is not installed or nobody answers there."""
    try:
        import ray  # noqa: F401, PLC0415 -- an extra
    except ImportError:
        raise CompareError(
            "--engine ray needs Ray, which is not installed: pip install 'compare-runner[ray]'. Nothing was sent"
        ) from None
    if address == NEAREST:
        address = os.environ.get("RAY_ADDRESS", NEAREST)
    if address != NEAREST:
        await _dial(address)
    return address


async def _dial(address: str) -> None:
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal() or int(port) > 65535:
        raise CompareError(
            f"{address!r} is no address of a Ray cluster: give HOST:PORT of its head, as in 10.0.0.5:6379. "
            "Nothing was sent"
        )
    try:
        with anyio.fail_after(DIAL_LIMIT_S):
            stream = await anyio.connect_tcp(host, int(port))
        await stream.aclose()
    except (OSError, TimeoutError) as error:
        raise CompareError(
            f"no Ray cluster answers at {address} ({str(error) or 'it timed out'}). Start one with `ray start --head`, "
            "or name another with --address. Nothing was sent"
        ) from None


@contextmanager
def join_cluster(address: str) -> Iterator[None]:
    """Be the driver of a cluster for the length of a `with` block; one that this process has joined already stays so.

    Raises:
        CompareError: there is none, or it runs other versions of Ray or Python than this process.

    """
    import ray  # noqa: PLC0415 -- an extra

    if ray.is_initialized():
        yield
        return
    with _quiet():
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
            raise CompareError(
                f"the Ray cluster {address} cannot be joined: {said}. This command must run on a machine of the "
                "cluster (docs/ray.md). Nothing was sent"
            ) from None
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray from printing: it tells of dead workers on stdout, also where it is not to log, between our JSON."""
    from ray._private import worker  # noqa: PLC0415 -- an extra; no public name does it

    log = logging.getLogger("ray")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
        before, worker._worker_logs_enabled = worker._worker_logs_enabled, False  # noqa: SLF001
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
            worker._worker_logs_enabled = before  # noqa: SLF001

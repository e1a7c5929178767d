"""Joining a Ray cluster, or saying in one sentence why that cannot be."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from anyio.abc import ByteStream

from runner.core.nodes import NEAREST
from runner.errors import CompareError

DIAL_LIMIT_S = 5.0
"""Ray itself would try for minutes, then end the process."""

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How HTTP/2, and so gRPC, begins: the preface, then SETTINGS that change nothing."""

SETTINGS = b"\4"
"""The type of the frame by which a server of HTTP/2 answers at once."""


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
            async with await anyio.connect_tcp(host, int(port)) as stream:
                why = None if await _speaks_grpc(stream) else "something else does"
    except (OSError, TimeoutError, anyio.BrokenResourceError) as error:
        why = str(error) or "it timed out"
    if why is not None:
        raise CompareError(
            f"no Ray cluster answers at {address} ({why}). Start one with `ray start --head`, or name another with "
            "--address. Nothing was sent"
        )


async def _speaks_grpc(stream: ByteStream) -> bool:
    """Tell a cluster's head from most others, whom Ray would ask for minutes; one behind TLS is taken on trust."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in {"1", "true"}:
        return True
    await stream.send(HELLO)
    try:
        return (await stream.receive())[3:4] == SETTINGS
    except anyio.EndOfStream:
        return False


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
                "cluster, with the cluster's token if it has one (docs/ray.md). Nothing was sent"
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

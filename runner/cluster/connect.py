"""Functions that connect to a Ray cluster and open the worker pool of a run on it."""

import logging
import os
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteStream

from runner.core.cluster_node import ANY_CLUSTER, ClusterOptions, Node
from runner.errors import CompareError
from runner.providers.base_url import is_on_this_machine

if TYPE_CHECKING:
    from runner.cluster.worker_pool import WorkerPool

DIAL_LIMIT_S = 5.0
"""Seconds to wait for the cluster's head node; Ray itself would try for minutes and then end the process."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""First bytes that an HTTP/2 client sends, and so those of gRPC: the preface and an empty SETTINGS frame."""

SETTINGS_FRAME = b"\4"
"""Type of the first frame that an HTTP/2 server sends."""


@asynccontextmanager
async def open_pool(options: ClusterOptions, vantages: Sequence[Node] = ()) -> AsyncIterator["WorkerPool"]:
    """Join a cluster and run workers, on the vantages if there are any, during an `async with` block.

    Raises:
        CompareError: Ray is not installed, no cluster answers, or it has no free CPUs; no request was sent.

    """
    async with _joined(options.address):
        from runner.cluster.start_workers import start_pool  # noqa: PLC0415 -- imports Ray, an extra

        async with start_pool(options, vantages) as pool:
            yield pool


async def find_vantages(options: ClusterOptions) -> tuple[Node, ...]:
    """Return the nodes of a cluster that can run a worker, sorted by name.

    Raises:
        CompareError: Ray is not installed, no cluster answers, or none of its nodes has a CPU for a worker.

    """
    async with _joined(options.address):
        from runner.cluster.node_names import list_vantages  # noqa: PLC0415 -- few runs need it
        from runner.cluster.start_workers import list_nodes  # noqa: PLC0415 -- imports Ray, an extra

        vantages = tuple(list_vantages(await list_nodes()).values())
    if not vantages:
        raise CompareError("no node of the cluster has a CPU to give to a worker. Nothing was sent")
    return vantages


@asynccontextmanager
async def _joined(address: str) -> AsyncIterator[None]:
    """Check that a cluster answers at an address, and join it during a block."""
    address = await check_cluster(address)
    with join_cluster(address, on_loopback=await _is_on_loopback_alone(address)):
        yield


async def check_cluster(address: str) -> str:
    """Check that a cluster answers at an address; return the address to join, also for `auto`.

    Raises:
        CompareError: Ray is not installed, or no cluster answers at the address.

    """
    try:
        import ray  # noqa: F401, PLC0415 -- an extra
    except ImportError:
        raise CompareError(
            "--engine ray needs Ray, which is not installed: pip install 'compare-runner[ray]'. Nothing was sent"
        ) from None
    if address == ANY_CLUSTER:
        from ray._private import services  # noqa: PLC0415 -- an extra; no public name does it

        with _ray_silenced(), suppress(ConnectionError):  # without a cluster, joining it fails with a message
            address = services.get_ray_address_from_environment(ANY_CLUSTER, None) or ANY_CLUSTER
    if address != ANY_CLUSTER:
        await _dial(address)
    return address


async def _dial(address: str) -> None:
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal() or int(port) > 65535:
        raise CompareError(
            f"{address!r} is not the address of a Ray cluster: give HOST:PORT of its head, as in 10.0.0.5:6379. "
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
    """Return whether a server answers like a cluster's head node. With another server, Ray would wait for minutes.

    A server behind TLS is assumed to be a head node.
    """
    if os.environ.get("RAY_USE_TLS", "0").lower() in {"1", "true"}:
        return True
    await stream.send(PREFACE)
    try:
        return (await stream.receive())[3:4] == SETTINGS_FRAME
    except anyio.EndOfStream:
        return False


async def _is_on_loopback_alone(address: str) -> bool:
    """Return whether a cluster listens only at this machine's loopback address.

    Ray takes `127.0.0.1` for this machine's address in its network unless clusters of several machines are disabled.
    """
    from ray._private import services  # noqa: PLC0415 -- an extra; no public name does it

    port = address.rpartition(":")[2]
    if not is_on_this_machine(f"//{address}"):
        return False
    try:
        with anyio.fail_after(DIAL_LIMIT_S):
            async with await anyio.connect_tcp(services.get_node_ip_address(), int(port)):
                return False
    except (OSError, TimeoutError):
        return True


@contextmanager
def join_cluster(address: str, *, on_loopback: bool = False) -> Iterator[None]:
    """Join a cluster as its driver during a `with` block; if this process is already joined, it stays joined.

    Raises:
        CompareError: there is no cluster, or its versions of Ray or Python differ from those of this process.

    """
    import ray  # noqa: PLC0415 -- an extra

    if ray.is_initialized():
        yield
        return
    from ray._private import ray_constants  # noqa: PLC0415 -- an extra; no public name does it

    from runner.cluster.worker_pool import first_line  # noqa: PLC0415 -- imports Ray, an extra

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # by default Ray reports usage to its vendor
    with _ray_silenced():
        may_have_more_machines = ray_constants.ENABLE_RAY_CLUSTER
        ray_constants.ENABLE_RAY_CLUSTER = may_have_more_machines and not on_loopback
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = first_line(error).rstrip(".")
            raise CompareError(
                f"the Ray cluster {address} cannot be joined: {reason}. This command must run on a machine of the "
                "cluster, with the cluster's token if it has one (docs/ray.md). Nothing was sent"
            ) from None
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = may_have_more_machines
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _ray_silenced() -> Iterator[None]:
    """Keep Ray from printing: even without logging, it reports dead workers on stdout, which is for JSON."""
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

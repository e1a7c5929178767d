"""Options on where a run is heard, and how they become a `Fleet`."""

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runner.core.nodes import ClusterOptions

Command = TypeVar("Command", bound=Callable[..., Any])

_CLUSTER = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where replies are heard: on this machine, or by workers of a Ray cluster (docs/ray.md).",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray, the cluster's head; `auto` (default) is the cluster this machine belongs to.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="With --engine ray, how many workers, each with a CPU of its own (default one on each node); with "
        "--vantage, how many on each node.",
    ),
    click.option(
        "--vantage",
        is_flag=True,
        help="With --engine ray, ask everything from every node, to compare how targets look from each.",
    ),
)


def cluster_options(command: Command) -> Command:
    """Add the options on where a run is heard."""
    return reduce(lambda decorated, option: option(decorated), reversed(_CLUSTER), command)


def read_fleet(chosen: dict[str, Any]) -> "ClusterOptions | None":
    """Make a fleet of what click has parsed; None where this machine hears the run itself.

    Raises:
        click.UsageError: an option needs a cluster, and none is asked for.

    """
    if chosen["engine"] == "local":
        lonely = next((name for name in ("address", "workers", "vantage") if chosen[name]), None)
        if lonely is not None:
            raise click.UsageError(f"--{lonely} is about a cluster: say --engine ray as well")
        return None
    from runner.core.nodes import NEAREST, ClusterOptions  # noqa: PLC0415 -- a run on one machine knows nothing of it

    return ClusterOptions(chosen["address"] or NEAREST, chosen["workers"], vantage=chosen["vantage"])

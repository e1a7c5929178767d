"""The nodes of a cluster, and the options of a run on one."""

from dataclasses import dataclass

NEAREST = "auto"
"""The address that stands for the cluster of this machine."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a cluster; a vantage, if a run asks everything from it."""

    name: str
    region: str | None

    def __str__(self) -> str:
        return f"{self.name} ({self.region})" if self.region else self.name


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """The options of a run on a Ray cluster."""

    address: str = NEAREST
    """HOST:PORT of the cluster's head, or `auto`."""
    workers: int | None = None
    """The number of workers, each on its own CPU; None for one on each node. With `vantage`, the number per node."""
    vantage: bool = False
    """Whether each node asks everything instead of a share."""

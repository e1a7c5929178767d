"""A node of a cluster, and the options of a run on a cluster: plain values."""

from dataclasses import dataclass

ANY_CLUSTER = "auto"
"""Address that stands for the cluster to which this machine belongs."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a cluster, as tables name it; it is a vantage if it sends the whole plan."""

    name: str
    region: str | None

    def __str__(self) -> str:
        return f"{self.name} ({self.region})" if self.region else self.name


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """The workers of a Ray cluster that run a plan."""

    address: str = ANY_CLUSTER
    """HOST:PORT of the cluster's head node, or `auto`."""
    workers: int | None = None
    """Number of workers, one CPU each; None for one per node. With `vantage`, the number on each node."""
    vantage: bool = False
    """Whether each node sends the whole plan instead of a share of it."""

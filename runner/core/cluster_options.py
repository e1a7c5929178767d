"""Nodes of a cluster and the options of a run on one: plain values."""

from dataclasses import dataclass

NEAREST = "auto"
"""The address of the cluster that this machine belongs to."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a cluster, as tables name it; a vantage if a run sends the whole plan from it."""

    name: str
    region: str | None

    def __str__(self) -> str:
        return f"{self.name} ({self.region})" if self.region else self.name


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """The workers of a Ray cluster that run a plan."""

    address: str = NEAREST
    """HOST:PORT of the cluster's head, or `auto`."""
    workers: int | None = None
    """The number of workers, each with a CPU; None for one on each node. With `vantage`, the number on each node."""
    vantage: bool = False
    """Whether each node sends the whole plan, instead of a share of it."""

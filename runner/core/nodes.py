"""Which machines hear a run, if others than this one do: plain values that plan, command and composer share."""

from dataclasses import dataclass

NEAREST = "auto"
"""The cluster that this machine belongs to."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster, as a table names it; a vantage, where a run asks everything from it."""

    name: str
    region: str | None

    def __str__(self) -> str:
        return f"{self.name} ({self.region})" if self.region else self.name


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Workers of a Ray cluster."""

    address: str = NEAREST
    """HOST:PORT of the cluster's head, or `auto`."""
    workers: int | None = None
    """How many, each with a CPU of its own; None for one on each node. With `vantage`, how many on each node."""
    vantage: bool = False
    """Whether each node is to ask everything, and not only its share."""

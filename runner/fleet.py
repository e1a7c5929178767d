"""Which machines hear a run, if others than this one do: plain values, as a command and the composer share them."""

from dataclasses import dataclass

NEAREST = "auto"
"""The cluster that this machine belongs to."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers of a Ray cluster."""

    address: str = NEAREST
    """HOST:PORT of the cluster's head, or `auto`."""
    workers: int | None = None
    """How many, each with a CPU of its own; None for one on each node."""

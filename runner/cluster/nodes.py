"""What a cluster's nodes are called, and where they are. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REGION_LABELS = ("ray.io/availability-region", "topology.kubernetes.io/region", "region")
"""Labels of a node that may name its region, the first one found."""

SHORT = 8
"""Digits of a node's id that tell it from another of the same name."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node, as a table names it."""

    name: str
    region: str | None


def name_nodes(rows: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """Return each living node by its id, given what `ray.nodes()` tells.

    A node is called what its owner called it, else by its host; where two are called the same, by a part of their id
    as well.
    """
    alive = [row for row in rows if row["Alive"]]
    shared = {name for name, count in Counter(map(_own_name, alive)).items() if count > 1}
    return {row["NodeID"]: Node(_name(row, shared), _region(row.get("Labels") or {})) for row in alive}


def _own_name(row: Mapping[str, Any]) -> str:
    named, address = row.get("NodeName"), row.get("NodeManagerAddress")
    return str(named if named and named != address else row["NodeManagerHostname"])


def _name(row: Mapping[str, Any], shared: set[str]) -> str:
    name = _own_name(row)
    return f"{name} {row['NodeID'][:SHORT]}" if name in shared else name


def _region(labels: Mapping[str, str]) -> str | None:
    return next((labels[label] for label in REGION_LABELS if labels.get(label)), None)

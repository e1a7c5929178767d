"""What a cluster's nodes are called, and where they are. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from runner.core.nodes import Node

REGION_LABELS = ("ray.io/availability-region", "topology.kubernetes.io/region", "region")
"""Labels of a node that may name its region, the first one found."""

SHORT = 8
"""Digits of a node's id that tell it from another of the same name."""


def name_nodes(rows: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """Return each living node by its id, given what `ray.nodes()` tells.

    A node is called what its owner called it, else by its host; where two are called the same, by a part of their id
    as well.
    """
    alive = [row for row in rows if row["Alive"]]
    shared = {name for name, count in Counter(map(_own_name, alive)).items() if count > 1}
    return {row["NodeID"]: Node(_name(row, shared), _region(row.get("Labels") or {})) for row in alive}


def list_vantages(rows: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """Return each node by its id that has a CPU to give, in the order of their names; those without hear nothing."""
    rows = list(rows)
    able = {row["NodeID"] for row in rows if (row.get("Resources") or {}).get("CPU", 0) >= 1}
    named = sorted(name_nodes(rows).items(), key=lambda item: item[1].name)
    return {node_id: node for node_id, node in named if node_id in able}


def _own_name(row: Mapping[str, Any]) -> str:
    named, address = row.get("NodeName"), row.get("NodeManagerAddress")
    return str(named if named and named != address else row["NodeManagerHostname"])


def _name(row: Mapping[str, Any], shared: set[str]) -> str:
    name = _own_name(row)
    return f"{name} {row['NodeID'][:SHORT]}" if name in shared else name


def _region(labels: Mapping[str, str]) -> str | None:
    return next((labels[label] for label in REGION_LABELS if labels.get(label)), None)

"""Names and regions of a cluster's nodes. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from runner.core.cluster_node import Node

REGION_LABELS = ("ray.io/availability-region", "topology.kubernetes.io/region", "region")
"""Labels that may contain a node's region; the first one that is set counts."""

SHORT_ID = 8
"""Number of digits of a node's id that are added to its name if several nodes have the same one."""


def name_nodes(rows: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """Return id -> node for the nodes that are alive, from the rows of `ray.nodes()`.

    A node has the name that its owner gave it, else that of its host. If several nodes have the same name, a part of
    their id is added.
    """
    alive = [row for row in rows if row["Alive"]]
    shared = {name for name, count in Counter(map(_own_name, alive)).items() if count > 1}
    return {row["NodeID"]: Node(_name(row, shared), _region(row.get("Labels") or {})) for row in alive}


def list_vantages(rows: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """Return id -> node for the nodes that have a CPU for a worker, sorted by name."""
    rows = list(rows)
    with_cpu = {row["NodeID"] for row in rows if (row.get("Resources") or {}).get("CPU", 0) >= 1}
    by_name = sorted(name_nodes(rows).items(), key=lambda item: item[1].name)
    return {node_id: node for node_id, node in by_name if node_id in with_cpu}


def _own_name(row: Mapping[str, Any]) -> str:
    name, address = row.get("NodeName"), row.get("NodeManagerAddress")
    return str(name if name and name != address else row["NodeManagerHostname"])


def _name(row: Mapping[str, Any], shared: set[str]) -> str:
    name = _own_name(row)
    return f"{name} {row['NodeID'][:SHORT_ID]}" if name in shared else name


def _region(labels: Mapping[str, str]) -> str | None:
    return next((labels[label] for label in REGION_LABELS if labels.get(label)), None)

"""A Ray cluster of three nodes on one machine, started with Ray's own utility for tests.

As a program it prints its address and its session's folder, and serves until its standard input closes. Each line of
input names a node: the program kills the node, or starts it again if it was killed, and then prints the name.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.command import ROOT

NODES = {"alpha": "north", "beta": "south", "gamma": None}
"""Name of a node -> its region."""

OBJECT_STORE_BYTES = 80 * 2**20
"""Size of the object store, for which Ray accepts no less than 75 MiB."""


@dataclass(frozen=True)
class RayCluster:
    """A running cluster."""

    address: str
    session: Path
    """Folder of Ray's logs, sockets and spilled objects."""
    process: "subprocess.Popen[str]"

    def toggle(self, node: str) -> None:
        """Kill a node with SIGKILL, or start it again; return when that is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(node, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline().strip() == node


def serve(variables: Mapping[str, Mapping[str, str]]) -> None:
    """Serve a cluster until stdin closes; `variables` are node -> environment variables of its processes."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 -- only this process serves one

    cluster: Any = Cluster()
    nodes = {name: add_node(cluster, name, variables) for name in NODES}
    print(json.dumps([cluster.address, cluster.head_node.get_session_dir_path()]), flush=True)
    for name in map(str.strip, sys.stdin):
        if name in nodes:
            cluster.remove_node(nodes.pop(name), allow_graceful=False)
        else:
            nodes[name] = add_node(cluster, name, variables)
        print(name, flush=True)
    cluster.shutdown()


def add_node(cluster: Any, name: str, variables: Mapping[str, Mapping[str, str]]) -> Any:
    """Start a node of the cluster with its environment variables."""
    region = NODES[name]
    labels = {} if region is None else {"ray.io/availability-region": region}
    return cluster.add_node(
        num_cpus=2,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        node_name=name,
        labels=labels,
        env_vars=variables.get(name, {}),
    )


@contextmanager
def launch_cluster(**variables: Mapping[str, str]) -> Iterator[RayCluster]:
    """Serve a cluster in a new process during a block; `gamma={"NAME": "text"}` sets a variable on that node."""
    command = [sys.executable, "-m", "tests.support.ray_cluster", json.dumps(variables)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the cluster did not start"
        address, session = json.loads(line)
        yield RayCluster(address, Path(session), process)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))

"""A Ray cluster of two nodes on this machine, in a process of its own: `python -m tests.end_to_end.two_nodes`.

Each node says that it has a GPU, of types H200 and T4, whether this machine has one or not.

It prints its address, the folder of its session and the identifiers of the nodes by type. It kills the node whose identifier
begins with the text that a line of standard input has, and ends with standard input.
"""

from __future__ import annotations

import json
import sys
from typing import Final

from ray.cluster_utils import Cluster

KINDS: Final = ("H200", "T4")


def main() -> None:
    """Start it, and do as it is told."""
    # Nothing runs on the head, so that either of the two nodes can be killed.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = {kind: cluster.add_node(num_cpus=1, num_gpus=1, resources={f"accelerator_type:{kind}": 1}) for kind in KINDS}
        identifiers = {kind: node.node_id for kind, node in nodes.items()}
        print(json.dumps([cluster.address, cluster.head_node.get_session_dir_path(), identifiers]), flush=True)  # noqa: T201
        for line in sys.stdin:
            (victim,) = (node for node in nodes.values() if node.node_id.startswith(line.strip()))
            cluster.remove_node(victim, allow_graceful=False)
            print("killed", flush=True)  # noqa: T201
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()

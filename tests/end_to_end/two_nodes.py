"""A Ray cluster of two nodes on this machine, in a process of its own: `python -m tests.end_to_end.two_nodes`.

It prints its address and the name of its session, kills the node whose identifier begins with the text that a line of
standard input has, and ends with standard input.
"""

from __future__ import annotations

import json
import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """Start it, and do as it is told."""
    # Nothing runs on the head, so that either of the two nodes can be killed.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        print(json.dumps([cluster.address, nodes[0].get_session_dir_path()]), flush=True)  # noqa: T201
        for line in sys.stdin:
            (victim,) = (node for node in nodes if node.node_id.startswith(line.strip()))
            cluster.remove_node(victim, allow_graceful=False)
            print("killed", flush=True)  # noqa: T201
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()

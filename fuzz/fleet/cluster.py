"""What a fleet needs of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fuzz.fleet.order import News, Order
from fuzz.fleet.shard import Shard


class ClusterError(RuntimeError):
    """A cluster that cannot be used, in one sentence."""


class LostError(RuntimeError):
    """A shard whose node, or whose process there, is gone; in one sentence."""


class Placed(Protocol):
    """A shard that was given to a cluster: it waits for its place, or runs there."""

    def news(self) -> News | None:
        """What is new; None if it waits, or has not answered yet. Does not wait.

        Raises:
            LostError: it is gone.
        """

    def interrupt(self) -> None:
        """Ask it to end as after Ctrl-C."""

    def close(self) -> None:
        """End it, wherever it is."""


class Cluster(Protocol):
    """Machines that run shards."""

    def kinds(self) -> Mapping[str, int]:
        """How many accelerators of each type, and CPUs, the nodes have that are there now, busy or not.

        Raises:
            ClusterError: the cluster does not answer.
        """

    def place(self, shard: Shard, order: Order) -> Placed:
        """Give a shard to the cluster, which starts it as soon as there is room.

        Raises:
            ClusterError: the cluster does not answer.
        """

"""A fleet's cluster by Ray: each shard is an actor, placed by the type of its accelerator."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import ray
from ray.exceptions import ActorUnavailableError, RayError

from fuzz.fleet.cluster import ClusterError, LostError
from fuzz.fleet.order import News, Order
from fuzz.fleet.shard import CPU, Shard
from fuzz.fleet.shard_run import ShardRun
from fuzz.fleet.sources import staged
from reports.text import short

LOCAL: Final = "local"
"""The address of a cluster that is started on this machine, and ends with the fleet."""

NODE_LETTERS: Final = 8
"""Of a node's identifier, as much as tells it from the others."""

GOODBYE: Final = 10.0
"""Seconds that a shard has to remove what it has written on its node."""

KNOCK: Final = 10.0
"""Seconds in which the head of a cluster has to take a connection."""

LONGEST: Final = 200
"""Characters of a message of Ray that are shown."""

_TYPE: Final = "accelerator_type:"
_HOST_AND_PORT: Final = re.compile(r"([^:/]+):([0-9]{1,5})")


class ShardActor(ShardRun):
    """A shard in a worker process of Ray."""

    def __init__(self, order: Order) -> None:
        super().__init__(order, ray.get_runtime_context().get_node_id()[:NODE_LETTERS])


class OnRay:
    """A Ray cluster. Made by `connected`."""

    def kinds(self) -> dict[str, int]:
        """See `fuzz.fleet.cluster.Cluster`."""
        kinds: Counter[str] = Counter()
        with _answering():
            for node in ray.nodes():
                if node["Alive"]:
                    kinds.update(_kinds(node["Resources"]))
        return dict(kinds)

    def place(self, shard: Shard, order: Order) -> PlacedOnRay:
        """See `fuzz.fleet.cluster.Cluster`."""
        needs: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
        if shard.kind != CPU:
            needs |= {"num_gpus": 1, "accelerator_type": shard.kind}
        with _answering():
            return PlacedOnRay(ray.remote(ShardActor).options(**needs).remote(order))


class PlacedOnRay:
    """An actor that has one question at a time to answer."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._answer = actor.news.remote()
        self._has_place = False

    def news(self) -> News | None:
        """See `fuzz.fleet.cluster.Placed`."""
        try:
            if not ray.wait([self._answer], timeout=0)[0]:
                return None
            news: News = ray.get(self._answer)
            self._has_place = True
            self._answer = self._actor.news.remote()
        except ActorUnavailableError:
            # The network, perhaps, or the node: Ray knows before long. What was on its way is sent again.
            self._answer = self._actor.news.remote(whole=True)
            return None
        except RayError as error:
            raise LostError(_sentence(error)) from None
        return news

    def interrupt(self) -> None:
        """See `fuzz.fleet.cluster.Placed`."""
        with contextlib.suppress(RayError):
            self._actor.interrupt.remote()

    def close(self) -> None:
        """See `fuzz.fleet.cluster.Placed`. A shard that still waits for its place loses it at once."""
        with contextlib.suppress(RayError):
            if self._has_place:
                ray.wait([self._actor.close.remote()], timeout=GOODBYE)
            ray.kill(self._actor)


@contextlib.contextmanager
def connected(address: str) -> Iterator[OnRay]:
    """The cluster at `address`, whose nodes are sent the sources.

    Args:
        address: "local", "auto" for the cluster that this machine belongs to, HOST:PORT of one, or ray://HOST:PORT.

    Raises:
        ClusterError: there is none, or it cannot be used from here.
    """
    more: dict[str, Any] = {}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # trying it out is nobody's business
        more = {"include_dashboard": False}
    try:
        _knock(address)
        with staged() as folder:
            environment = {"working_dir": str(folder)}
            ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (RayError, RuntimeError, ValueError, OverflowError, OSError, ImportError) as error:
        raise ClusterError(f"no Ray cluster at {address!r} can be used: {_sentence(error)}") from None
    try:
        yield OnRay()
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See that somebody listens at an address of the form HOST:PORT; Ray itself tries for minutes.

    Raises:
        OSError: nobody does.
    """
    if found := _HOST_AND_PORT.fullmatch(address):
        socket.create_connection((found[1], int(found[2])), timeout=KNOCK).close()


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (RayError, RuntimeError, OSError) as error:
        raise ClusterError(f"the Ray cluster does not answer: {_sentence(error)}") from None


def _kinds(resources: dict[str, float]) -> dict[str, int]:
    """The CPUs and the GPUs of a node, by type."""
    types = [name.removeprefix(_TYPE) for name in resources if name.startswith(_TYPE)]
    counts = {CPU: int(resources.get("CPU", 0)), **dict.fromkeys(types, int(resources.get("GPU", 0)))}
    return {kind: count for kind, count in counts.items() if count}


def _sentence(error: BaseException) -> str:
    """The first line that says something; Ray's messages have many."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return short(lines[0], LONGEST) if lines else type(error).__name__

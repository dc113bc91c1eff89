"""What the shards of a fleet have in common, and what is around them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz.fleet.cluster import Cluster
from fuzz.fleet.order import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all shards of a fleet have in common.

    Attributes:
        seed: of the fleet.
        budget: seconds of each shard.
        attempts: how often a shard is tried at most, the first time included.
        inputs: known issues and corpus.
        arguments: further options of each shard's pytest.
    """

    seed: int
    budget: float
    attempts: int
    inputs: Inputs
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a course works with.

    Attributes:
        cluster: where shards run.
        into: the folder that has a folder for each attempt.
        tell: takes lines for people.
        clock: seconds, monotonic.
    """

    cluster: Cluster
    into: Path
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic

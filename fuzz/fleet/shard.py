"""The shards of a fleet: how many on which kind of device, and the seed of each."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from fuzz.distributed import MAX_SEED

CPU: Final = "CPU"
"""The kind of a shard that needs no GPU."""

_PART: Final = re.compile(r"([A-Za-z][\w-]*)=([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One campaign of a fleet.

    Attributes:
        kind: type of the accelerator that it runs on, as Ray names it, such as "H200"; or "CPU".
        number: among the shards of its kind, from 0.
    """

    kind: str
    number: int

    @property
    def name(self) -> str:
        """What it is called in progress lines, and its folder."""
        return f"{self.kind.lower()}-{self.number}"

    @property
    def device(self) -> str:
        """The --fuzz-device of its run."""
        return "cpu" if self.kind == CPU else "cuda"


def parse_shards(text: str) -> tuple[Shard, ...]:
    """The shards that "H200=2,T4=4" means.

    Raises:
        ValueError: it means nothing, or a kind is there twice; one sentence.
    """
    parts = [_PART.fullmatch(part.strip()) for part in text.split(",")]
    counts: dict[str, int] = {}
    for part in parts:
        if part is None:
            raise ValueError(f"{text!r} does not say how many shards on what; write H200=2,T4=4 or CPU=2")
        kind = part[1].upper() if part[1].upper() == CPU else part[1]
        if kind.lower() in map(str.lower, counts):
            raise ValueError(f"{text!r} names {kind} twice")
        counts[kind] = int(part[2])
    return tuple(Shard(kind, number) for kind, count in counts.items() for number in range(count))


def seed_of(fleet: int, shard: Shard, attempt: int) -> int:
    """The seed of an attempt, from that of the fleet.

    The attempts of a shard have different ones: what a lost one has drawn counts, and is not drawn again.

    Args:
        fleet: the fleet's seed.
        shard: which one.
        attempt: from 1.
    """
    digest = hashlib.sha256(f"{fleet} {shard.name} {attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_SEED

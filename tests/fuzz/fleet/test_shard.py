"""How many shards on what, and their seeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.distributed import MAX_SEED
from fuzz.fleet.shard import Shard, parse_shards, seed_of


def test_kinds_and_numbers() -> None:
    shards = parse_shards("H200=2, T4=1,cpu=1")
    assert shards == (Shard("H200", 0), Shard("H200", 1), Shard("T4", 0), Shard("CPU", 0))
    assert [shard.name for shard in shards] == ["h200-0", "h200-1", "t4-0", "cpu-0"]
    assert [shard.device for shard in shards] == ["cuda", "cuda", "cuda", "cpu"]


@pytest.mark.parametrize(
    "text", ["", "H200", "H200=", "H200=0", "H200=-1", "=2", "H200=2,", "H200=two", "H200=2;T4=1", "../x=1", "H200=99999"]
)
def test_anything_else_is_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="does not say how many shards on what; write H200=2,T4=4 or CPU=2"):
        parse_shards(text)


@pytest.mark.parametrize("text", ["T4=1,T4=2", "T4=1,t4=1", "CPU=1,cpu=1"])
def test_a_kind_is_named_once_since_folders_are_named_after_it(text: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_shards(text)


@given(st.integers())
def test_every_attempt_of_every_shard_has_a_seed_of_its_own(fleet: int) -> None:
    shards = parse_shards("H200=3,T4=3")
    seeds = [seed_of(fleet, shard, attempt) for shard in shards for attempt in (1, 2, 3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < MAX_SEED for seed in seeds)
    assert seeds == [seed_of(fleet, shard, attempt) for shard in shards for attempt in (1, 2, 3)]
    assert seeds[0] != seed_of(fleet + 1, shards[0], 1)

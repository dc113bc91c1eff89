"""All defects of a release together: each has one name, whatever was drawn and however they hide one another."""

from __future__ import annotations

import functools
from collections import defaultdict
from typing import Final

import pytest

from fuzz.campaign.budget import Budget
from fuzz.campaign.campaign import Campaign
from fuzz.campaign.mixture import Property
from fuzz.triage.bug import Bug
from fuzz.triage.suspects import Suspects
from strategies.case import Mode
from strategies.cases import cases, cases_in, misused_cases, related_cases, wrong_out_cases
from tests.fuzz.triage.emulated import RELEASES, EmulatedExecutor, Release
from tests.fuzz.triage.planted import Recorder

SEEDS: Final = (1, 2, 3)
CASES: Final = 800
"""About as many as a run of three minutes on an H200 had."""

MOST: Final = 32
"""Defects that a run has to find, of about forty to fifty: some want a weight of two elements, which is seldom drawn."""

PROPERTIES: Final = (
    Property("plain calls", cases(), 4),
    Property("relations", related_cases(), 2),
    Property("calls with out=", cases_in(Mode.OUT)),
    Property("gradients", cases_in(Mode.BACKWARD)),
    Property("kept modules", cases_in(Mode.KEPT)),
    Property("wrong calls", misused_cases()),
    Property("wrong out=", wrong_out_cases()),
)


@functools.cache
def found(version: str, seed: int) -> tuple[Bug, ...]:
    """The defects of a search for which there was time enough."""
    release, recorder = RELEASES[version], Recorder()
    executor = EmulatedExecutor(release.defects, library=release.library)
    Campaign(executor, Budget(3600.0), recorder, Suspects()).explore(  # type: ignore[arg-type]
        list(PROPERTIES), seed=seed, until=3600.0, most_cases=CASES
    )
    return tuple(candidate.bug for candidate in recorder.candidates)


def named(release: Release, bug: Bug) -> str:
    """Which defect it is."""
    (name,) = release.defects_of(bug.minimal, bug.key)
    return name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", RELEASES)
def test_no_defect_is_found_twice(version: str, seed: int) -> None:
    names = [named(RELEASES[version], bug) for bug in found(version, seed)]
    assert len(names) == len(set(names))
    assert len(names) >= MOST


@pytest.mark.parametrize("version", RELEASES)
def test_a_defect_has_the_same_name_with_every_seed_and_no_other_has_it(version: str) -> None:
    signatures: dict[str, set[str]] = defaultdict(set)
    for seed in SEEDS:
        for bug in found(version, seed):
            signatures[named(RELEASES[version], bug)].add(bug.signature)
    assert {name: sorted(found) for name, found in signatures.items() if len(found) > 1} == {}
    assert len(set().union(*signatures.values())) == len(signatures)

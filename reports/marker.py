"""Marks in an issue that people do not see and programs find: which defect it is about, and where it was seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from reports.finding import Finding
from reports.hardware import hardware

_DIGITS: Final = 16
"""Hexadecimal digits of a digest: two defects in a thousand share one by chance once in 10^13 trackers."""


def digest(finding: Finding) -> str:
    """What an issue is searched by: of the signature alone, so that every run has the same."""
    return digest_of(finding.signature)


def digest_of(signature: str) -> str:
    """The digest of a signature."""
    return _digest(signature)


def marker(finding: Finding) -> str:
    """The comment that says which defect the issue is about."""
    return f"<!-- bnb4-fuzz signature {digest(finding)} -->"


def sightings(finding: Finding) -> tuple[str, ...]:
    """The comments that say on which releases and devices the defect was seen, one for each."""
    systems = [finding.system, *(sighting.system for sighting in finding.sightings)]
    return tuple(dict.fromkeys(_sighting(finding.signature, system) for system in systems))


def _sighting(signature: str, system: Mapping[str, str]) -> str:
    return f"<!-- bnb4-fuzz seen {_digest(signature, system.get('bitsandbytes', ''), hardware(system))} -->"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="replace")).hexdigest()[:_DIGITS]

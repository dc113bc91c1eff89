"""Where a defect was seen: versions and hardware."""

from __future__ import annotations

from typing import Final

from reports.extent import Sighting
from reports.finding import Finding
from reports.hardware import hardware
from reports.only_on import not_seen
from reports.text import prose

_LABELS: Final = {
    "bitsandbytes": "bitsandbytes",
    "torch": "PyTorch",
    "cuda": "CUDA (PyTorch build)",
    "python": "Python",
    "platform": "OS",
    "gpu": "GPU",
    "compute_capability": "Compute capability",
    "driver": "Driver",
    "cpu": "CPU",
}


def system_info(finding: Finding) -> str:
    """What upstream's bug form asks for under System Info, then all places where the defect was seen if there are several, and was not."""
    system = "\n".join(f"- {words}: {prose(finding.system[key])}" for key, words in _LABELS.items() if key in finding.system)
    several = len(finding.sightings) > 1
    seen = "Seen on:\n\n" + "\n".join(_sighting(sighting) for sighting in finding.sightings) if several else ""
    return "\n\n".join(part for part in (system, seen, not_seen(finding)) if part)


def _sighting(sighting: Sighting) -> str:
    system = sighting.system
    versions = [f"{_LABELS[key]} {prose(system[key])}" for key in ("bitsandbytes", "torch") if key in system]
    device = hardware(system)
    places = ", ".join([*versions, *([prose(device)] if device else [])]) or "an unknown machine"
    return f"- {places}: {sighting.observed} {'case' if sighting.observed == 1 else 'cases'}"

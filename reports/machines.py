"""Where a defect was seen: versions and hardware."""

from __future__ import annotations

from typing import Final

from reports.extent import Sighting
from reports.finding import Finding
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
    """What upstream's bug form asks for under System Info, and all places where the defect was seen if there are several."""
    system = "\n".join(f"- {words}: {prose(finding.system[key])}" for key, words in _LABELS.items() if key in finding.system)
    if len(finding.sightings) < 2:  # noqa: PLR2004
        return system
    return f"{system}\n\nSeen on:\n\n" + "\n".join(_sighting(sighting) for sighting in finding.sightings)


def _sighting(sighting: Sighting) -> str:
    system = sighting.system
    versions = [f"{_LABELS[key]} {prose(system[key])}" for key in ("bitsandbytes", "torch") if key in system]
    hardware = system.get("gpu") or system.get("cpu") or system.get("device") or ""
    places = ", ".join([*versions, *([prose(hardware)] if hardware else [])]) or "an unknown machine"
    return f"- {places}: {sighting.observed} {'case' if sighting.observed == 1 else 'cases'}"

"""What a machine computes with, in a word."""

from __future__ import annotations

from collections.abc import Mapping


def hardware(system: Mapping[str, str]) -> str:
    """The GPU, or else the CPU, of a machine; empty if it is not known."""
    return system.get("gpu") or system.get("cpu") or system.get("device") or ""

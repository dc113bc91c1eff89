"""The Cases that a run draws by default: every property but the slow ones, each as often as its share says."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fuzz.campaign.explore import explore
from fuzz.campaign.mixture import Property, mixed, reachable_on
from strategies.case import Case

FUZZ: Final = Path(__file__).resolve().parent.parent / "fuzz"


def default_mix(device: str) -> list[Property]:
    """The properties that `pytest fuzz/` searches on `device`, "cpu" or "cuda"."""
    modules = [importlib.import_module(f"fuzz.{file.stem}") for file in sorted(FUZZ.glob("test_*.py"))]
    return reachable_on(device, [one for module in modules for one in _stated(module) if not (one.slow or one.giant)])


def _stated(module: Any) -> Iterator[Property]:
    for name, function in vars(module).items():
        for mark in getattr(function, "pytestmark", ()):
            if mark.name == "draws":
                yield Property(name, mark.args[0], **mark.kwargs)


def drawn(seed: int, count: int, device: str) -> tuple[list[Case], float]:
    """The first Cases of a search by their seed, and the seconds that drawing them took, less what begins it."""
    cases: list[Case] = []
    began = 0.0

    def visit(case: Case) -> bool:
        nonlocal began
        began = began or time.perf_counter()
        cases.append(case)
        return len(cases) <= count

    explore(mixed(default_mix(device)).map(lambda one: one.case), seed, visit)
    return cases[:count], time.perf_counter() - began

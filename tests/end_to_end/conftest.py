"""One run with every fault switched on, which takes three minutes and which several tests look at."""

from __future__ import annotations

import pytest

from .commands import MAIN_PROPERTY, FuzzRun, fuzz
from .expected import NAMES

PLANTED_BUDGET = 190.0
"""Seconds in which two slow cores find, reduce and confirm six faults; the script of the hang alone takes 30."""

WATCHDOG = 2.0
"""Seconds of silence that count as a hang. Every path of the stand-in takes milliseconds."""


@pytest.fixture(scope="session")
def planted_run(tmp_path_factory: pytest.TempPathFactory) -> FuzzRun:
    """A finished run with all faults switched on."""
    return fuzz(tmp_path_factory.mktemp("planted") / "reports", PLANTED_BUDGET, WATCHDOG, NAMES, MAIN_PROPERTY)

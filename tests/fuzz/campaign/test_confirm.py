"""What a confirmation in the background must not do to the search."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.end_to_end.commands import PROJECT

SCRIPT = """
import sys
from pathlib import Path
from fuzz.campaign.confirm import Confirmation, Site
from reports.run import RunDirectory

confirmation = Confirmation(Site(system={}, watchdog=1.0, start_seconds=1.0, fork_seconds=1.0), RunDirectory(Path("nowhere")))
before = "numpy" in sys.modules
seen = []
confirmation._pool.submit = lambda *_: seen.append(hasattr(sys.modules.get("numpy"), "ndarray"))
confirmation.add(None)
print(before, seen)
"""


def test_numpy_is_there_before_a_thread_could_be_importing_it() -> None:
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "False [True]\n", done.stderr

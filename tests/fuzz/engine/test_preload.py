"""bitsandbytes is imported before the fork where that leaves CUDA alone, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]

SCRIPT = """
import sys, types
from fuzz.engine import driver
driver.has_driver = lambda: {driver}
driver.capabilities = lambda: {capabilities}
driver.uses_cuda = lambda: {uses_cuda}
import torch
asked = torch.cuda.get_device_capability
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "bitsandbytes":
            torch.answer = torch.cuda.get_device_capability() if {driver} else None
        return None
sys.meta_path.insert(0, Finder)
import fuzz.engine.preload
assert torch.cuda.get_device_capability is asked
print("bitsandbytes" in sys.modules, getattr(torch, "answer", None))
"""


def preloaded(*, driver: bool, capabilities: set[tuple[int, int]], uses_cuda: bool) -> str:
    """Whether a fork server on such a machine has imported bitsandbytes, and the capability that this was told."""
    script = SCRIPT.format(driver=driver, capabilities=capabilities or "set()", uses_cuda=uses_cuda)
    command = [sys.executable, "-W", "ignore", "-c", script]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120).stdout.strip()


@pytest.mark.parametrize(
    ("driver", "capabilities", "uses_cuda", "expected"),
    [
        (False, set(), True, "True None"),
        (True, {(9, 0)}, False, "True (9, 0)"),
        (True, {(9, 0)}, True, "False None"),
        (True, {(9, 0), (7, 5)}, False, "False None"),
        (True, set(), False, "False None"),
    ],
    ids=["no driver", "a GPU", "a library that initialises CUDA", "unequal GPUs", "NVML says nothing"],
)
def test_it_is_imported_where_cuda_stays_untouched(
    driver: bool,  # noqa: FBT001
    capabilities: set[tuple[int, int]],
    uses_cuda: bool,  # noqa: FBT001
    expected: str,
) -> None:
    assert preloaded(driver=driver, capabilities=capabilities, uses_cuda=uses_cuda) == expected

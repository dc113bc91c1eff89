"""Imported once by the fork server: what children need and what does not touch CUDA.

Importing bitsandbytes asks CUDA for the compute capability, which initialises it, and a forked child can no longer use
the CUDA of its parent. So the fork server answers that question from NVML, and imports bitsandbytes only if a process
that did the same has left CUDA alone.
"""

from __future__ import annotations

import importlib
import os

import fuzz.engine.environment  # noqa: F401 - before torch
from fuzz.engine.driver import capabilities, has_driver, uses_cuda


def import_bitsandbytes() -> bool:
    """Import bitsandbytes and leave CUDA alone; False if that cannot be done, and then nothing is imported."""
    if not has_driver() or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        importlib.import_module("bitsandbytes")
        return True
    found = capabilities()
    if len(found) != 1:  # which of several would be the first depends on CUDA_VISIBLE_DEVICES
        return False
    (capability,) = found
    probe = os.fork()
    if probe == 0:
        try:
            _import_with(capability)
            os._exit(uses_cuda())
        except BaseException:  # noqa: BLE001 - whatever it is, the children will say it
            os._exit(1)
    if os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1]):
        return False
    _import_with(capability)
    return True


def _import_with(capability: tuple[int, int]) -> None:
    """Import bitsandbytes with this answer to its question."""
    import torch  # noqa: PLC0415

    asked = torch.cuda.get_device_capability
    torch.cuda.get_device_capability = lambda device=None: capability  # noqa: ARG005
    try:
        importlib.import_module("bitsandbytes")
    finally:
        torch.cuda.get_device_capability = asked


def _preload() -> None:
    try:
        for name in ("torch", "torch._dynamo", "torch._inductor", "torch.profiler", "fuzz.engine.runner"):
            importlib.import_module(name)
        import_bitsandbytes()
    except Exception:  # noqa: BLE001, S110 - the child imports it again and reports what is wrong
        pass


_preload()

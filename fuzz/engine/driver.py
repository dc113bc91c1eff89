"""What the NVIDIA driver says without CUDA being initialised."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any, Final

NOT_INITIALIZED: Final = 3
"""CUDA_ERROR_NOT_INITIALIZED, https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html"""

VERSION_FILE: Final = Path("/proc/driver/nvidia/version")
"""Where the kernel module says its version (Linux). NVML would say the same."""


def driver_version() -> str:
    """The version of the NVIDIA driver; "unknown" where the kernel module does not say it."""
    try:
        text = VERSION_FILE.read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text.partition("\n")[0])
    return found[1] if found else "unknown"


def has_driver() -> bool:
    """Whether an NVIDIA driver is installed. Loading its library initialises nothing."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def capabilities() -> set[tuple[int, int]]:
    """The compute capabilities of all GPUs, from NVML; empty where it cannot be asked.

    https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
    """
    found, major, minor = set(), ctypes.c_int(), ctypes.c_int()
    nvml, devices = _nvml()
    for device in devices:
        nvml.nvmlDeviceGetCudaComputeCapability(device, ctypes.byref(major), ctypes.byref(minor))
        found.add((major.value, minor.value))
    return found


class _Memory(ctypes.Structure):
    """nvmlMemory_t: bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def free_memory() -> list[int]:
    """Bytes that are free on each GPU, from NVML; empty where it cannot be asked. Others may take them before we do."""
    found, memory = [], _Memory()
    nvml, devices = _nvml()
    for device in devices:
        nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory))
        found.append(int(memory.free))
    return found


def _nvml() -> tuple[Any, list[ctypes.c_void_p]]:
    """NVML and its handles of all GPUs; no handles where it cannot be asked."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None, []
    count = ctypes.c_uint()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return nvml, []
    devices = [ctypes.c_void_p() for _ in range(count.value)]
    for index, device in enumerate(devices):
        nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
    return nvml, devices


def uses_cuda() -> bool:
    """Whether this process has initialised CUDA, so that its forks cannot."""
    return bool(ctypes.CDLL("libcuda.so.1").cuCtxGetCurrent(ctypes.byref(ctypes.c_void_p())) != NOT_INITIALIZED)

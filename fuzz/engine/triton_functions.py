"""Triton's implementations of the 4-bit ops: whether they are there and can be called.

Upstream registers them for Intel's GPUs (`backends/xpu/ops.py`) and calls them nowhere else. They are plain functions, so that
on a GPU of NVIDIA those reach them who call them.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import shutil
from types import ModuleType
from typing import Final

MODULE: Final = "bitsandbytes.backends.triton.ops"

SIGNATURES: Final[dict[str, tuple[str, ...]]] = {
    "quantize_4bit": ("A", "blocksize", "quant_type", "quant_storage"),
    "dequantize_4bit": ("A", "absmax", "blocksize", "quant_type", "shape", "dtype"),
    "dequantize_4bit_inplace": ("A", "absmax", "blocksize", "quant_type", "shape", "dtype", "out"),
    "gemv_4bit": ("A", "B", "shapeB", "absmax", "code", "blocksize"),
}
"""The functions by name, and their arguments: those of the ops that they implement (`bitsandbytes/_ops.py`)."""

_COMPILERS: Final = ("gcc", "clang")
"""Triton builds what launches a kernel with one of these, if CC names no other (`_build` in triton/runtime/build.py)."""


def functions() -> ModuleType:
    """The module of the functions. Importing it imports bitsandbytes, so that it is for the child to do.

    Raises:
        ImportError: there is no Triton, or no such module in this release.
    """
    return importlib.import_module(MODULE)


def can_be_called(device: str) -> bool:
    """Whether the functions are there with the arguments that are expected, and Triton can build kernels for this device.

    Args:
        device: "cpu" or "cuda". Triton has no kernels for a CPU; its interpreter is a debugger, and other code.
    """
    if device != "cuda" or importlib.util.find_spec("triton") is None or not _has_compiler():
        return False
    try:
        module = functions()
    except Exception:  # noqa: BLE001 - a Triton of another version, or without its driver, fails in many ways
        return False
    return all(_takes(getattr(module, name, None), arguments) for name, arguments in SIGNATURES.items())


def _takes(function: object, arguments: tuple[str, ...]) -> bool:
    return callable(function) and tuple(inspect.signature(function).parameters) == arguments


def _has_compiler() -> bool:
    return "CC" in os.environ or any(shutil.which(name) for name in _COMPILERS)

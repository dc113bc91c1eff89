"""The bitsandbytes under test: which features it has, found by looking and not by version number."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import sys
from dataclasses import dataclass
from typing import Any, Final

import torch

from fuzz.engine import triton_functions
from fuzz.engine.driver import driver_version
from fuzz.engine.native import NOTHING_LOADED, Native, native_library

_VALID_BLOCKSIZES: Final = re.compile(r"Valid values are ([\d, and]+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What upstream's dispatch rules ask about a GPU: compute capability and number of multiprocessors; and its memory in bytes."""

    major: int
    minor: int
    multiprocessors: int
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What the loaded bitsandbytes can do, and where it runs.

    Attributes:
        fused: the op `gemm_4bit` exists; from then on `matmul_4bit` normalizes the packed weight (0.50).
        out_variant: the op `gemv_4bit.out` has an implementation on this device.
        cpu_repack: `Linear4bit` repacks its weight for AVX512-BF16 on this CPU.
        documented_blocksizes: the list in the docstring of `functional.quantize_4bit`.
        device_name: the GPU's name, or "cpu" and its vector unit: what a calibration is filed under.
        gpu: properties of the GPU; None on a CPU.
        native: the native library that it loaded.
        triton: Triton's functions for the 4-bit ops can be called on this device (`fuzz.engine.triton_functions`).
    """

    version: str
    device: str
    fused: bool
    out_variant: bool
    cpu_repack: bool
    documented_blocksizes: tuple[int, ...]
    device_name: str = ""
    gpu: Gpu | None = None
    native: Native = NOTHING_LOADED
    triton: bool = False

    def chooses_fused(self, dtype: torch.dtype, rows: int, outputs: int, terms: int) -> bool | None:
        """Whether the op `gemm_4bit` takes a fused kernel for a product, by the library's own rule; None if it hides it.

        The rule is a private function of upstream's `backends/cuda/ops.py`. Asking it is better than a copy: which
        kernel runs is no question of right or wrong, and each release tunes it.
        """
        from bitsandbytes.backends.cuda import ops  # noqa: PLC0415

        rule = getattr(ops, "_gemm_4bit_use_custom_fn", None)
        return None if rule is None else bool(rule(0, dtype, rows, outputs, terms))

    def to_json(self) -> dict[str, Any]:
        """The features as JSON data."""
        return dataclasses.asdict(self)


def inspect_library(device: str) -> Library:
    """Import bitsandbytes and look at it.

    Args:
        device: "cpu" or "cuda", where it will run.

    Raises:
        ImportError: bitsandbytes cannot be imported.
    """
    import bitsandbytes  # noqa: PLC0415 - importing it initialises CUDA, which only the child may do
    from bitsandbytes import functional  # noqa: PLC0415

    has_avx512bf16 = getattr(functional, "has_avx512bf16", None)
    return Library(
        version=bitsandbytes.__version__,
        device=device,
        fused=hasattr(torch.ops.bitsandbytes, "gemm_4bit"),
        out_variant=_has_out_variant(device),
        cpu_repack=device == "cpu" and has_avx512bf16 is not None and bool(has_avx512bf16()),
        documented_blocksizes=documented_blocksizes(functional.quantize_4bit.__doc__ or ""),
        device_name=device_name(device),
        gpu=_gpu() if device == "cuda" else None,
        native=native_library(),
        triton=triton_functions.can_be_called(device),
    )


def device_name(device: str) -> str:
    """The name that a calibration of this device is filed under: the GPU's, or "cpu" and torch's vector unit."""
    return torch.cuda.get_device_name(0) if device == "cuda" else f"cpu {torch.backends.cpu.get_cpu_capability()}"


def _gpu() -> Gpu:
    properties = torch.cuda.get_device_properties(0)
    return Gpu(
        major=properties.major,
        minor=properties.minor,
        multiprocessors=properties.multi_processor_count,
        memory=properties.total_memory,
    )


def documented_blocksizes(docstring: str) -> tuple[int, ...]:
    """The blocksizes that a docstring of `quantize_4bit` lists.

    Raises:
        ValueError: the docstring lists none, so that nothing is known about what is valid.
    """
    found = _VALID_BLOCKSIZES.search(docstring)
    if found is None:
        raise ValueError("the docstring of bitsandbytes.functional.quantize_4bit no longer lists the valid blocksizes")
    return tuple(int(number) for number in re.findall(r"\d+", found[1]))


def _has_out_variant(device: str) -> bool:
    key = {"cpu": "CPU", "cuda": "CUDA"}[device]
    op = getattr(torch.ops.bitsandbytes, "gemv_4bit", None)
    if op is None or "out" not in op.overloads():
        return False
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key  # noqa: SLF001 - torch.library offers no other way to ask
    return bool(has_kernel("bitsandbytes::gemv_4bit.out", key))


def system_info(library: Library) -> dict[str, str]:
    """Versions and hardware, as an upstream issue asks for them."""
    info = {
        "bitsandbytes": library.version,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": library.device,
    }
    if library.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        info["gpu"] = properties.name
        info["compute_capability"] = f"{properties.major}.{properties.minor}"
        info["cuda"] = str(torch.version.cuda)
        info["driver"] = driver_version()
    else:
        info["cpu"] = f"{_cpu_model()} ({torch.backends.cpu.get_cpu_capability()})"
    return info


def _cpu_model() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = re.findall(r"model name\s*: (.*)", file.read())
        if models:
            return str(models[0])
    return platform.processor() or os.uname().machine

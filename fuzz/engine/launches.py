"""Which kernels were launched, by the profiler: the witness for what the dispatch rules say."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.profiler import ProfilerActivity, profile

from fuzz.oracle.arms import Arm

NAMES: Final = {
    "gemm_4bit_simt": Arm.SIMT,
    "gemm_4bit_sm": Arm.TENSOR_CORE,
    "kgemm_4bit_inference_naive": Arm.GEMV,
    "kDequantizeBlockwise": Arm.DEQUANTIZE,
    "quantize_fp4_blockwise_kernel": Arm.TRITON_QUANTIZE,
    "quantize_nf4_blockwise_kernel": Arm.TRITON_QUANTIZE,
    "dequant_fp4_kernel": Arm.TRITON_DEQUANTIZE,
    "dequant_nf4_kernel": Arm.TRITON_DEQUANTIZE,
    "dequant_4bit_kernel": Arm.TRITON_LINEAR,
}
"""What the name of a launched kernel contains, and what it computes (csrc and backends/triton/kernels_4bit.py of 0.48 to 0.50)."""


def launched(call: Callable[[], Any]) -> tuple[str, ...]:
    """Names of the kernels that `call` launches on the GPU, in order; empty where the profiler sees none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler warns of its own settings
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
            call()
            torch.cuda.synchronize()
    return tuple(event.name for event in recorded.events() if event.device_type.name == "CUDA")


def arms_of(names: tuple[str, ...]) -> frozenset[Arm]:
    """The arms that launched kernels belong to. A dequantization followed by anything else is LINEAR."""
    found = {arm for name in names for part, arm in NAMES.items() if part in name}
    fused = found - {Arm.DEQUANTIZE}
    if fused or not found:
        return frozenset(fused)
    return frozenset({Arm.LINEAR} if any(_is_product(name) for name in names) else {Arm.DEQUANTIZE})


def _is_product(name: str) -> bool:
    return not any(part in name for part in ("kDequantize", "elementwise", "Memcpy", "Memset"))

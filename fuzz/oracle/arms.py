"""The arithmetic that a product, or a weight on its way to one, can go through: one name for each kind of kernel."""

from __future__ import annotations

import enum


class Arm(enum.Enum):
    """A kind of kernel, by the roundings it makes.

    The sources are upstream's: `csrc/gemm_4bit_simt.cu`, `kgemm_4bit_inference_naive` in `csrc/kernels.cu`,
    `csrc/gemm_4bit_sm80.cu`, `_dequant_linear_fallback` in `backends/cuda/ops.py`, `csrc/cpu_ops.cpp`,
    `backends/triton/kernels_4bit.py`.
    """

    SIMT = "simt"  # fused: rounds code, scale, weight and product to 16 bit; float32 keeps products unrounded
    GEMV = "gemv"  # legacy gemv: the same roundings, another order of sums
    TENSOR_CORE = "tensor_core"  # fused: weights rounded once, exact products, truncating fused sums
    LINEAR = "linear"  # dequantize_4bit, then torch.nn.functional.linear: weights rounded once, any order of sums
    DEQUANTIZE = "dequantize"  # no product: code times scale in float32, rounded once
    CPU_BF16 = "cpu_bf16"  # the CPU's fused kernel: activation, scale and weight in bfloat16
    TRITON_QUANTIZE = "triton_quantize"  # Triton, the way there: largest magnitudes, which round nothing, and nearest codes
    TRITON_DEQUANTIZE = "triton_dequantize"  # Triton, no product: code times scale in float32, rounded once
    TRITON_LINEAR = "triton_linear"  # the same by the caller's code table, then torch.nn.functional.linear

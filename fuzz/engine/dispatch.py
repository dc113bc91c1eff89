"""Which kernel upstream will choose: its own rules, computed beforehand.

From 0.50 on `backends/cuda/ops.py` chooses between a fused kernel and dequantize-and-linear, and `csrc/gemm_4bit.cu`
between the two fused kernels. Before, `matmul_4bit` chose between the legacy gemv and dequantize-and-linear
(`autograd/_functions.py`). Where a rule is not known, every kernel that it might choose is named.
"""

from __future__ import annotations

from typing import Final

from fuzz.engine.library import Gpu, Library
from fuzz.engine.tensors import FLOAT_DTYPES
from fuzz.oracle.arms import Arm
from strategies.case import Case, FloatDType, Layout

ANY_FUSED: Final = (Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR)
MOST_ROWS: Final = 1536
"""Beyond it the fused kernels are not used (`_gemm_4bit_custom_max_m`)."""

KNOWN_RULES: Final = "0.50."
"""Releases whose choice between the fused kernels was read in `csrc/gemm_4bit.cu`."""


def gemm_arms(case: Case, library: Library) -> tuple[Arm, ...]:
    """The kernels that the op `gemm_4bit` may run."""
    if library.device == "cpu" or _unaligned(case) or case.activation.rows > MOST_ROWS:
        return (Arm.LINEAR,)
    fused = library.chooses_fused(FLOAT_DTYPES[case.activation_dtype], case.activation.rows, *_sizes(case))
    if fused is None or library.gpu is None or not library.version.startswith(KNOWN_RULES):
        return ANY_FUSED
    return (fused_arm(case, library.gpu),) if fused else (Arm.LINEAR,)


def fused_arm(case: Case, gpu: Gpu) -> Arm:
    """SIMT or tensor cores, as `gemm_4bit` in csrc/gemm_4bit.cu (0.50) chooses."""
    rows, (outputs, terms) = case.activation.rows, _sizes(case)
    if case.activation_dtype is FloatDType.FLOAT32 or rows <= 3 or terms % 64 != 0 or not _has_tensor_core(case, gpu):  # noqa: PLR2004
        return Arm.SIMT
    blocks = -(rows // -32) * -(outputs // -64)
    return Arm.SIMT if _too_small(rows, blocks, gpu) or _favours_simt(rows, outputs, terms, blocks, gpu) else Arm.TENSOR_CORE


# The numbers in the next two functions are the rule's own.
def _too_small(rows: int, blocks: int, gpu: Gpu) -> bool:
    large_memory = gpu.major in (9, 10) or (gpu.major, gpu.minor) == (8, 0)
    return (
        (rows <= 8 and blocks * 3 <= gpu.multiprocessors * 2)  # noqa: PLR2004
        or (large_memory and rows == 4 and blocks <= gpu.multiprocessors)  # noqa: PLR2004
        or (rows <= 16 and blocks * 4 <= gpu.multiprocessors)  # noqa: PLR2004
        or (rows <= 32 and blocks * 8 <= gpu.multiprocessors)  # noqa: PLR2004
    )


def _favours_simt(rows: int, outputs: int, terms: int, blocks: int, gpu: Gpu) -> bool:
    kind = (gpu.major, gpu.minor)
    fast = (kind in ((8, 6), (8, 9)) or kind == (12, 0)) and gpu.multiprocessors >= 48  # noqa: PLR2004
    wide = (kind == (8, 9) and gpu.multiprocessors >= 60) or (kind == (12, 0) and gpu.multiprocessors >= 48)  # noqa: PLR2004
    small_memory = gpu.major >= 8 and gpu.major not in (9, 10) and kind != (8, 0)  # noqa: PLR2004
    return (
        (rows == 4 and fast)  # noqa: PLR2004
        or (rows <= 6 and blocks >= gpu.multiprocessors and wide)  # noqa: PLR2004
        or (small_memory and terms > outputs and rows <= 17 and blocks * 3 < gpu.multiprocessors)  # noqa: PLR2004
    )


def _has_tensor_core(case: Case, gpu: Gpu) -> bool:
    turing = (gpu.major, gpu.minor) == (7, 5) and case.activation_dtype is FloatDType.FLOAT16
    return gpu.major >= 8 or turing  # noqa: PLR2004


def matmul_arms(case: Case, library: Library) -> tuple[Arm, ...]:
    """The kernels that `matmul_4bit` may run."""
    if library.fused:
        return (Arm.LINEAR,) if case.weight.layout is Layout.IN_OUT else gemm_arms(case, library)
    if case.activation.rows == 1 and not case.execution.grad and not _unaligned(case):
        return gemv_arms(case, library)
    return (Arm.LINEAR,)


def linear_arms(case: Case, library: Library) -> tuple[Arm, ...]:
    """The kernels that `Linear4bit` may run; in eval mode on a CPU with AVX512-BF16 it repacks its weight."""
    repacked = library.cpu_repack and not case.execution.grad
    return (Arm.CPU_BF16,) if repacked else matmul_arms(case, library)


def gemv_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001 - one signature for all
    """The kernel that `gemv_4bit` runs."""
    if library.device == "cuda":
        return (Arm.GEMV,)
    return (Arm.CPU_BF16,) if library.cpu_repack else (Arm.LINEAR,)


def _sizes(case: Case) -> tuple[int, int]:
    return case.weight.out_features, case.weight.in_features


def _unaligned(case: Case) -> bool:
    return case.weight.in_features % case.quantization.blocksize != 0

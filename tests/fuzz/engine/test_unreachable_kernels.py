"""Kernels that no call launches, and why."""

from __future__ import annotations

import pytest

from fuzz.engine.unreachable_kernels import TILES_OF_HOPPER, reason

HOPPER, AMPERE, TURING = (9, 0), (8, 0), (7, 5)
SMALL = frozenset({"kQuantizeBlockwiseSmall<float, 64, 2>", "kQuantizeBlockwiseSmall<__half, 64, 1>"})
TURING_ONLY = "for compute capability 7.5 only"
NO_TILE = "a tile that is not chosen on compute capability 9"
BY_TORCH = "8 rows of float32 are dequantized and multiplied by torch"
BY_SMALL = "blocks of 64 are quantized by kQuantizeBlockwiseSmall"


@pytest.mark.parametrize(
    ("kernel", "capability", "expected"),
    [
        ("gemm_4bit_sm75_m16n8k8<__half, 32, 64>", HOPPER, TURING_ONLY),
        ("gemm_4bit_sm75_m16n8k8<__half, 32, 64>", AMPERE, TURING_ONLY),
        ("gemm_4bit_sm75_m16n8k8<__half, 32, 64>", TURING, ""),
        ("gemm_4bit_sm80_m16n8k16<__nv_bfloat16, 32, 64, 128>", HOPPER, ""),
        ("gemm_4bit_sm80_m16n8k16<__nv_bfloat16, 32, 64, 64>", HOPPER, NO_TILE),
        ("gemm_4bit_sm80_m16n8k16<__half, 64, 32, 128>", HOPPER, NO_TILE),
        ("gemm_4bit_sm80_m16n8k16<__half, 64, 32, 128>", AMPERE, ""),
        ("gemm_4bit_simt<float, 8>", HOPPER, BY_TORCH),
        ("gemm_4bit_simt<float, 8>", AMPERE, BY_TORCH),
        ("gemm_4bit_simt<float, 7>", HOPPER, ""),
        ("gemm_4bit_simt<__half, 8>", HOPPER, ""),
        ("kQuantizeBlockwise<float, 64, 2, 0, 2>", HOPPER, BY_SMALL),
        ("kQuantizeBlockwise<__half, 64, 2, 0, 1>", HOPPER, BY_SMALL),
        ("kQuantizeBlockwise<__half, 64, 2, 0, 2>", HOPPER, ""),
        ("kQuantizeBlockwise<float, 128, 2, 0, 2>", HOPPER, ""),
        ("kQuantizeBlockwiseSmall<float, 64, 2>", HOPPER, ""),
        ("kDequantizeBlockwise<float, 512, 64, 8, 2>", HOPPER, ""),
        ("something_else", HOPPER, ""),
    ],
)
def test_a_kernel_and_its_reason(kernel: str, capability: tuple[int, int], expected: str) -> None:
    assert reason(kernel, capability, SMALL) == expected


def test_before_there_was_a_kernel_for_small_blocks_the_other_took_them() -> None:
    assert reason("kQuantizeBlockwise<float, 64, 2, 0, 2>", HOPPER, frozenset()) == ""


def test_of_the_eleven_tiles_five_are_left() -> None:
    assert len(TILES_OF_HOPPER) == 5

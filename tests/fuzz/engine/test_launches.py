"""Arms by the names of the kernels that were launched. What a profiler sees is tested on a GPU by `calibrate` itself."""

from __future__ import annotations

import pytest

from fuzz.engine.launches import NAMES, arms_of
from fuzz.oracle.arms import Arm

SIMT = "void gemm_4bit_simt<__half, 1>(int, int, int, __half const*, unsigned char const*, float const*)"
SIMT_BF16 = "void gemm_4bit_simt<__nv_bfloat16, 4>(int, int, int)"
SM75 = "void gemm_4bit_sm75_m16n8k8<__half, 32, 64, 64, false>(int, int, int)"
SM80 = "void gemm_4bit_sm80_m16n8k16<__nv_bfloat16, 32, 64, 64, true>(int, int, int)"
GEMV = "void kgemm_4bit_inference_naive<__half, 128, 16>(int, int, int, __half*, unsigned char*, float*, float const*)"
DEQUANTIZE = "void kDequantizeBlockwise<__half, 512, 64, 8, 2>(float*, unsigned char*, float*, __half*, int, int)"
DEQUANTIZE_8BIT = "void kDequantizeBlockwise<float, 512, 64, 8, 0>(float*, unsigned char*, float*, float*, int, int)"
ADD = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul> >(int)"
CAST = "void at::native::unrolled_elementwise_kernel<at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)>(int)"
HOPPER = "nvjet_sm90_hsh_64x8_64x16_4x1_v_bz_TNT"
AMPERE = "ampere_fp16_s16816gemm_fp16_64x64_sliced1x2_ldg8_f2f_stages_64x5_tn"
CUTLASS = "void cutlass::Kernel2<cutlass_80_simt_sgemm_128x32_8x5_tn_align1>(cutlass_80_simt_sgemm_128x32_8x5_tn_align1::Params)"
SPLIT_K = "void cublasLt::splitKreduce_kernel<32, 16, int, __half, __half, float>(cublasLt::cublasSplitKParams<float>)"
COPY = "Memcpy DtoD (Device -> Device)"
SET = "Memset (Device)"


@pytest.mark.parametrize(
    ("names", "arm"),
    [
        ((SIMT,), Arm.SIMT),
        ((SIMT_BF16,), Arm.SIMT),
        ((SM75,), Arm.TENSOR_CORE),
        ((SM80,), Arm.TENSOR_CORE),
        ((GEMV,), Arm.GEMV),
        ((DEQUANTIZE,), Arm.DEQUANTIZE),
        ((COPY, SIMT, SET), Arm.SIMT),
        ((DEQUANTIZE, HOPPER), Arm.LINEAR),
        ((DEQUANTIZE, AMPERE), Arm.LINEAR),
        ((DEQUANTIZE, CUTLASS), Arm.LINEAR),
        ((DEQUANTIZE, SET, HOPPER, SPLIT_K), Arm.LINEAR),
        ((DEQUANTIZE_8BIT, ADD, DEQUANTIZE, CAST, COPY, SET), Arm.DEQUANTIZE),
        ((DEQUANTIZE_8BIT, ADD, DEQUANTIZE, CAST, HOPPER, ADD), Arm.LINEAR),
        ((DEQUANTIZE_8BIT, ADD, GEMV), Arm.GEMV),
        ((DEQUANTIZE_8BIT, ADD, SM80), Arm.TENSOR_CORE),
        ((GEMV, ADD), Arm.GEMV),
        (("quantize_nf4_blockwise_kernel",), Arm.TRITON_QUANTIZE),
        ((SET, "quantize_fp4_blockwise_kernel", CAST), Arm.TRITON_QUANTIZE),
        (("dequant_nf4_kernel",), Arm.TRITON_DEQUANTIZE),
        ((DEQUANTIZE_8BIT, ADD, "dequant_fp4_kernel"), Arm.TRITON_DEQUANTIZE),
        (("dequant_4bit_kernel", HOPPER), Arm.TRITON_LINEAR),
    ],
)
def test_the_arm_of_launched_kernels(names: tuple[str, ...], arm: Arm) -> None:
    assert arms_of(names) == {arm}
    assert arms_of(tuple(reversed(names))) == {arm}


@pytest.mark.parametrize("names", [(), (HOPPER,), (ADD, CAST), (COPY, SET)])
def test_nothing_is_said_of_what_is_not_upstreams(names: tuple[str, ...]) -> None:
    assert arms_of(names) == frozenset()


def test_two_fused_kernels_are_two_arms() -> None:
    assert arms_of((SIMT, SM80)) == {Arm.SIMT, Arm.TENSOR_CORE}
    assert arms_of((SIMT, GEMV, DEQUANTIZE, HOPPER)) == {Arm.SIMT, Arm.GEMV}


def test_no_name_is_a_part_of_another() -> None:
    for part, arm in NAMES.items():
        assert {other for name, other in NAMES.items() if part in name} == {arm}

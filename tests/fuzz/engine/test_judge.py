"""One verdict for every way a path can end without the right numbers being in question, from inputs made by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from fuzz.engine.contract import Row
from fuzz.engine.graphs import CaptureError, UnequalReplaysError
from fuzz.engine.guarded import OutOfBoundsError
from fuzz.engine.judge import (
    MESSAGE_LENGTH,
    REPLAY,
    Finished,
    Question,
    RefusedLaunchError,
    dtype_name,
    expected_dtype,
    expected_shape,
    finite,
    half_ulp,
    is_device_error,
    judge_error,
    judge_outcome,
    place_of,
)
from fuzz.engine.paths import BY_NAME
from fuzz.engine.verdict import CAPTURE_FAILED, PathVerdict, Ruling, Symptom
from strategies.case import Activation, Case, FloatDType, Layout, PackedView, Weight
from tests.fuzz.engine.helpers import FUSED

CASE = Case(weight=Weight(out_features=4, in_features=3, dtype=FloatDType.FLOAT16), activation=Activation(leading=(2,)))
RIGHT = torch.zeros(2, 4).half()


def question(ruling: Ruling = Ruling.VALID, path: str = "matmul_4bit", case: Case = CASE) -> Question:
    return Question(case, BY_NAME[path], FUSED, Row(ruling=ruling, source="a document", when=lambda *_: True))


def verdict_on(result: torch.Tensor, ruling: Ruling = Ruling.VALID) -> PathVerdict:
    verdict = judge_outcome(question(ruling), Finished(result, None))
    assert verdict is not None
    return verdict


@pytest.mark.parametrize("ruling", [Ruling.VALID, Ruling.UNSPECIFIED])
@pytest.mark.parametrize("value", [0.0, 1e4, math.nan, math.inf])
def test_of_the_right_shape_and_dtype_nothing_is_said_whatever_the_numbers(ruling: Ruling, value: float) -> None:
    assert judge_outcome(question(ruling), Finished(torch.full_like(RIGHT, value), None)) is None


def test_an_answer_carries_what_was_asked() -> None:
    answer = question(Ruling.UNSPECIFIED).answer(Symptom.HANG, "slowly", expected="an end", got="none")
    assert (answer.path, answer.surface, answer.source) == ("matmul_4bit", "functional.matmul_4bit", "a document")
    assert (answer.ruling, answer.symptom, answer.how) == (Ruling.UNSPECIFIED, Symptom.HANG, "slowly")
    assert (answer.expected, answer.got, answer.grade) == ("an end", "none", None)


def test_a_wrong_shape() -> None:
    for shape in [(2, 3), (4, 2), (8,), (1, 2, 4), (0, 4), ()]:
        verdict = verdict_on(torch.zeros(shape).half())
        assert verdict.symptom is Symptom.WRONG_SHAPE
        assert verdict.expected == "shape (2, 4)"
        assert verdict.got == f"shape {shape}"


def test_a_wrong_shape_comes_before_a_wrong_dtype() -> None:
    assert verdict_on(torch.zeros(2, 3)).symptom is Symptom.WRONG_SHAPE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.uint8])
def test_a_wrong_dtype(dtype: torch.dtype) -> None:
    verdict = verdict_on(RIGHT.to(dtype))
    assert verdict.symptom is Symptom.WRONG_DTYPE
    assert verdict.how == str(dtype)
    assert (verdict.expected, verdict.got) == ("torch.float16", str(dtype))


@pytest.mark.parametrize("result", [RIGHT, torch.zeros(9), torch.full((2, 4), math.nan)])
def test_an_invalid_case_that_returns_anything_lacks_an_error(result: torch.Tensor) -> None:
    verdict = verdict_on(result, Ruling.INVALID)
    assert verdict.symptom is Symptom.MISSING_ERROR
    assert verdict.got == f"a tensor of shape {tuple(result.shape)}"


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError(""), AssertionError(), NotImplementedError("x\ny")])
@pytest.mark.parametrize("ruling", Ruling)
def test_an_exception_is_wrong_for_a_valid_case_only(error: Exception, ruling: Ruling) -> None:
    verdict = judge_outcome(question(ruling), Finished(None, error))
    assert verdict is not None
    if ruling is Ruling.VALID:
        assert verdict.symptom is Symptom.UNEXPECTED_EXCEPTION
        assert verdict.how == type(error).__name__
    else:
        assert verdict.symptom is None
    assert verdict.got.startswith(type(error).__name__ + ": ")


@pytest.mark.parametrize("ruling", Ruling)
@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: misaligned address\nCUDA kernel errors might be asynchronously reported",
        "CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`",
        "cuBLAS: CUBLAS_STATUS_INTERNAL_ERROR",
        "Error invalid configuration argument at line 380: cudaErrorInvalidConfiguration",
    ],
)
def test_a_cuda_error_is_a_lost_context_whatever_the_contract_says(message: str, ruling: Ruling) -> None:
    verdict = judge_error(question(ruling), RuntimeError(message))
    assert verdict.symptom is Symptom.CONTEXT_LOST
    assert verdict.how == message.splitlines()[0]
    assert verdict.got == message


@pytest.mark.parametrize("ruling", Ruling)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        torch.OutOfMemoryError("CUDA error: out of memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_never_a_finding(error: Exception, ruling: Ruling) -> None:
    assert judge_error(question(ruling), error).symptom is None
    assert not is_device_error(error)


@pytest.mark.parametrize(
    "message", ["", "expected CUDA tensors", "CUBLAS_STATUS_NOT_SUPPORTED", "mat1 and mat2 shapes cannot be multiplied"]
)
def test_other_messages_are_no_cuda_errors(message: str) -> None:
    assert not is_device_error(RuntimeError(message))


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ("an illegal memory access was encountered", True),
        ("misaligned address", True),
        ("unspecified launch failure", True),
        ("device-side assert triggered", True),
        ("invalid argument", False),
        ("out of memory", False),
        ("no kernel image is available for execution on the device", False),
    ],
)
def test_what_triton_says_of_a_lost_context_is_told_from_a_launch_that_was_refused(words: str, lost: bool) -> None:  # noqa: FBT001
    error = RuntimeError(f"Triton Error [CUDA]: {words}")
    assert is_device_error(error) is lost
    assert (judge_error(question(Ruling.UNSPECIFIED), error).symptom is Symptom.CONTEXT_LOST) is lost


def test_a_long_message_is_cut() -> None:
    verdict = judge_error(question(), ValueError("x" * 10_000))
    assert len(verdict.got) == MESSAGE_LENGTH + len("ValueError: ")


@pytest.mark.parametrize("ruling", Ruling)
def test_writing_out_of_bounds_is_wrong_whatever_the_contract_says(ruling: Ruling) -> None:
    verdict = judge_error(question(ruling), OutOfBoundsError("0 elements before and 3 behind the output were written"))
    assert verdict.symptom is Symptom.OUT_OF_BOUNDS
    assert verdict.how == ""
    assert verdict.got == "0 elements before and 3 behind the output were written"


def test_nothing_at_all_is_a_mistake_of_the_harness() -> None:
    with pytest.raises(ValueError, match="has no result"):
        judge_outcome(question(), Finished(None, None))


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("packed", PackedView)
def test_the_weight_is_expected_in_the_view_that_the_case_asks_for(layout: Layout, packed: PackedView) -> None:
    case = dataclasses.replace(CASE, packed=packed, weight=dataclasses.replace(CASE.weight, layout=layout))
    turned = (layout is Layout.IN_OUT) != (packed is PackedView.TRANSPOSED)
    assert expected_shape(question(path="dequantize_4bit", case=case)) == ((3, 4) if turned else (4, 3))


def test_expected_shapes_and_dtypes() -> None:
    case = dataclasses.replace(CASE, activation=Activation(leading=(2, 5), dtype=FloatDType.BFLOAT16))
    assert expected_shape(question(case=case)) == (2, 5, 4)
    assert expected_dtype(question(case=case)) == torch.bfloat16
    assert expected_dtype(question(path="dequantize_4bit", case=case)) == torch.float16


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_the_place_of_a_flat_index(shape: tuple[int, ...]) -> None:
    numbers = torch.arange(torch.Size(shape).numel()).reshape(shape)
    for flat in range(numbers.numel()):
        assert int(numbers[place_of(flat, numbers.shape)]) == flat


def test_ratios_and_names_for_people() -> None:
    assert finite(3.5) == 3.5
    assert finite(math.inf) is None
    assert dtype_name(torch.bfloat16) == "bfloat16"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_an_ulp_is_no_less_than_a_rounding_changes(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(1)
    values = torch.randn(1000, generator=random, dtype=torch.float64) * torch.exp2(torch.randint(-30, 15, (1000,), generator=random))
    changed = (values.float().to(dtype).double() - values.float().double()).abs()
    assert bool((changed <= half_ulp(values.float().double(), dtype)).all())
    assert bool((half_ulp(values, dtype) <= torch.finfo(dtype).eps * values.abs() + 2.0**-25).all())


@pytest.mark.parametrize("ruling", Ruling)
def test_a_cuda_error_that_is_left_for_the_next_call_is_unexpected_whatever_the_documents_say(ruling: Ruling) -> None:
    error = RefusedLaunchError("CUDA error: invalid argument", left=True)
    verdict = judge_error(question(ruling), error)
    assert (verdict.symptom, verdict.how) == (Symptom.UNEXPECTED_EXCEPTION, "CUDA error left for the next call")
    assert not is_device_error(error)


@pytest.mark.parametrize(
    ("ruling", "symptom"), [(Ruling.VALID, Symptom.UNEXPECTED_EXCEPTION), (Ruling.UNSPECIFIED, None), (Ruling.INVALID, None)]
)
def test_a_launch_that_the_call_itself_says_was_refused_is_an_exception_like_any_other(ruling: Ruling, symptom: Symptom | None) -> None:
    assert judge_error(question(ruling), RefusedLaunchError("CUDA error: invalid argument", left=False)).symptom is symptom


@pytest.mark.parametrize("ruling", Ruling)
def test_a_capture_that_failed_is_nobodys_and_no_lost_context(ruling: Ruling) -> None:
    verdict = judge_error(question(ruling), CaptureError("while it was captured: RuntimeError: CUBLAS_STATUS_EXECUTION_FAILED"))
    assert (verdict.symptom, verdict.how, verdict.ends_child) == (None, CAPTURE_FAILED, True)
    assert "CUBLAS_STATUS_EXECUTION_FAILED" in verdict.got
    assert PathVerdict.from_json(verdict.to_json()).ends_child, "the parent ends the child"


@pytest.mark.parametrize("ruling", Ruling)
def test_replays_that_differ_are_a_defect_whatever_the_contract_says(ruling: Ruling) -> None:
    verdict = judge_error(question(ruling), UnequalReplaysError("1, then 2 at flat index 0; 1 of 1 outputs differ"))
    assert (verdict.symptom, verdict.how, verdict.got) == (
        Symptom.BROKEN_RELATION,
        REPLAY,
        "1, then 2 at flat index 0; 1 of 1 outputs differ",
    )
    assert not verdict.ends_child

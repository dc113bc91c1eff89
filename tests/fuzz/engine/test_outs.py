"""What calls are handed to write to: as the Case lays it out or wrong in one way, judged by the contract, and the same in a script."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from fuzz.engine import contract
from fuzz.engine.calls import prepare
from fuzz.engine.guarded import OutOfBoundsError
from fuzz.engine.library import inspect_library
from fuzz.engine.misuses import concerns
from fuzz.engine.outs import out_for, packed_out_for
from fuzz.engine.paths import BY_NAME, PATHS
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.tensors import FLOAT_DTYPES, STORAGE_DTYPES, build
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from reports.script import write_script
from reports.script_outs import WRITING
from strategies import fields
from strategies.case import OUT_MEMORIES, Activation, Case, Execution, Fill, Memory, Mode, StorageDType, Weight
from strategies.misuse import OF_OUT, OF_SHAPE_OR_DTYPE, WRONG_OUTS, Misuse
from tests.fuzz.engine.helpers import library
from tests.reports.helpers import execute, finding

TRITON = "triton_dequantize_4bit_inplace"
CASE = Case(
    weight=Weight(out_features=6, in_features=64, fill=Fill.NORMAL),
    activation=Activation(leading=(3,), fill=Fill.NORMAL),
    execution=Execution(mode=Mode.OUT),
)
LIBRARY = inspect_library("cpu")
CUDA = library(device="cuda", out_variant=True)
ON_THE_CPU = sorted(OF_OUT - {Misuse.CPU_OUT}, key=lambda misuse: misuse.value)
SHAPES = {"matmul_4bit_out": (3, 6), "dequantize_4bit_out": (6, 64), "quantize_4bit_out": (192, 1), "gemv_4bit_out": (1, 6)}


def case_of(misuse: Misuse, case: Case = CASE) -> Case:
    return fields.replace(case, "execution.misuse", misuse)


def tensor_for(case: Case, path: str = "matmul_4bit_out") -> torch.Tensor:
    prepared = prepare(case, build(case), LIBRARY)
    if path == "quantize_4bit_out":
        return packed_out_for(prepared)
    return out_for(prepared, SHAPES[path], case.weight.dtype if path == "dequantize_4bit_out" else case.activation_dtype).tensor


def look(tensor: torch.Tensor) -> dict[str, Any]:
    """What of a tensor makes it right or wrong."""
    return {
        "shape": tuple(tensor.shape),
        "dtype": tensor.dtype,
        "device": tensor.device.type,
        "elements": len({*torch.arange(100_000).as_strided(tensor.shape, tensor.stride()).flatten().tolist()}) == tensor.numel(),
    }


def verdict_of(case: Case, path: str) -> PathVerdict:
    return {verdict.path: verdict for verdict in run_case(case, LIBRARY, lambda _: None, Selection(only=[path]))}[path]


@pytest.mark.parametrize("misuse", ON_THE_CPU)
@pytest.mark.parametrize("path", ["matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out"])
def test_a_tensor_is_wrong_in_one_way(misuse: Misuse, path: str) -> None:
    if not concerns(case_of(misuse), BY_NAME[path], LIBRARY):
        return
    right, wrong = look(tensor_for(CASE, path)), look(tensor_for(case_of(misuse), path))
    assert right["elements"]
    assert sum(right[name] != wrong[name] for name in right) == (misuse in WRONG_OUTS)


def test_what_is_right_has_the_shape_of_the_result_and_no_numbers_yet() -> None:
    for path in ("matmul_4bit_out", "dequantize_4bit_out"):
        tensor = tensor_for(CASE, path)
        assert tuple(tensor.shape) == SHAPES[path]
        assert bool(tensor.isnan().all())


@pytest.mark.parametrize("storage", StorageDType)
def test_a_packed_weight_of_every_storage_can_be_handed_over(storage: StorageDType) -> None:
    case = fields.replace(CASE, "quantization.storage", storage)
    assert tensor_for(case, "quantize_4bit_out").dtype is STORAGE_DTYPES[storage]
    assert tensor_for(case_of(Misuse.OTHER_OUT, case), "quantize_4bit_out").dtype is not STORAGE_DTYPES[storage]
    path = BY_NAME["quantize_4bit_out"]
    assert path.writes is not None
    assert path.writes(case) == tuple(prepare(case, build(case), LIBRARY).packed.shape)


def test_memory_of_the_activation_is_that_of_a_copy() -> None:
    prepared = prepare(case_of(Misuse.SHARED_OUT), build(case_of(Misuse.SHARED_OUT)), LIBRARY)
    out = out_for(prepared, (3, 6), CASE.activation_dtype)
    assert torch.equal(out.activation, prepared.activation)
    out.tensor.fill_(7.0)
    assert bool((out.activation.flatten()[:18] == 7).all())
    assert not bool((prepared.activation == 7).any())
    assert torch.equal(out.checked(), torch.full((3, 6), 7.0))


@pytest.mark.parametrize("misuse", [Misuse.EXPANDED_OUT, Misuse.SHARED_OUT, Misuse.SHORT_OUT])
def test_what_is_written_behind_a_wrong_tensor_is_seen(misuse: Misuse) -> None:
    prepared = prepare(case_of(misuse), build(case_of(misuse)), LIBRARY)
    out = out_for(prepared, (3, 6), CASE.activation_dtype)
    out.checked()
    out.guarded.buffer[-1] = 0.0
    with pytest.raises(OutOfBoundsError, match="1 behind"):
        out.checked()


@pytest.mark.parametrize("misuse", [Misuse.EXPANDED_OUT, Misuse.SHORT_OUT, Misuse.OTHER_OUT])
def test_a_kernel_that_takes_a_wrong_tensor_for_a_right_one_writes_to_the_guard(misuse: Misuse) -> None:
    case = fields.replace(case_of(misuse), "activation.rows", 500)
    prepared = prepare(case, build(case), LIBRARY)
    out = out_for(prepared, case.output_shape, case.activation_dtype)
    behind = out.guarded.buffer.view(torch.uint8)[out.tensor.storage_offset() * out.tensor.element_size() :]
    result = torch.ones(case.output_shape).view(torch.uint8).flatten()
    assert len(behind) > len(result)
    behind[: len(result)] = result
    with pytest.raises(OutOfBoundsError, match=r"^0 elements before"):
        out.checked()


@pytest.mark.parametrize(
    ("misuse", "paths"),
    [
        (Misuse.SHORT_OUT, {"matmul_4bit_out", "dequantize_4bit_out", "gemv_4bit_out", TRITON}),
        (Misuse.LONG_OUT, {"matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out", "gemv_4bit_out", TRITON}),
        (Misuse.DEEP_OUT, {"matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out", "gemv_4bit_out", TRITON}),
        (Misuse.OTHER_OUT, {"matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out", "gemv_4bit_out", TRITON}),
        (Misuse.META_OUT, {"matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out", "gemv_4bit_out"}),
        (Misuse.CPU_OUT, {"matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out", "gemv_4bit_out"}),
        (Misuse.EXPANDED_OUT, {"matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out", "gemv_4bit_out"}),
        (Misuse.SHARED_OUT, {"matmul_4bit_out", "gemv_4bit_out"}),
    ],
)
def test_paths_run_that_are_handed_what_is_wrong(misuse: Misuse, paths: set[str]) -> None:
    assert {path.name for path in PATHS if concerns(case_of(misuse), path, CUDA)} == paths


def test_nothing_else_is_handed_anything() -> None:
    assert {path.name for path in PATHS if path.writes is not None} == WRITING
    assert not any(concerns(case_of(Misuse.CPU_OUT), path, LIBRARY) for path in PATHS)


@pytest.mark.parametrize("misuse", [misuse for misuse in Misuse if misuse in OF_OUT])
@pytest.mark.parametrize("size", fields.SIZES)
def test_nothing_is_wrong_with_what_holds_no_result(misuse: Misuse, size: str) -> None:
    case = fields.replace(case_of(misuse), size, 0)
    for path in PATHS:
        if path.writes is not None and 0 in path.writes(case):
            assert not concerns(case, path, CUDA)


def test_an_activation_without_room_for_the_result_is_not_shared() -> None:
    case = fields.replace(case_of(Misuse.SHARED_OUT), "weight.out_features", 65)
    assert not any(concerns(case, path, CUDA) for path in PATHS)


@pytest.mark.parametrize("misuse", [misuse for misuse in Misuse if misuse in OF_OUT])
def test_an_exception_is_due_unless_the_memory_is_only_read_too(misuse: Misuse) -> None:
    wanted = Ruling.UNSPECIFIED if misuse is Misuse.SHARED_OUT else Ruling.INVALID
    for path in PATHS:
        if path.name == TRITON:  # it looks at shape and dtype
            of_triton = Ruling.INVALID if misuse in OF_SHAPE_OR_DTYPE else Ruling.UNSPECIFIED
            assert contract.rule(case_of(misuse), path.surface, CUDA).ruling is of_triton
        elif path.writes is not None:
            assert contract.rule(case_of(misuse), path.surface, CUDA).ruling is wanted
        elif path.surface not in contract.OUT_SURFACES:
            assert contract.rule(case_of(misuse), path.surface, CUDA) is contract.rule(CASE, path.surface, CUDA)


@pytest.mark.parametrize("memory", OUT_MEMORIES)
def test_a_view_may_be_refused_and_an_address_may_not(memory: Memory) -> None:
    row = contract.rule(fields.replace(CASE, "memory.out", memory), "functional.matmul_4bit(out=)", CUDA)
    assert (row.ruling is Ruling.VALID) is (memory in {Memory.CONTIGUOUS, Memory.OFFSET})


@pytest.mark.parametrize("memory", OUT_MEMORIES)
@pytest.mark.parametrize("path", ["matmul_4bit_out", "quantize_4bit_out"])
def test_a_result_is_judged_wherever_it_lies(memory: Memory, path: str) -> None:
    verdict = verdict_of(fields.replace(CASE, "memory.out", memory), path)
    assert (verdict.symptom, verdict.got) == (None, "")
    assert verdict.model is not None


def test_strides_that_are_ignored_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes  # noqa: PLC0415

    right = bitsandbytes.matmul_4bit

    def straight_on(*arguments: Any, out: torch.Tensor | None = None, **named: Any) -> torch.Tensor:
        result: torch.Tensor = right(*arguments, **named)
        return result if out is None else out.as_strided((result.numel(),), (1,)).copy_(result.flatten())

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", straight_on)
    for memory, symptom in ((Memory.CONTIGUOUS, None), (Memory.STRIDED, Symptom.WRONG_VALUE), (Memory.TRANSPOSED, Symptom.WRONG_VALUE)):
        case = fields.replace(CASE, "memory.out", memory)
        assert verdict_of(case, "matmul_4bit_out").symptom is symptom
        status, output, _ = execute(write_script(finding("matmul_4bit_out", symptom.value if symptom else "wrong shape", case)))
        assert status == (symptom is not None), output


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_a_tensor_may_be_resized_as_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes  # noqa: PLC0415

    right = bitsandbytes.matmul_4bit

    def resizing(*arguments: Any, out: torch.Tensor | None = None, **named: Any) -> torch.Tensor:
        return torch.mul(right(*arguments, **named), 1, out=out)

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", resizing)
    for misuse in (Misuse.SHORT_OUT, Misuse.LONG_OUT, Misuse.DEEP_OUT):
        verdict = verdict_of(case_of(misuse), "matmul_4bit_out")
        assert verdict.symptom is None
        assert "ResizedError" in verdict.got
    assert verdict_of(CASE, "matmul_4bit_out").got == ""


def test_what_is_written_between_elements_or_behind_them_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes  # noqa: PLC0415

    right = bitsandbytes.matmul_4bit

    def vectors(*arguments: Any, out: torch.Tensor | None = None, **named: Any) -> torch.Tensor:
        result: torch.Tensor = right(*arguments, **named)
        if out is None:
            return result
        out.copy_(result)
        out.as_strided((2,), (1,), out.storage_offset() + (out.numel() - 1) * out.stride(-1)).copy_(result.flatten()[-1:])
        return out

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", vectors)
    for memory in OUT_MEMORIES:
        case = fields.replace(fields.replace(CASE, "memory.out", memory), "activation.rows", 1)
        assert verdict_of(case, "matmul_4bit_out").symptom is Symptom.OUT_OF_BOUNDS
        status, output, _ = execute(write_script(finding("matmul_4bit_out", "written out of bounds", case)))
        assert (status, "got:      1 elements" in output) == (1, True), output


@pytest.mark.parametrize("misuse", ON_THE_CPU)
@pytest.mark.parametrize("path", ["matmul_4bit_out", "dequantize_4bit_out", "quantize_4bit_out"])
def test_a_script_hands_over_the_same(misuse: Misuse, path: str) -> None:
    case = case_of(misuse)
    if not concerns(case, BY_NAME[path], LIBRARY):
        return
    script = write_script(finding(path, "missing error", case, ruling="invalid"))
    _, _, names = execute(script)
    assert look(names["out" if path == "quantize_4bit_out" else "result"]) == look(tensor_for(case, path))


@pytest.mark.parametrize("memory", OUT_MEMORIES)
@pytest.mark.parametrize("path", ["matmul_4bit_out", "quantize_4bit_out"])
def test_a_script_lays_it_out_alike(memory: Memory, path: str) -> None:
    case = fields.replace(CASE, "memory.out", memory)
    status, _, names = execute(write_script(finding(path, "wrong shape", case)))
    assert status == 0
    handed = names["out" if path == "quantize_4bit_out" else "result"]
    assert handed.stride() == tensor_for(case, path).stride()


@pytest.mark.parametrize("path", ["matmul_4bit_out", "dequantize_4bit_out"])
def test_dtypes_of_weight_and_activation_are_told_apart(path: str) -> None:
    case = dataclasses.replace(CASE, activation=dataclasses.replace(CASE.activation, dtype=fields.CHOICES["activation.dtype"][2]))
    wanted = case.weight.dtype if path == "dequantize_4bit_out" else case.activation_dtype
    assert tensor_for(case, path).dtype is FLOAT_DTYPES[wanted]

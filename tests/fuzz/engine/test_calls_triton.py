"""Triton's functions are called with the tensors of a Case and judged by themselves, and their scripts say what was found."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from fuzz.engine.library import inspect_library
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from fuzz.oracle.arms import Arm
from reports.script import write_script
from strategies import fields
from strategies.case import (
    BLOCKSIZES,
    Activation,
    Case,
    Execution,
    Fill,
    FloatDType,
    Memory,
    Mode,
    Quantization,
    QuantType,
    StorageDType,
    Weight,
)
from strategies.misuse import OF_SHAPE_OR_DTYPE, Misuse
from tests.fuzz.engine import triton_by_hand
from tests.fuzz.engine.triton_by_hand import dequantize_4bit, dequantize_4bit_inplace, gemv_4bit, install, quantize_4bit
from tests.reports.helpers import SYSTEM, execute, finding

LIBRARY = dataclasses.replace(inspect_library("cpu"), triton=True)
CASE = Case(
    weight=Weight(out_features=6, in_features=64, fill=Fill.NORMAL),
    activation=Activation(leading=(1,), fill=Fill.NORMAL),
    execution=Execution(mode=Mode.TRITON),
)
QUANTIZE, DEQUANTIZE, INPLACE, GEMV = PATHS = (
    "triton_quantize_4bit",
    "triton_dequantize_4bit",
    "triton_dequantize_4bit_inplace",
    "triton_gemv_4bit",
)
SURFACES = {path: f"backends.triton.{path.removeprefix('triton_')}" for path in PATHS}


def verdicts(case: Case = CASE) -> dict[str, PathVerdict]:
    return {verdict.path: verdict for verdict in run_case(case, LIBRARY, lambda _: None, Selection(only=PATHS))}


def cases() -> list[Case]:
    """Every quant type, dtype, blocksize, storage dtype and fill, of one block and several, whole ones and not."""
    kinds = itertools.product(QuantType, FloatDType, Fill)
    return [_case(number, *kind) for number, kind in enumerate(kinds)]


def _case(number: int, quant_type: QuantType, dtype: FloatDType, fill: Fill) -> Case:
    in_features = (64, 33, 130)[number % 3]
    whole = in_features == 64  # what fills every storage; the CPU's own dequantize_4bit may be wrong for a part of a block
    return dataclasses.replace(
        CASE,
        weight=Weight(out_features=1 + number % 7, in_features=in_features, dtype=dtype, fill=fill),
        quantization=Quantization(
            quant_type=quant_type,
            blocksize=64 if whole else BLOCKSIZES[number % 8],
            storage=list(StorageDType)[number % 4] if whole else StorageDType.UINT8,
        ),
        seed=number,
    )


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.seed}")
def test_what_is_right_is_right(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    install(monkeypatch)
    found = verdicts(case)
    assert {path: (found[path].symptom, found[path].got) for path in PATHS} == dict.fromkeys(PATHS, (None, ""))
    assert {path: found[path].surface for path in PATHS} == SURFACES
    assert found[GEMV].arms == (Arm.TRITON_LINEAR.value,)


def _swapped(packed: torch.Tensor) -> torch.Tensor:
    """With the two halves of the first byte in each other's place."""
    changed = packed.clone()
    data = changed.view(torch.uint8)
    data[0] = data[0] >> 4 | data[0] << 4
    return changed


def _quantizer(change: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Callable[..., Any]]:
    return {"quantize_4bit": lambda *arguments: change(*quantize_4bit(*arguments))}


def _as_float16(packed: torch.Tensor, absmax: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return packed.flatten().view(torch.float16).unsqueeze(1), absmax


def _surplus(absmax: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(absmax, (0, 1))


def _scribbled(weight: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, torch.Tensor]:
    result = quantize_4bit(weight, *rest)
    weight.flatten()[1] += 1
    return result


def _overrun(*arguments: Any, **named: Any) -> None:
    out = named["out"] if named else arguments[-1]
    dequantize_4bit_inplace(*arguments, **named)
    out.as_strided((out.numel() + 1,), (1,))[-1] = 1.0


def _shape_swapped(*arguments: Any) -> torch.Tensor:
    return dequantize_4bit(*arguments).t()


def _neighbours_scale(packed: torch.Tensor, absmax: torch.Tensor, *rest: Any) -> torch.Tensor:
    return dequantize_4bit(packed, absmax.roll(1), *rest)


def _last_term_left_out(x: torch.Tensor, *rest: Any) -> torch.Tensor:
    short = x.clone()
    short[..., -1] = 0
    return gemv_4bit(short, *rest)


PLANTED: dict[str, tuple[str, dict[str, Callable[..., Any]], Symptom, str]] = {
    "a scale too many": (QUANTIZE, _quantizer(lambda p, a: (p, _surplus(a))), Symptom.WRONG_SHAPE, "more statistics than blocks"),
    "a scale too few": (QUANTIZE, _quantizer(lambda p, a: (p, a[:-1])), Symptom.WRONG_SHAPE, "blocks of statistics"),
    "a byte too few": (QUANTIZE, _quantizer(lambda p, a: (p[:-1], a)), Symptom.WRONG_SHAPE, "packed weight too short"),
    "another storage": (QUANTIZE, _quantizer(_as_float16), Symptom.WRONG_DTYPE, "dtype of the packed weight"),
    "a scale that is rounded": (QUANTIZE, _quantizer(lambda p, a: (p, a.half().float())), Symptom.WRONG_VALUE, "scales"),
    "nibbles in the other order": (QUANTIZE, _quantizer(lambda p, a: (_swapped(p), a)), Symptom.WRONG_VALUE, "codes"),
    "codes behind a scale too many": (QUANTIZE, _quantizer(lambda p, a: (_swapped(p), _surplus(a))), Symptom.WRONG_VALUE, "codes"),
    "a weight that is written to": (QUANTIZE, {"quantize_4bit": _scribbled}, Symptom.INPUT_CHANGED, "weight"),
    "a transposed weight": (DEQUANTIZE, {"dequantize_4bit": _shape_swapped}, Symptom.WRONG_SHAPE, ""),
    "float64": (DEQUANTIZE, {"dequantize_4bit": lambda *a: dequantize_4bit(*a).double()}, Symptom.WRONG_DTYPE, "torch.float64"),
    "another block's scale": (DEQUANTIZE, {"dequantize_4bit": _neighbours_scale}, Symptom.WRONG_VALUE, ""),
    "nothing is written": (INPLACE, {"dequantize_4bit_inplace": lambda *_, **__: None}, Symptom.WRONG_VALUE, ""),
    "one element too many": (INPLACE, {"dequantize_4bit_inplace": _overrun}, Symptom.OUT_OF_BOUNDS, ""),
    "a term is left out": (GEMV, {"gemv_4bit": _last_term_left_out}, Symptom.WRONG_VALUE, ""),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_its_script_finds_it_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path, others, symptom, how = PLANTED[name]
    install(monkeypatch, **others)
    found = verdicts()
    assert {each: found[each].symptom for each in PATHS} == {each: symptom if each == path else None for each in PATHS}
    verdict = found[path]
    assert verdict.how == how
    changes: dict[str, Any] = {"how": how, "ruling": verdict.ruling.value, "expected": verdict.expected, "arms": verdict.arms}
    if verdict.model is not None:
        changes["model"] = dataclasses.asdict(verdict.model)
    script = write_script(finding(path, symptom.value, CASE, surface=verdict.surface, **changes))
    status, output, _ = execute(script)
    assert status == 1, output
    install(monkeypatch)
    status, output, _ = execute(script)
    assert status == 0, output


@pytest.mark.parametrize("path", PATHS)
def test_what_nobody_promises_may_be_refused(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("not on this device")

    install(monkeypatch, **{path.removeprefix("triton_"): refuse})
    verdict = verdicts()[path]
    assert (verdict.symptom, verdict.got) == (None, "ValueError: not on this device")


@pytest.mark.parametrize("memory", [Memory.STRIDED, Memory.TRANSPOSED])
def test_a_weight_whose_strides_are_ignored_is_quantized_wrongly(monkeypatch: pytest.MonkeyPatch, memory: Memory) -> None:
    def ignoring(weight: torch.Tensor, *rest: Any) -> Any:
        whole = weight.untyped_storage().nbytes() // weight.element_size()
        flat = weight.as_strided((whole,), (1,), 0).repeat(weight.numel())
        return quantize_4bit(flat[: weight.numel()].reshape(weight.shape), *rest)

    install(monkeypatch, quantize_4bit=ignoring)
    verdict = verdicts(fields.replace(CASE, "memory.weight", memory))[QUANTIZE]
    assert (verdict.symptom, verdict.how) in {(Symptom.WRONG_VALUE, "scales"), (Symptom.WRONG_VALUE, "codes")}


@pytest.mark.parametrize("misuse", [misuse for misuse in Misuse if misuse in OF_SHAPE_OR_DTYPE])
def test_an_out_of_another_shape_or_dtype_is_refused(monkeypatch: pytest.MonkeyPatch, misuse: Misuse) -> None:
    case = fields.replace(CASE, "execution.misuse", misuse)
    install(monkeypatch)
    found = verdicts(case)
    assert set(found) & set(PATHS) == {INPLACE}
    assert (found[INPLACE].ruling, found[INPLACE].symptom) == (Ruling.INVALID, None)
    assert "ValueError: Expected out.shape" in found[INPLACE].got
    install(monkeypatch, dequantize_4bit_inplace=lambda *_, **__: None)
    assert verdicts(case)[INPLACE].symptom is Symptom.MISSING_ERROR
    script = write_script(finding(INPLACE, "missing error", case, surface=SURFACES[INPLACE], ruling="invalid"))
    assert execute(script)[0] == 1
    install(monkeypatch)
    assert execute(script)[0] == 0


@pytest.mark.parametrize(("path", "words"), [*((path, True) for path in PATHS), ("dequantize_4bit", False)])
def test_a_script_knows_what_triton_says_of_a_lost_context(path: str, words: bool) -> None:  # noqa: FBT001
    script = write_script(finding(path, "context lost", CASE, system={**SYSTEM, "device": "cuda", "gpu": "NVIDIA H200"}))
    assert ('"Triton Error [CUDA]" in str(error)' in script) is words
    assert ("from bitsandbytes.backends.triton import ops as triton_ops" in script) is words


def test_each_function_is_handed_what_its_op_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, tuple[Any, ...]] = {}

    def remembering(name: str) -> Callable[..., Any]:
        def function(*arguments: Any, **named: Any) -> Any:
            seen[name] = (*arguments, *named.values())
            return triton_by_hand.FUNCTIONS[name](*arguments, **named)

        return function

    install(monkeypatch, **{name: remembering(name) for name in triton_by_hand.FUNCTIONS})
    verdicts(fields.replace(fields.replace(CASE, "weight.dtype", FloatDType.BFLOAT16), "activation.dtype", FloatDType.BFLOAT16))
    shape, dtype = torch.Size((6, 64)), torch.bfloat16
    assert seen["quantize_4bit"][1:] == (64, "nf4", torch.uint8)
    assert seen["dequantize_4bit"][2:] == (64, "nf4", shape, dtype)
    assert seen["dequantize_4bit_inplace"][2:6] == (64, "nf4", shape, dtype)
    assert seen["dequantize_4bit_inplace"][6].shape == shape
    assert (seen["gemv_4bit"][2], seen["gemv_4bit"][5]) == (shape, 64)
    assert [seen["gemv_4bit"][place].dtype for place in (0, 1, 3, 4)] == [dtype, torch.uint8, torch.float32, torch.float32]


def test_where_triton_cannot_be_called_nothing_is_asked_of_it() -> None:
    found = run_case(CASE, inspect_library("cpu"), lambda _: None, Selection(only=PATHS))
    assert not {verdict.path for verdict in found} & set(PATHS)

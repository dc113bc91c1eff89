"""Scripts about giants, of a few thousand elements here: they fail for the defect, and only for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from reports.finding import Finding
from reports.script import write_script
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Mode, PackedView, Weight
from tests.fuzz.engine.on_fake_cuda import CPU
from tests.reports.helpers import execute, finding, model_for
from tests.reports.running import lint

needs_fused = pytest.mark.skipif(not CPU.fused, reason="before 0.50 matmul_4bit takes other views")
CASE = Case(
    weight=Weight(out_features=3, in_features=128, fill=Fill.NORMAL),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
    execution=Execution(mode=Mode.GIANT),
)
PATHS = ("quantize_4bit_giant", "dequantize_4bit_giant", "matmul_4bit_giant", "gemv_4bit_giant")
OWNERS: dict[str, tuple[Any, str]] = {
    "quantize_4bit_giant": (functional, "quantize_4bit"),
    "dequantize_4bit_giant": (functional, "dequantize_4bit"),
    "matmul_4bit_giant": (bitsandbytes, "matmul_4bit"),
}


def found(path: str, case: Case = CASE, symptom: str = "wrong value", **changes: Any) -> Finding:
    plain = path.removesuffix("_giant")
    model = model_for(case, "dequantize_4bit" if plain == "quantize_4bit" else plain)
    return finding(path, symptom, case, **({"model": model, "ruling": "unspecified"} | changes))


def small(script: str) -> str:
    """The script with giants that a CPU has time for."""
    assert "(2**31, 2**32)" in script
    return script.replace("(2**31, 2**32)", "(2**12, 2**13)")


def status(path: str, case: Case = CASE) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return execute(small(write_script(found(path, case))))[0]


@needs_fused
@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("path", OWNERS)
def test_a_right_library_is_right(path: str, dtype: FloatDType) -> None:
    case = fields.replace(fields.replace(CASE, "weight.dtype", dtype), "activation.dtype", dtype)
    assert status(path, case) == 0


@needs_fused
def test_a_transposed_view_is_handed_on_transposed() -> None:
    case = fields.replace(CASE, "packed", PackedView.TRANSPOSED)
    assert "packed.repeat(times, 1).t()" in write_script(found("matmul_4bit_giant", case))
    assert status("matmul_4bit_giant", case) == 0


def damaging(monkeypatch: pytest.MonkeyPatch, path: str, beyond: int) -> None:
    """The last number of what is made of a giant of more elements than that is another one."""
    module, name = OWNERS[path]
    plain: Callable[..., Any] = getattr(module, name)

    def damaged(*arguments: Any, **named: Any) -> Any:
        result = plain(*arguments, **named)
        state = named.get("quant_state", arguments[1] if len(arguments) > 1 else None)
        elements = arguments[0].numel() if state is None else state.shape.numel()
        if elements > beyond:
            part = result[0].view(torch.uint8).flatten() if isinstance(result, tuple) else result.flatten()
            part[-1] = part[-1] ^ 0xFF if isinstance(result, tuple) else part[-1] + 64
        return result

    monkeypatch.setattr(module, name, damaged)


@needs_fused
@pytest.mark.parametrize("beyond", [2**12, 2**13])
@pytest.mark.parametrize("path", OWNERS)
def test_a_number_that_is_wrong_in_the_last_repetition_fails(path: str, beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    damaging(monkeypatch, path, beyond)
    assert status(path) == 1


@pytest.mark.parametrize("path", PATHS)
def test_where_the_process_dies_the_child_makes_the_giant(path: str) -> None:
    script = write_script(found(path, symptom="process died"))
    child = script[script.index("def call():") : script.index('if "--call"')]
    assert "for elements in (2**31, 2**32):" in child
    assert "times" in child


def test_scripts_are_python_without_a_name_that_is_missing_or_not_used(tmp_path: Path) -> None:
    bare = fields.replace(CASE, "bias", value=False)
    scripts = {f"{path}_{number}": write_script(found(path, case)) for path in PATHS for number, case in enumerate((CASE, bare))}
    scripts["died"] = write_script(found("quantize_4bit_giant", symptom="process died"))
    assert lint(scripts, tmp_path) == []

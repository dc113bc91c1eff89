"""Shared by the tests of the reports: findings made by hand, and running a script in this process."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import Any

import pytest

from fuzz.engine.tensors import FLOAT_DTYPES
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import dequantize_model, error_model
from reports.finding import Finding, ScriptRun
from strategies import fields
from strategies.case import Activation, Case, Fill, FloatDType, Quantization, Weight

SYSTEM = {
    "bitsandbytes": "0.50.2",
    "torch": "2.13.0",
    "python": "3.11.9",
    "platform": "Linux",
    "device": "cpu",
    "cpu": "a processor",
}
CASE = Case(
    weight=Weight(out_features=6, in_features=64, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL),
    quantization=Quantization(blocksize=64),
    activation=Activation(leading=(2,), fill=Fill.HEAVY_TAILED),
    seed=3,
)


def model_for(case: Case, path: str) -> dict[str, float] | None:
    """The error model of a path that multiplies by the dequantized weight, as all do on the CPU."""
    if path == "quantize_4bit":
        return None
    if path == "dequantize_4bit":
        return dataclasses.asdict(dequantize_model(FLOAT_DTYPES[case.weight.dtype]))
    dtype, stored = FLOAT_DTYPES[case.activation_dtype], FLOAT_DTYPES[case.weight.dtype]
    bias = case.bias and not path.startswith("gemv")
    return dataclasses.asdict(error_model((Arm.LINEAR,), dtype, case.weight.in_features, stored, bias=bias))


def finding(path: str = "matmul_4bit", symptom: str = "wrong value", case: Case = CASE, **changes: Any) -> Finding:
    """A verified finding."""
    values: dict[str, Any] = {
        "surface": f"functional.{path}",
        "path": path,
        "symptom": symptom,
        "how": "",
        "ruling": "valid",
        "source": "docstring of functional.quantize_4bit",
        "case": case,
        "first_case": fields.replace(case, "seed", 99),
        "triggers": fields.triggers(case),
        "expected": "1 within 2",
        "got": "3 at (0, 1); 1 of 12 outputs are wrong",
        "error_over_bound": 2.5,
        "arms": ("linear",),
        "model": model_for(case, path),
        "reproduced": 3,
        "attempts": 3,
        "observed": 17,
        "trials": 40,
        "minimal": True,
        "others": {"gemm_4bit_op": "as expected"},
        "system": SYSTEM,
        "script": ScriptRun(exit_status=1, output="expected: 1\ngot:      3\n"),
    }
    return Finding(**{**values, **changes})


def execute(script: str, arguments: tuple[str, ...] = ()) -> tuple[int, str, dict[str, Any]]:
    """Run the text of a script in this process: its exit status, what it printed, and the names it left behind."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": "repro.py"}
    output = io.StringIO()
    code = compile(script, "repro.py", "exec")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr("sys.argv", ["repro.py", *arguments])
        with pytest.raises(SystemExit) as end:
            exec(code, names)  # noqa: S102 - the script is what is tested
    assert isinstance(end.value.code, int)  # text would be printed and mean 1
    return int(end.value.code), output.getvalue(), names

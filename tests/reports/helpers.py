"""Shared by the tests of the reports: findings made by hand, and running a script in this process."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import Any

import pytest
from hypothesis import strategies as st

from fuzz.engine.tensors import FLOAT_DTYPES
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import dequantize_model, error_model
from reports.errors import MINIMAL, WORST, ErrorGrid
from reports.extent import Extent, FieldExtent, Sighting, Worst
from reports.finding import Finding, ScriptRun
from reports.sanitizer import ReportedError, SanitizerReport
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
hostile = st.text(alphabet=st.sampled_from("`~#|<>*_[]()!&\\-=+@: \t\n\r\x00\x0b\x0c\x1b\x7f\x85\x9b\u2028\u2029\u202ea1é"), max_size=40)
"""Text from outside that would be markup, a line end or a control sequence."""
NASTY = "x\n```\n# heading\n| a | b |\n<details>`` ` ```` @user #1"
RARE: dict[str, Any] = {"reproduced": 2, "attempts": 13, "provoked": {"side stream": "3 of 10", "busy device": "0 of 10"}}
"""Changes that make a finding flaky."""


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


def rich_finding(**changes: Any) -> Finding:
    """A finding with everything that format 2 can say, of a bias-free float16 or bfloat16 product with odd out_features."""
    case = dataclasses.replace(CASE, weight=dataclasses.replace(CASE.weight, out_features=129, dtype=FloatDType.FLOAT32))
    case = fields.replace(case, "activation.dtype", FloatDType.BFLOAT16)
    large = case
    for name, value in {"weight.out_features": 4097, "activation.rows": 130, "bias": True, "weight.dtype": FloatDType.FLOAT16}.items():
        large = fields.replace(large, name, value)
    values: dict[str, Any] = {
        "case": case,
        "triggers": {"activation.dtype": "bfloat16", "weight.out_features": "odd+large", "weight.fill": "normal"},
        "extent": RICH_EXTENT,
        "worst": Worst(case=large, error_over_bound=171.25),
        "errors": {MINIMAL: GRID, WORST: GRID},
        "sanitizer": SANITIZED,
        "sightings": (Sighting(system=SYSTEM, observed=17), Sighting(system={**SYSTEM, "bitsandbytes": "0.49.2"}, observed=1)),
    }
    return finding(**{**values, **changes})


GRID = ErrorGrid(shape=(2, 129), tile=(1, 3), ratios=((0.25,) * 42 + (2.5,), (0.5,) * 42 + (None,)), wrong=("." * 42 + "x",) * 2)
SANITIZED = (
    SanitizerReport(
        tool="memcheck",
        errors=769,
        reported=(ReportedError(kind="Invalid __global__ read of size 2 bytes, out of bounds", kernel="gemm<float, (int)64>", count=5),),
    ),
    SanitizerReport(tool="racecheck", errors=0, warnings=1, reported=(ReportedError(kind="race", kernel="", count=1),), failed=False),
    SanitizerReport(tool="initcheck", errors=1, complete=False),
)
RICH_EXTENT = Extent(
    fields=(
        FieldExtent(name="quantization.quant_type", trigger=False, fails=("nf4", "fp4"), passes=()),
        FieldExtent(name="quantization.blocksize", trigger=False, fails=(64, 32, 128), passes=()),
        FieldExtent(name="quantization.compress_statistics", trigger=False, fails=(False, True), passes=()),
        FieldExtent(name="quantization.storage", trigger=False, fails=("uint8",), passes=("float32",)),
        FieldExtent(name="activation.dtype", trigger=True, fails=("float16", "bfloat16"), passes=("float32",)),
        FieldExtent(
            name="weight.out_features",
            trigger=True,
            fails=(129, 131, 255, 257, 513, 1025, 2049, 3001, 4097),
            passes=(1, 127, 128, 130, 4096),
            rule="% 2 != 0, >= 129",
        ),
        FieldExtent(name="weight.fill", trigger=True, fails=("normal", "huge"), passes=("ones",)),
    ),
    paths=("matmul_4bit", "gemm_4bit_op"),
    linear4bit="yes",
    complete=True,
)


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

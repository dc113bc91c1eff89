"""Scripts that quote the emulation of a kernel: the tensor they expect is the oracle's, bit for bit."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.references import References
from fuzz.engine.tensors import Inputs
from fuzz.engine.verdict import Grade
from fuzz.oracle.arms import Arm
from fuzz.oracle.expected import Arithmetic, expected
from fuzz.oracle.operands import Nested
from fuzz.oracle.tensor_core import AMPERE, HOPPER, VOLTA, TensorCore
from fuzz.selfcheck.subject import path_of
from reports.finding import Finding
from reports.script import write_script
from reports.script_arithmetic import _CHECKS, GRADES
from reports.script_calls import CALLS, GRADIENTS, QUANTIZING, WEIGHT_ONLY
from strategies import fields
from strategies.case import Activation, Case, Fill, FloatDType, Layout, PackedView, Quantization, QuantType, Relation, Weight
from tests.fuzz.engine.subjects import one_changed, prepared_of, related_case
from tests.reports.helpers import SYSTEM, finding
from tests.reports.running import alone, lint, ran, returning

KERNELS = [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE]
PATHS = {
    Arm.SIMT: "matmul_4bit",
    Arm.TENSOR_CORE: "matmul_4bit",
    Arm.GEMV: "gemv_4bit",
    Arm.LINEAR: "dequantize_linear",
    Arm.DEQUANTIZE: "dequantize_4bit",
}
H200 = {**SYSTEM, "compute_capability": "9.0"}


@pytest.fixture(autouse=True)
def deprecations_are_no_defects() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def other_bits(arm: Arm, case: Case, path: str | None = None, **changes: dict[str, str]) -> Finding:
    """A finding that only the bits of `arm` show."""
    grade = Grade.BITS.value
    return finding(path or PATHS[arm], "wrong value", case, how=grade, grade=grade, arms=(arm.value,), **{"system": H200, **changes})


def multiplied(  # noqa: PLR0913 - one argument for each thing that changes a script
    dtype: FloatDType,
    *,
    terms: int = 128,
    leading: tuple[int, ...] = (3,),
    compressed: bool = False,
    quant_type: QuantType = QuantType.NF4,
    fills: tuple[Fill, Fill] = (Fill.NORMAL, Fill.NORMAL),
    bias: bool = False,
) -> Case:
    activation, weight = fills
    return Case(
        weight=Weight(out_features=5, in_features=terms, dtype=dtype, fill=weight),
        quantization=Quantization(quant_type=quant_type, blocksize=64, compress_statistics=compressed),
        activation=Activation(leading=leading, fill=activation),
        bias=bias,
        seed=11,
    )


def references(prepared: Prepared) -> References:
    return References(Inputs(prepared.weight, prepared.activation, prepared.bias), prepared)


def oracle(arm: Arm, prepared: Prepared, core: TensorCore = HOPPER) -> torch.Tensor:
    """The one right result of a kernel whose order of sums is known, (rows, outputs)."""
    nested = Nested.SEPARATE if arm is Arm.GEMV else Nested.FUSED
    arithmetic = Arithmetic(arm=arm, nested=nested, core=core, ordered=True)
    right = expected(arithmetic, references(prepared).operands(path_of(arm)))
    assert not bool(right.unknown.any())
    return right.low


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Equal, where NaN equals NaN; of one dtype and shape."""
    return (
        first.dtype == second.dtype and torch.equal(first.isnan(), second.isnan()) and torch.equal(first.nan_to_num(), second.nan_to_num())
    )


def spoilt(result: torch.Tensor) -> torch.Tensor:
    """With another last bit in its last element; 0 instead of a number that is not finite."""
    changed = one_changed(result)
    changed[..., -1] = torch.where(result[..., -1].isfinite(), changed[..., -1], 0.0)
    return changed


def assert_quoted(monkeypatch: pytest.MonkeyPatch, arm: Arm, case: Case) -> None:
    """The script expects what the oracle expects, passes it, and sees one other last bit."""
    right = oracle(arm, prepared_of(case))
    for result, status in ((right, 0), (spoilt(right), 1)):
        returning(monkeypatch, PATHS[arm], result.reshape(case.output_shape))
        ended, output, names = ran(other_bits(arm, case))
        assert same(names["expected"], right)
        assert ended == status, output
        assert f"; {status} of {right.numel()} are wrong" in output


def takes(arm: Arm, dtype: FloatDType) -> bool:
    return not (arm is Arm.TENSOR_CORE and dtype is FloatDType.FLOAT32)


VARIANTS = [
    pytest.param(arm, dtype, compressed, id=f"{arm.value}-{dtype.value}-{'nested' if compressed else 'plain'}")
    for arm, dtype, compressed in itertools.product(KERNELS, FloatDType, (False, True))
    if takes(arm, dtype)
]


@pytest.mark.parametrize(("arm", "dtype", "compressed"), VARIANTS)
@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("bias", [False, True])
def test_the_quoted_emulation_is_the_oracles(  # noqa: PLR0913, PLR0917 - one argument for each thing that changes a script
    monkeypatch: pytest.MonkeyPatch,
    arm: Arm,
    dtype: FloatDType,
    compressed: bool,  # noqa: FBT001
    quant_type: QuantType,
    bias: bool,  # noqa: FBT001
) -> None:
    leading = (1,) if arm is Arm.GEMV else (3,)
    case = multiplied(dtype, leading=leading, compressed=compressed, quant_type=quant_type, bias=bias)
    assert_quoted(monkeypatch, arm, case)


@pytest.mark.parametrize(("arm", "dtype"), [(arm, dtype) for arm, dtype in itertools.product(KERNELS, FloatDType) if takes(arm, dtype)])
@pytest.mark.parametrize("terms", [64, 192, 1088, 2048])
def test_sums_of_any_length_are_quoted(monkeypatch: pytest.MonkeyPatch, arm: Arm, dtype: FloatDType, terms: int) -> None:
    assert_quoted(monkeypatch, arm, multiplied(dtype, terms=terms, leading=()))


@pytest.mark.parametrize(("arm", "dtype"), [(arm, dtype) for arm, dtype in itertools.product(KERNELS, FloatDType) if takes(arm, dtype)])
@pytest.mark.parametrize(
    "fills",
    [
        (Fill.HUGE, Fill.HUGE),
        (Fill.TINY, Fill.TINY),
        (Fill.CANCELLING, Fill.HEAVY_TAILED),
        (Fill.ONE_HOT, Fill.NORMAL),
        (Fill.HUGE, Fill.ONE_HOT),
    ],
)
def test_numbers_at_both_ends_of_the_range_are_quoted(
    monkeypatch: pytest.MonkeyPatch, arm: Arm, dtype: FloatDType, fills: tuple[Fill, Fill]
) -> None:
    assert_quoted(monkeypatch, arm, multiplied(dtype, leading=(1,), fills=fills, bias=True))


@pytest.mark.parametrize("dtype", [FloatDType.FLOAT16, FloatDType.BFLOAT16])
@pytest.mark.parametrize("weight", [FloatDType.FLOAT32, FloatDType.BFLOAT16])
@pytest.mark.parametrize("arm", KERNELS)
def test_the_dtype_of_the_activation_is_the_kernels(
    monkeypatch: pytest.MonkeyPatch, arm: Arm, weight: FloatDType, dtype: FloatDType
) -> None:
    case = fields.replace(multiplied(weight, leading=(1, 1)), "activation.dtype", dtype)
    assert_quoted(monkeypatch, arm, case)


@pytest.mark.parametrize(
    ("capability", "core"),
    [("7.0", VOLTA), ("8.0", AMPERE), ("8.6", AMPERE), ("8.9", AMPERE), ("9.0", HOPPER), ("10.0", HOPPER), ("12.0", HOPPER)],
)
def test_the_tensor_core_is_that_of_the_gpu(monkeypatch: pytest.MonkeyPatch, capability: str, core: TensorCore) -> None:
    case = multiplied(FloatDType.BFLOAT16, terms=512, fills=(Fill.HEAVY_TAILED, Fill.HEAVY_TAILED))
    right = oracle(Arm.TENSOR_CORE, prepared_of(case), core)
    returning(monkeypatch, "matmul_4bit", right.reshape(case.output_shape))
    status, output, names = ran(other_bits(Arm.TENSOR_CORE, case, system={**SYSTEM, "compute_capability": capability}))
    assert status == 0, output
    assert same(names["expected"], right)


def _oriented() -> Iterator[Case]:
    """Cases that change the lines which dequantize: layout, view, statistics, dtypes, bias."""
    for number, (layout, packed, compressed) in enumerate(itertools.product(Layout, PackedView, (False, True))):
        for dtype in FloatDType:
            case = multiplied(dtype, compressed=compressed, quant_type=list(QuantType)[number % 2], bias=number % 3 == 0)
            case = dataclasses.replace(case, packed=packed)
            case = fields.replace(case, "weight.layout", layout)
            yield fields.replace(case, "activation.dtype", FloatDType.FLOAT16) if number % 4 == 1 else case


@pytest.mark.parametrize(
    "case", list(_oriented()), ids=lambda case: f"{case.weight.layout.value}-{case.packed.value}-{case.weight.dtype.value}"
)
def test_a_dequantized_weight_is_the_oracles(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    weight = references(prepared_of(case)).weight(getattr(torch, case.weight.dtype.value))
    right = weight if case.packed is PackedView.RETURNED else weight.t()
    for result, status in ((right, 0), (one_changed(right.contiguous()), 1)):
        returning(monkeypatch, "dequantize_4bit", result)
        ended, output, names = ran(other_bits(Arm.DEQUANTIZE, case))
        assert same(names["expected"], right)
        assert ended == status, output


@pytest.mark.parametrize(
    "case", list(_oriented()), ids=lambda case: f"{case.weight.layout.value}-{case.packed.value}-{case.weight.dtype.value}"
)
@pytest.mark.parametrize("path", ["matmul_4bit", "dequantize_linear"])
def test_a_dense_product_is_torchs_own_on_the_emulated_weight(monkeypatch: pytest.MonkeyPatch, case: Case, path: str) -> None:
    prepared = prepared_of(case)
    from fuzz.engine.paths import BY_NAME  # noqa: PLC0415

    right = references(prepared).linear(BY_NAME[path])
    status, output, names = ran(other_bits(Arm.LINEAR, case, path))
    assert status == 0, output  # bitsandbytes itself, on the CPU
    assert same(names["expected"], right)
    returning(monkeypatch, "matmul_4bit", one_changed(right))
    if path == "matmul_4bit":
        assert ran(other_bits(Arm.LINEAR, case, path))[0] == 1


@pytest.mark.parametrize("arm", _CHECKS)
def test_both_grades_have_the_same_script(arm: str) -> None:
    case, path = multiplied(FloatDType.FLOAT16, leading=(1,)), PATHS[Arm(arm)]
    scripts = {
        write_script(finding(path, "wrong value", case, grade=grade, arms=(arm,), model=None))
        for grade in (Grade.DRIFT.value, Grade.BITS.value)
    }
    assert {Grade.DRIFT.value, Grade.BITS.value} == GRADES
    assert len(scripts) == 1


@pytest.mark.parametrize("arms", [("simt", "tensor_core", "linear"), (), ("cpu_bf16",)])
def test_without_one_known_kernel_there_is_no_script(arms: tuple[str, ...]) -> None:
    case = multiplied(FloatDType.FLOAT16)
    with pytest.raises(ValueError, match=f"no emulation of {', '.join(arms)}"):
        write_script(finding("matmul_4bit", "wrong value", case, grade=Grade.DRIFT.value, arms=arms))


def _scripts() -> dict[str, str]:
    """A script of every kernel on every path that may run it, in all variants."""
    scripts = {}
    for arm, path, dtype, compressed in itertools.product(Arm, CALLS, FloatDType, (False, True)):
        if arm.value not in _CHECKS or path in GRADIENTS | QUANTIZING or (arm is Arm.DEQUANTIZE) != (path in WEIGHT_ONLY):
            continue
        if (arm is Arm.GEMV) == path.startswith("gemv") and takes(arm, dtype):
            case = multiplied(dtype, leading=(1,), compressed=compressed, bias=True)
            scripts[f"{arm.value}_{path}_{dtype.value}_{compressed}"] = write_script(other_bits(arm, case, path))
    return scripts


def test_every_script_compiles_and_defines_its_names(tmp_path: Path) -> None:
    scripts = _scripts()
    assert len(scripts) > 50
    for name, script in scripts.items():
        compile(script, name, "exec")
    problems = lint(scripts, tmp_path)
    assert problems == []


def test_no_script_imports_what_it_does_not_use(tmp_path: Path) -> None:
    assert lint(_scripts(), tmp_path) == []


FROM_A_FILE = """
import pathlib, torch
_result = torch.load(pathlib.Path(__file__).parent.parent.parent / "{name}.pt")
def matmul_4bit(*_, **__):
    return _result
"""


def test_alone_the_script_tells_a_right_kernel_from_one_with_another_last_bit(tmp_path: Path) -> None:
    arm = Arm.TENSOR_CORE
    case = related_case(Relation.NONE, dtype=FloatDType.BFLOAT16, bias=True)
    right = oracle(arm, prepared_of(case)).reshape(case.output_shape)
    torch.save(right, tmp_path / "right.pt")
    torch.save(one_changed(right), tmp_path / "wrong.pt")
    patches = {name: FROM_A_FILE.format(name=name) for name in ("right", "wrong")}
    ended = alone(other_bits(arm, case), tmp_path, patches)
    assert ended["right"].status == 0, ended["right"].output
    assert ended["wrong"].status == 1
    assert "by the kernel's own arithmetic" in ended["wrong"].output
    assert "1 of 18 are wrong" in ended["wrong"].output

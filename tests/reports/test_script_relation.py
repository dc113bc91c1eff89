"""Scripts of broken relations: two calls that must agree, and do on a right kernel."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fuzz.engine.relations import RULES
from fuzz.oracle.arms import Arm
from reports.finding import Finding
from reports.script import write_script
from reports.script_calls import CALLS, QUANTIZING
from reports.script_relation import _SECOND
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Quantization, QuantType, Relation, StorageDType
from tests.fuzz.engine.faulty import FAULTY
from tests.fuzz.engine.subjects import ON_ONE_DEVICE, one_changed, related_case, right
from tests.reports.helpers import execute, finding
from tests.reports.running import alone, calling, lint, ran

PRODUCTS = [path for path in CALLS if path not in QUANTIZING | {"dequantize_4bit"}]
WEIGHT_RELATIONS = [relation for relation in ON_ONE_DEVICE if Arm.DEQUANTIZE in RULES[relation].arms]
LINEAR = [relation for relation in ON_ONE_DEVICE if Arm.LINEAR in RULES[relation].arms]
ONE_ROW = [relation for relation in ON_ONE_DEVICE if Arm.GEMV in RULES[relation].arms and "row" not in relation.value]
WITH_ZERO_BIAS = ON_ONE_DEVICE


@pytest.fixture(autouse=True)
def deprecations_are_no_defects() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def broken(path: str, case: Case) -> Finding:
    """A finding of the Case's relation."""
    return finding(path, "broken relation", case, how=case.execution.relation.value, model=None)


def test_every_relation_has_its_lines() -> None:
    assert set(_SECOND) == {relation.value for relation in RULES}


def _cases(relation: Relation) -> dict[str, Case]:
    """Cases that change the lines of a script: bias, gradients, ranks, statistics, storage."""
    case = related_case(relation)
    return {
        "plain": case,
        "bias": dataclasses.replace(case, bias=True),
        "grad": dataclasses.replace(case, bias=True, execution=Execution(grad=True, relation=relation)),
        "rank": dataclasses.replace(case, activation=Activation(leading=(2, 3), fill=Fill.NORMAL)),
        "nested": fields.replace(case, "quantization.compress_statistics", value=True),
        "storage": fields.replace(case, "quantization.storage", StorageDType.FLOAT32),
    }


def test_every_script_compiles_and_defines_its_names(tmp_path: Path) -> None:
    scripts = {
        f"{relation.value}_{path}_{name}": write_script(broken(path, case))
        for relation, path in itertools.product(RULES, PRODUCTS)
        for name, case in _cases(relation).items()
    }
    assert lint(scripts, tmp_path) == []


def test_scripts_of_dequantized_weights_define_their_names(tmp_path: Path) -> None:
    scripts = {
        f"{relation.value}_{name}": write_script(broken("dequantize_4bit", case))
        for relation in WEIGHT_RELATIONS
        for name, case in _cases(relation).items()
    }
    assert lint(scripts, tmp_path) == []


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_a_right_kernel_gives_status_0(monkeypatch: pytest.MonkeyPatch, relation: Relation, dtype: FloatDType, bias: bool) -> None:  # noqa: FBT001
    case = related_case(relation, dtype=dtype, bias=bias and relation is not Relation.ZERO_BIAS)
    for arm in (Arm.SIMT, Arm.TENSOR_CORE):
        if arm is Arm.TENSOR_CORE and dtype is FloatDType.FLOAT32:
            continue
        calling(monkeypatch, "matmul_4bit", case, right(arm))
        status, output, names = ran(broken("matmul_4bit", case))
        assert status == 0, output
        assert output.startswith("expected: ")
        assert "got:      " in output
        assert names["second"].numel() in {18, 6}


@pytest.mark.parametrize("relation", WITH_ZERO_BIAS)
@pytest.mark.parametrize("quant_type", QuantType)
def test_the_script_makes_the_second_call_of_the_engine(monkeypatch: pytest.MonkeyPatch, relation: Relation, quant_type: QuantType) -> None:
    """Both calls are watched, and the second one's inputs are those that the engine makes of the first one's."""
    case = related_case(relation, bias=relation is not Relation.ZERO_BIAS, leading=(2, 2), quantization=Quantization(quant_type=quant_type))
    seen: list[Any] = []

    def watch(prepared: Any) -> torch.Tensor:
        seen.append(prepared)
        return right(Arm.SIMT)(prepared)

    calling(monkeypatch, "matmul_4bit", case, watch)
    assert ran(broken("matmul_4bit", case))[0] == 0
    first, second = seen
    expected = RULES[relation].second(first)
    assert second.case.weight == expected.case.weight
    assert second.case.quantization.blocksize == expected.state.blocksize
    assert torch.equal(second.activation, expected.activation)
    assert second.activation.stride() == expected.activation.stride()
    assert second.packed.dtype == expected.packed.dtype
    assert torch.equal(second.packed.view(torch.uint8), expected.packed.view(torch.uint8))
    assert torch.equal(second.state.absmax, expected.state.absmax)
    assert second.state.shape == expected.state.shape
    assert second.bias is not None
    assert expected.bias is not None
    assert torch.equal(second.bias, expected.bias)


@pytest.mark.parametrize("relation", WITH_ZERO_BIAS)
def test_a_kernel_that_breaks_it_gives_status_1(monkeypatch: pytest.MonkeyPatch, relation: Relation) -> None:
    case = related_case(relation)
    calling(monkeypatch, "matmul_4bit", case, FAULTY[relation]())
    status, output, _ = ran(broken("matmul_4bit", case))
    assert status == 1
    assert "which follows from the first call" in output
    assert output.rstrip().endswith("differ")


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_one_last_bit_of_the_second_result_gives_status_1(monkeypatch: pytest.MonkeyPatch, relation: Relation) -> None:
    case, calls = related_case(relation), list[int]()

    def kernel(prepared: Any) -> torch.Tensor:
        calls.append(1)
        result = right(Arm.SIMT)(prepared)
        return result if len(calls) == 1 else one_changed(result)

    calling(monkeypatch, "matmul_4bit", case, kernel)
    status, output, _ = ran(broken("matmul_4bit", case))
    assert status == 1
    rows = 1 if relation is Relation.ROW_ALONE else 3
    assert f" at flat index {6 * rows - 1}; 1 of {6 * rows} differ" in output


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_an_exception_of_the_second_call_gives_status_1(monkeypatch: pytest.MonkeyPatch, relation: Relation) -> None:
    case, calls = related_case(relation), list[int]()

    def kernel(prepared: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 1:
            raise ValueError("no such stride")
        return right(Arm.SIMT)(prepared)

    calling(monkeypatch, "matmul_4bit", case, kernel)
    status, output, _ = ran(broken("matmul_4bit", case))
    assert status == 1
    assert output == "expected: a result, as from the first call\ngot:      ValueError: no such stride\n"


@pytest.mark.parametrize("relation", ONE_ROW)
def test_the_legacy_gemv_gives_status_0(monkeypatch: pytest.MonkeyPatch, relation: Relation) -> None:
    case = related_case(relation, leading=(1,))
    calling(monkeypatch, "gemv_4bit", case, right(Arm.GEMV))
    status, output, _ = ran(broken("gemv_4bit", case))
    assert status == 0, output


@pytest.mark.parametrize("dtype", FloatDType)
def test_zeros_times_a_weight_are_zero_where_no_bias_is_added(monkeypatch: pytest.MonkeyPatch, dtype: FloatDType) -> None:
    case = related_case(Relation.ZERO_INPUT, leading=(1,), dtype=dtype, bias=True)
    calling(monkeypatch, "gemv_4bit", case, right(Arm.GEMV))
    assert ran(broken("gemv_4bit", case))[0] == 0


@pytest.mark.parametrize("path", ["matmul_4bit", "gemm_4bit_op", "dequantize_linear"])
@pytest.mark.parametrize("relation", LINEAR)
def test_the_installed_bitsandbytes_keeps_what_holds_on_its_cpu_backend(path: str, relation: Relation) -> None:
    for name, case in _cases(relation).items():
        if name == "nested" and RULES[relation].on_weight and relation is not Relation.STORAGE_VIEW:
            continue
        if name == "grad" and path == "gemm_4bit_op":
            continue
        status, output, _ = ran(broken(path, case))
        assert status == 0, f"{name}: {output}"


def test_gradients_are_asked_for_in_both_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    case = dataclasses.replace(related_case(Relation.SIGN), execution=Execution(grad=True, relation=Relation.SIGN))
    seen: list[bool] = []

    def matmul(x: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        seen.append(x.requires_grad)
        return x.detach()[..., :6]

    monkeypatch.setattr("bitsandbytes.matmul_4bit", matmul)
    assert execute(write_script(broken("matmul_4bit", case)))[0] == 0
    assert seen == [True, True]


@pytest.mark.parametrize("relation", [Relation.SCALED_ACTIVATION, Relation.SCALED_WEIGHT])
@pytest.mark.parametrize("arm", [Arm.LINEAR, Arm.TENSOR_CORE])
def test_subnormal_outputs_are_left_out_where_numbers_are_doubled(monkeypatch: pytest.MonkeyPatch, relation: Relation, arm: Arm) -> None:
    case = related_case(relation, outputs=64, terms=64, leading=(8,), seed=3)
    case = fields.replace(fields.replace(case, "weight.fill", Fill.TINY), "activation.fill", Fill.CANCELLING)
    calling(monkeypatch, "matmul_4bit", case, right(arm))
    status, output, names = ran(broken("matmul_4bit", case))
    assert status == 0, output
    assert not torch.equal(names["second"], names["expected"])


STATEFUL = """
_right, _calls = matmul_4bit, []
def matmul_4bit(*arguments, **named):
    _calls.append(1)
    return _right(*arguments, **named) * (1 if len(_calls) == 1 else 1.01)
"""


def test_alone_the_script_tells_a_right_library_from_a_wrong_one(tmp_path: Path) -> None:
    found = broken("matmul_4bit", related_case(Relation.RERUN, bias=True))
    ended = alone(found, tmp_path, {"right": "", "wrong": STATEFUL})
    assert ended["right"].status == 0, ended["right"].output
    assert ended["wrong"].status == 1
    assert "Traceback" not in ended["wrong"].output
    assert "which follows from the first call" in ended["wrong"].output

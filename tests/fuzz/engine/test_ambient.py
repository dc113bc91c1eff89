"""What is set around a call is set for that call only, and nothing of an earlier one is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from bitsandbytes import functional

from fuzz.engine.ambient import ambient, forget
from fuzz.engine.library import inspect_library
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.verdict import PathVerdict, Symptom
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Quantization, Weight

LIBRARY = inspect_library("cpu")
CASE = Case(weight=Weight(out_features=6, in_features=64, fill=Fill.NORMAL), activation=Activation(leading=(3,)), bias=True)
EMPTY = fields.replace(CASE, "weight.in_features", 0)


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    before = torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    yield
    assert (torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()) == before


def with_default(dtype: FloatDType, case: Case = CASE) -> Case:
    return dataclasses.replace(case, execution=Execution(default_dtype=dtype))


def verdicts(case: Case) -> dict[str, PathVerdict]:
    return {verdict.path: verdict for verdict in run_case(case, LIBRARY, lambda _: None)}


@pytest.mark.parametrize(
    ("dtype", "wanted"), [(FloatDType.FLOAT32, torch.float32), (FloatDType.FLOAT16, torch.float16), (FloatDType.BFLOAT16, torch.bfloat16)]
)
def test_the_default_dtype_is_that_of_the_case(dtype: FloatDType, wanted: torch.dtype) -> None:
    with ambient(with_default(dtype)):
        assert torch.get_default_dtype() is wanted


def test_it_is_put_back_where_a_call_raises() -> None:
    with pytest.raises(ValueError, match="a call"), ambient(with_default(FloatDType.FLOAT16, EMPTY)):
        raise ValueError("a call")


@pytest.mark.parametrize("name", fields.SIZES)
def test_what_is_allocated_for_nothing_is_nan(name: str) -> None:
    with ambient(fields.replace(CASE, name, 0)):
        assert bool(torch.empty(1000).isnan().all())


def test_elsewhere_memory_is_left_as_it_is() -> None:
    with ambient(CASE):
        assert not torch.are_deterministic_algorithms_enabled()


def test_tables_that_the_library_keeps_are_forgotten() -> None:
    functional.name2qmap["dynamic"] = torch.zeros(1)
    forget()
    assert functional.name2qmap == {}


@pytest.mark.parametrize("dtype", [FloatDType.FLOAT16, FloatDType.BFLOAT16])
def test_a_case_is_judged_by_its_own_default_dtype(dtype: FloatDType) -> None:
    """0.50 keeps the tables of the first call of a process, and those of bfloat16 give other codes."""
    nested = dataclasses.replace(CASE, quantization=Quantization(compress_statistics=True))
    before = verdicts(nested)
    assert before["quantize_4bit"].symptom is None
    first = verdicts(with_default(dtype, nested))
    assert first["quantize_4bit"].symptom is Symptom.WRONG_VALUE
    assert verdicts(nested) == before
    assert verdicts(with_default(dtype, nested)) == first


def test_a_table_that_an_earlier_call_has_spoilt_is_no_failure_of_the_next() -> None:
    """A kernel that wrote beyond its memory may have hit what the library keeps."""
    nested = dataclasses.replace(CASE, quantization=Quantization(compress_statistics=True))
    assert verdicts(nested)["quantize_4bit"].symptom is None
    functional.name2qmap["dynamic"][0] += 2.0**-8
    assert verdicts(nested)["quantize_4bit"].symptom is None
    assert torch.equal(functional.name2qmap["dynamic"], functional.create_dynamic_map())


def test_a_table_that_is_wrong_from_the_start_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = dataclasses.replace(CASE, quantization=Quantization(compress_statistics=True))
    spoilt = functional.create_dynamic_map() + 2.0**-8
    forget()
    monkeypatch.setattr(functional, "create_dynamic_map", spoilt.clone)
    failure = verdicts(nested)["quantize_4bit"]
    forget()
    assert (failure.symptom, failure.how) == (Symptom.WRONG_VALUE, "8-bit map")


def test_the_sum_over_nothing_is_judged() -> None:
    """matmul_4bit of 0.50 returns memory that nobody has written, where torch's linear gives the bias."""
    found = verdicts(EMPTY)
    assert found["matmul_4bit"].symptom is Symptom.WRONG_VALUE
    assert "nan" in found["matmul_4bit"].got
    assert found["dequantize_linear"].symptom is None


@pytest.mark.parametrize("name", ["weight.out_features", "activation.rows"])
def test_nothing_comes_out_of_nothing(name: str) -> None:
    case = fields.replace(CASE, name, 0)
    wanted = Selection(only=["matmul_4bit", "dequantize_linear"])
    assert {verdict.symptom for verdict in run_case(case, LIBRARY, lambda _: None, wanted)} == {None}

"""Compiled calls give what they give without, and what happens only under the compiler is seen and said."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import bitsandbytes
import pytest
import torch

from fuzz.engine import calls, calls_compiled
from fuzz.engine.calls import Prepared, prepare
from fuzz.engine.compiling import BACKEND, CompilerError
from fuzz.engine.contract import rule
from fuzz.engine.judge import Question, judge_error
from fuzz.engine.library import inspect_library
from fuzz.engine.paths import BY_NAME
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.tensors import build
from fuzz.engine.verdict import Grade, PathVerdict, Symptom
from reports.script import write_script
from reports.script_calls import COMPILER
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, Layout, Mode, PackedView, Weight
from tests.reports.helpers import execute, finding

LIBRARY = inspect_library("cpu")
CASE = Case(
    weight=Weight(out_features=32, in_features=64, fill=Fill.NORMAL),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
    execution=Execution(mode=Mode.COMPILED),
)
PATHS = ("dequantize_4bit_compiled", "matmul_4bit_compiled", "linear4bit_compiled")

needs_fused = pytest.mark.skipif(not LIBRARY.fused, reason="before 0.50 matmul_4bit takes other views")


@pytest.fixture(autouse=True)
def warnings_are_no_defects() -> Iterator[None]:
    """As in the child: torch warns of what its own compiler does, and bitsandbytes of the [in, out] layout."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def prepared_for(case: Case) -> Prepared:
    return prepare(case, build(case), LIBRARY)


def verdicts(case: Case, only: tuple[str, ...] = PATHS) -> dict[str, PathVerdict]:
    return {verdict.path: verdict for verdict in run_case(case, LIBRARY, lambda _: None, Selection(only=only))}


PAIRS = {
    "dequantize_4bit": (calls_compiled.dequantize_compiled, calls.dequantize),
    "matmul_4bit": (calls_compiled.matmul_compiled, calls.matmul),
    "linear4bit": (calls_compiled.module_compiled, calls.linear4bit),
}


@needs_fused
@pytest.mark.parametrize("path", PAIRS)
@pytest.mark.parametrize(("name", "value"), [("execution.grad", True), ("packed", PackedView.TRANSPOSED), ("weight.layout", Layout.IN_OUT)])
def test_compiled_calls_give_the_same_bits(path: str, name: str, value: Any) -> None:
    case = fields.replace(fields.replace(CASE, "quantization.compress_statistics", value=True), name, value)
    if not BY_NAME[path].takes(case, LIBRARY):
        assert path == "linear4bit"
        return
    (compiled, plain), prepared = PAIRS[path], prepared_for(case)
    with torch.set_grad_enabled(case.execution.grad):
        result = compiled(prepared)
    assert not result.requires_grad
    assert torch.equal(result, plain(prepared))


@needs_fused
def test_every_path_runs_and_is_judged() -> None:
    found = verdicts(CASE)
    assert set(PATHS) <= set(found)
    assert [found[path].symptom for path in PATHS] == [None] * 3
    assert all(found[path].model for path in PATHS)
    assert [found[path].got for path in PATHS] == [""] * 3


def _under_the_compiler(monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Let `matmul_4bit` return something else while it is compiled."""
    right = bitsandbytes.matmul_4bit

    def matmul_4bit(*arguments: Any, **named: Any) -> torch.Tensor:
        result: torch.Tensor = right(*arguments, **named)
        return change(result) if torch.compiler.is_compiling() else result

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", matmul_4bit)


@needs_fused
@pytest.mark.parametrize(
    ("change", "symptom"),
    [
        (lambda result: result + 100, Symptom.WRONG_VALUE),
        (lambda result: result.t(), Symptom.WRONG_SHAPE),
        (lambda result: result.double(), Symptom.WRONG_DTYPE),
    ],
)
def test_what_happens_only_under_the_compiler_is_seen_and_its_script_sees_it_too(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor], torch.Tensor], symptom: Symptom
) -> None:
    monkeypatch.delenv("TORCHDYNAMO_DISABLE")  # scripts are run without it
    path, case = "matmul_4bit_compiled", dataclasses.replace(CASE, bias=False)
    model = dataclasses.asdict(verdicts(case)[path].model or pytest.fail("no model"))

    def script(verdict: PathVerdict) -> str:
        grade = "" if verdict.grade is None else verdict.grade.value
        return write_script(finding(path, symptom.value, case, expected=verdict.expected, grade=grade, model=model, arms=verdict.arms))

    with monkeypatch.context() as planted:
        _under_the_compiler(planted, change)
        found = verdicts(case)
        assert found["matmul_4bit"].symptom is None
        assert found[path].symptom is symptom
        assert found[path].grade in {None, Grade.DEFINITE}
        assert execute(script(found[path]))[0] == 1
    assert execute(script(found[path]))[0] == 0
    torch.compiler.reset()


@needs_fused
def test_a_failure_of_the_compiler_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_nothing(*_: object, **__: object) -> Callable[..., torch.Tensor]:
        raise RuntimeError("the compiler has a defect")

    monkeypatch.setattr(torch, "compile", compile_nothing)
    found = verdicts(CASE)
    assert [found[path].symptom for path in PATHS] == [None] * 3
    assert all("the compiler has a defect" in found[path].got and CompilerError.__name__ in found[path].got for path in PATHS)


@needs_fused
def test_an_exception_of_the_library_is_a_defect() -> None:
    """A fake kernel that refuses: the path without the compiler, which would have explained it, is not asked here."""
    prepared = prepared_for(CASE)
    assert prepared.bias is not None
    with pytest.raises(Exception, match="bias length") as raised:
        calls_compiled.matmul_compiled(dataclasses.replace(prepared, bias=prepared.bias[:-1]))
    question = Question(CASE, BY_NAME["matmul_4bit_compiled"], LIBRARY, rule(CASE, "functional.matmul_4bit compiled", LIBRARY))
    assert judge_error(question, raised.value).symptom is Symptom.UNEXPECTED_EXCEPTION


def test_scripts_name_the_backend_that_the_engine_uses() -> None:
    assert COMPILER == BACKEND

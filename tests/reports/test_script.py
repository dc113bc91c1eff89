"""The script of a finding: it builds the Case's own tensors, and its exit status tells whether the defect is there.

Most scripts are run in this process, because a fresh one takes seconds to import torch and bitsandbytes. Paths that end
in the CPU's fused bfloat16 kernel are compiled only: there are CPUs on which it aborts the process.
"""

from __future__ import annotations

import builtins
import dataclasses
import dis
import itertools
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.engine.calls import prepare
from fuzz.engine.library import inspect_library
from fuzz.engine.paths import BY_NAME, PATHS
from fuzz.engine.relations import RULES, second_call
from fuzz.engine.tensors import FLOAT_DTYPES, STORAGE_DTYPES, build
from fuzz.engine.verdict import Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import error_model, interval
from fuzz.oracle.reference import decode, multiply
from reports.finding import LEFT_ERROR, Finding
from reports.script import HANG_TIMEOUT, INPUTS, write_script
from reports.script_calls import CALLS, QUANTIZING, REPLAYED, WEIGHT_ONLY
from reports.script_outs import WRITING
from reports.script_stream import REPLAY
from strategies import fields
from strategies.case import (
    NON_FINITE,
    Activation,
    Case,
    CudaStream,
    Execution,
    Fill,
    FloatDType,
    Layout,
    Mode,
    PackedView,
    Quantization,
    QuantType,
    Relation,
    StorageDType,
    Weight,
)
from strategies.cases import cases
from tests.reports.helpers import CASE, SYSTEM, execute, finding

DEADLY = ["context lost", "process died", "hang"]
RUNNABLE = ["quantize_4bit", "dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemm_4bit_op"]
BUSY = Case(
    weight=Weight(out_features=4, in_features=130, layout=Layout.IN_OUT, dtype=FloatDType.BFLOAT16, fill=Fill.CANCELLING),
    quantization=Quantization(quant_type=QuantType.FP4, blocksize=128, compress_statistics=True, storage=StorageDType.FLOAT16),
    packed=PackedView.TRANSPOSED,
    activation=Activation(leading=(2, 3), dtype=FloatDType.FLOAT32, fill=Fill.ONE_HOT),
    bias=True,
    execution=Execution(grad=True),
    seed=9,
)
CUDA = {**SYSTEM, "device": "cuda", "gpu": "NVIDIA H100"}

needs_fused = pytest.mark.skipif(not inspect_library("cpu").fused, reason="this bitsandbytes has no gemm_4bit")


@pytest.fixture(autouse=True)
def deprecations_are_no_defects() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def compiles(script: str) -> None:
    compile(script, "repro.py", "exec")


IMPORTS = {
    "from collections.abc import Callable, Sequence",
    "import contextlib",
    "import functools",
    "import copy",
    "import io",
    "import subprocess",
    "import sys",
    "import torch",
    "import bitsandbytes as bnb",
    "import bitsandbytes.functional as F",
    "from bitsandbytes.backends.triton import ops as triton_ops",
}


QUANTIZE_HOWS = {
    "wrong shape": ["packed weight too short", "blocks of statistics", "more statistics than blocks", "shape of the state"],
    "wrong dtype": ["dtype of the packed weight"],
    "wrong value": ["code table", "scales", "8-bit map", "offset", "outer scales", "8-bit codes", "codes", "blocks of zeros"],
}
NESTED_ONLY = {"8-bit map", "offset", "outer scales", "8-bit codes", "outer absmax", "outer code table"}
RELATIONS = [relation.value for relation in Relation if relation is not Relation.NONE]
MODES = {path.name: path.mode for path in PATHS if path.mode is not None}
OF_WEIGHTS = [relation.value for relation, rule in RULES.items() if Arm.DEQUANTIZE in rule.arms]


def hows(path: str, symptom: str) -> list[str]:
    """The ways in which a path can have a symptom, as verdicts name them; none if it cannot."""
    if symptom == "broken relation" and path in REPLAYED:
        return [REPLAY]
    if symptom == "broken relation":
        return [] if path == "quantize_4bit" or path in MODES else OF_WEIGHTS if path == "dequantize_4bit" else RELATIONS
    if symptom == "range divergence":
        return [] if path in WEIGHT_ONLY else ["overflow", "underflow"]
    if symptom in {"written out of bounds", "input changed"}:
        inputs = ["weight"] if path in QUANTIZING else [name for name in INPUTS if name != "weight"]
        return [*([""] if path in WRITING and symptom != "input changed" else []), *inputs]
    if path not in QUANTIZING:
        return [""]
    return [how for how in QUANTIZE_HOWS.get(symptom, [""]) if path == "quantize_4bit" or how not in NESTED_ONLY | {"code table"}]


FREE = sorted({symptom.value for symptom in Symptom} - {"broken relation", "range divergence", "written out of bounds", "input changed"})
"""Symptoms whose way may be any text, such as an exception's type."""
KINDS = [(path, symptom.value, how) for path in CALLS for symptom in Symptom for how in hows(path, symptom.value)]
every_kind = pytest.mark.parametrize(("path", "symptom", "how"), KINDS)


def kind(path: str, symptom: str, how: str, case: Case = CASE, **changes: Any) -> Finding:
    """A finding of this kind, on a Case that can have it."""
    if how in NESTED_ONLY:
        case = fields.replace(case, "quantization.compress_statistics", value=True)
    if how == "bias" or path == "matmul_4bit_bias_gradient":
        case = dataclasses.replace(case, bias=True)
    case = fields.replace(case, "execution.mode", MODES.get(path, Mode.CALL))
    if symptom == "broken relation" and how != REPLAY:
        case = fields.replace(fields.replace(case, "execution.relation", Relation(how)), "weight.layout", Layout.OUT_IN)
    return finding(path, symptom, case, how=how, **changes)


def test_every_symptom_has_a_kind() -> None:
    assert {symptom for _, symptom, _ in KINDS} == {symptom.value for symptom in Symptom}


@every_kind
@pytest.mark.parametrize("case", [Case(), BUSY], ids=["neutral", "busy"])
def test_every_script_compiles_and_needs_torch_and_bitsandbytes_only(path: str, symptom: str, how: str, case: Case) -> None:
    for system in (SYSTEM, CUDA):
        script = write_script(kind(path, symptom, how, case, system=system))
        compiles(script)
        assert {line for line in script.splitlines() if line.startswith(("import ", "from "))} <= IMPORTS
        assert script.endswith("\n")


def assert_bound(script: str) -> None:
    instructions = list(dis.get_instructions(compile(script, "repro.py", "exec")))
    stored = {instruction.argval for instruction in instructions if instruction.opname == "STORE_NAME"}
    loaded = {instruction.argval for instruction in instructions if instruction.opname == "LOAD_NAME"}
    assert loaded <= stored | set(dir(builtins))


@pytest.mark.parametrize(("path", "symptom", "how"), [names for names in KINDS if names[1] not in DEADLY])
def test_every_name_that_a_script_uses_is_bound_in_it(path: str, symptom: str, how: str) -> None:
    """A NameError also ends a script with status 1, which would pass for the defect."""
    assert_bound(write_script(kind(path, symptom, how, BUSY)))


@pytest.mark.parametrize(("path", "symptom", "how"), [names for names in KINDS if names[1] not in DEADLY])
def test_a_script_on_a_side_stream_binds_every_name_too(path: str, symptom: str, how: str) -> None:
    case = fields.replace(BUSY, "execution.stream", CudaStream.SIDE)
    assert_bound(write_script(kind(path, symptom, how, case, system=CUDA)))


@given(how=st.text(max_size=60), cpu=st.text(max_size=30), symptom=st.sampled_from(FREE))
@example(how='"""', cpu="\\", symptom="context lost")
@example(how='""', cpu='"', symptom="hang")
@example(how="\\N{no such name}", cpu="\\", symptom="process died")
@example(how="a\nb\r\nc", cpu="\x00", symptom="context lost")
@example(how="{x!r}", cpu="%s", symptom="wrong dtype")
def test_text_from_outside_does_not_get_out_of_the_docstring(how: str, cpu: str, symptom: str) -> None:
    plain = write_script(finding("matmul_4bit", symptom))
    script = write_script(finding("matmul_4bit", symptom, how=how, system={**SYSTEM, "cpu": cpu}))
    compiles(script)
    assert script.endswith(plain.split('"""', 2)[2])


@given(cases(), st.sampled_from(KINDS))
def test_the_script_of_any_case_compiles(case: Case, names: tuple[str, str, str]) -> None:
    compiles(write_script(kind(*names, case)))


def test_wrong_values_without_a_model_are_a_mistake_of_the_harness() -> None:
    with pytest.raises(ValueError, match="without an error model"):
        write_script(finding(model=None))


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("dtype", [None, FloatDType.BFLOAT16])
def test_a_script_builds_the_tensors_of_its_case(layout: Layout, fill: Fill, dtype: FloatDType | None) -> None:
    case = dataclasses.replace(
        BUSY,
        weight=dataclasses.replace(BUSY.weight, layout=layout, fill=fill, dtype=FloatDType.FLOAT16),
        activation=Activation(leading=(2, 3), dtype=dtype, fill=fill),
    )
    _, _, names = execute(write_script(finding("dequantize_linear", "unexpected exception", case)))
    inputs = build(case)
    assert inputs.bias is not None
    for name, tensor in {"weight": inputs.weight, "x": inputs.activation, "bias": inputs.bias}.items():
        assert names[name].dtype == tensor.dtype
        assert names[name].is_contiguous() == tensor.is_contiguous()
        assert torch.equal(names[name].nan_to_num(nan=99.0), tensor.nan_to_num(nan=99.0))


@pytest.mark.parametrize("blocksize", [32, 64, 4096])
@pytest.mark.parametrize("storage", StorageDType)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_script_quantizes_as_its_case_says(blocksize: int, storage: StorageDType, compressed: bool) -> None:  # noqa: FBT001
    quantization = Quantization(quant_type=QuantType.FP4, blocksize=blocksize, compress_statistics=compressed, storage=storage)
    case = dataclasses.replace(CASE, quantization=quantization)
    _, _, names = execute(write_script(finding("dequantize_4bit", "unexpected exception", case)))
    prepared = prepare(case, build(case), inspect_library("cpu"))
    assert names["packed"].dtype == STORAGE_DTYPES[storage]
    assert names["packed"].shape == prepared.packed.shape
    assert torch.equal(names["packed"].view(torch.uint8), prepared.packed.view(torch.uint8))
    assert names["state"].blocksize == blocksize
    assert names["state"].nested is compressed


def test_gradients_are_asked_for_where_the_case_does() -> None:
    case = fields.replace(CASE, "execution.grad", value=True)
    _, _, names = execute(write_script(finding("matmul_4bit", "unexpected exception", case)))
    assert names["x"].requires_grad
    _, _, names = execute(write_script(finding("matmul_4bit", "unexpected exception")))
    assert not names["x"].requires_grad


def variants() -> Iterator[Any]:
    """Valid Cases that differ in whatever changes a script of wrong values."""
    choices = itertools.product([False, True], [False, True], Layout, PackedView)
    for number, (compressed, bias, layout, packed) in enumerate(choices):
        weight = dataclasses.replace(CASE.weight, layout=layout, dtype=list(FloatDType)[number % 3])
        quantization = dataclasses.replace(CASE.quantization, compress_statistics=compressed, quant_type=list(QuantType)[number % 2])
        case = dataclasses.replace(CASE, weight=weight, quantization=quantization, bias=bias, packed=packed, seed=number)
        yield pytest.param(case, id=f"{'nested' if compressed else 'plain'}-{'bias' if bias else 'none'}-{layout.value}-{packed.value}")


@needs_fused
@pytest.mark.parametrize("case", list(variants()))
@pytest.mark.parametrize("path", RUNNABLE)
def test_without_a_defect_the_status_is_0(path: str, case: Case) -> None:
    if path == "gemm_4bit_op" and case.weight.layout is Layout.IN_OUT:
        case = fields.replace(case, "weight.layout", Layout.OUT_IN)
    for name, symptom, how in KINDS:
        if name != path or symptom in DEADLY or symptom == "missing error" or not _happens(case, path, symptom, how):
            continue
        dtype = case.weight.dtype if path == "dequantize_4bit" else case.activation_dtype
        expected = "torch.uint8" if path == "quantize_4bit" else f"torch.{dtype.value}"
        status, output, _ = execute(write_script(kind(path, symptom, how, case, expected=expected)))
        assert status == 0, f"{symptom}, {how}: {output}"
        assert output.startswith("expected: ")
        assert "got:      " in output


def _happens(case: Case, path: str, symptom: str, how: str) -> bool:
    """Whether a Case can fail like this at all."""
    if how in NESTED_ONLY:
        return case.quantization.compress_statistics
    if path == "dequantize_4bit" and symptom == "broken relation":
        return False  # `test_every_name_that_a_script_uses_is_bound_in_it`
    if symptom != "broken relation":
        return how != "scales" or not case.quantization.compress_statistics
    related = fields.replace(fields.replace(case, "weight.layout", Layout.OUT_IN), "execution.relation", Relation(how))
    loaded = inspect_library("cpu")
    return second_call(BY_NAME[path], prepare(related, build(related), loaded)) is not None


@pytest.mark.parametrize(
    ("symptom", "ruling", "expected"),
    [
        ("wrong shape", "valid", 1),
        ("wrong shape", "unspecified", 0),
        ("wrong dtype", "valid", 1),
        ("wrong dtype", "unspecified", 0),
        ("unexpected exception", "valid", 1),
        ("missing error", "invalid", 0),
    ],
)
def test_an_exception_is_the_defect_for_a_valid_call_only(
    monkeypatch: pytest.MonkeyPatch, symptom: str, ruling: str, expected: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no such layout")

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", refuse)
    status, output, _ = execute(write_script(finding("matmul_4bit", symptom, ruling=ruling, expected="torch.float16")))
    assert status == expected
    assert "got:      ValueError: no such layout" in output


@pytest.mark.parametrize(("left", "expected"), [(True, 1), (False, 0)])
def test_an_error_that_is_left_for_the_next_call_is_met_by_one(monkeypatch: pytest.MonkeyPatch, *, left: bool, expected: int) -> None:
    ones = torch.ones

    def next_call(*arguments: Any, **named: Any) -> torch.Tensor:
        if named.pop("device", None) == "cuda" and left:
            raise RuntimeError("CUDA error: invalid argument")
        return ones(*arguments, **named)

    monkeypatch.setattr(torch, "ones", next_call)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    status, output, _ = execute(write_script(finding("matmul_4bit", "unexpected exception", how=LEFT_ERROR, ruling="unspecified")))
    assert status == expected
    assert ("got:      torch.ones raises RuntimeError: CUDA error: invalid argument" in output) is left


def test_a_refusal_makes_wrong_values_of_an_unspecified_call_go_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream may mend it by raising an exception; a traceback would end the script with status 1, as the defect does."""

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("in_features has to be a multiple of blocksize")

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", refuse)
    status, output, _ = execute(write_script(finding("matmul_4bit", "wrong value", ruling="unspecified")))
    assert status == 0
    assert "got:      ValueError: in_features has to be" in output


def plant(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kwargs: change(original(*args, **kwargs)))


def _one_wrong(result: torch.Tensor) -> torch.Tensor:
    changed = result.clone()
    changed.view(-1)[3] = changed.view(-1)[3] + 1 + changed.abs().max()
    return changed


def _nan(result: torch.Tensor) -> torch.Tensor:
    changed = result.clone()
    changed.view(-1)[3] = float("nan")
    return changed


@pytest.mark.parametrize(
    ("symptom", "change", "words"),
    [
        ("wrong value", _one_wrong, "1 of 12 are wrong"),
        ("wrong value", _nan, "1 of 12 are wrong"),
        ("wrong value", lambda result: torch.full_like(result, float("inf")), "12 of 12 are wrong"),
        ("wrong shape", lambda result: result.t(), "got:      shape (6, 2)"),
        ("wrong dtype", lambda result: result.double(), "got:      torch.float64"),
        ("missing error", lambda result: result, "got:      a tensor of shape (2, 6)"),
    ],
)
def test_with_the_defect_the_status_is_1(
    monkeypatch: pytest.MonkeyPatch, symptom: str, change: Callable[[torch.Tensor], torch.Tensor], words: str
) -> None:
    plant(monkeypatch, bitsandbytes, "matmul_4bit", change)
    ruling = "invalid" if symptom == "missing error" else "valid"
    status, output, _ = execute(write_script(finding("matmul_4bit", symptom, ruling=ruling, expected="torch.float16")))
    assert status == 1
    assert words in output


@pytest.mark.parametrize("case", list(variants()))
@pytest.mark.parametrize(("change", "expected"), [(_one_wrong, 1), (lambda result: result, 0)])
def test_a_wrong_weight_is_told_from_a_right_one(
    monkeypatch: pytest.MonkeyPatch, case: Case, change: Callable[[torch.Tensor], torch.Tensor], expected: int
) -> None:
    plant(monkeypatch, functional, "dequantize_4bit", lambda result: change(result.contiguous()))
    case = fields.replace(case, "activation.fill", Fill.ONES)
    for path in ("dequantize_4bit", "dequantize_linear"):
        status, output, _ = execute(write_script(finding(path, "wrong value", case)))
        assert status == expected, output


def _finite(result: torch.Tensor) -> torch.Tensor:
    """Zero instead of what is no number."""
    return result.nan_to_num(nan=0.0, posinf=0.0)


def _first_wrong(result: torch.Tensor) -> torch.Tensor:
    changed = result.clone()
    changed.view(-1)[0] += 1e4
    return changed


@needs_fused
@pytest.mark.parametrize(
    ("arm", "change", "expected"),
    [
        ("simt", lambda result: result, 0),
        ("simt", _finite, 1),
        ("simt", _first_wrong, 1),
        ("linear", _finite, 0),
        ("linear", lambda result: torch.full_like(result, float("nan")), 0),
        ("linear", _first_wrong, 1),
    ],
)
@pytest.mark.parametrize("fill", sorted(NON_FINITE, key=str))
@pytest.mark.parametrize("tensor", ["activation.fill", "weight.fill"])
def test_what_is_no_number_must_come_out_as_none(  # noqa: PLR0913, PLR0917 - a table
    monkeypatch: pytest.MonkeyPatch, tensor: str, fill: Fill, arm: str, change: Callable[[torch.Tensor], torch.Tensor], expected: int
) -> None:
    """And what it does not touch is to be right: the first output, where the last row of either operand holds it."""
    case = dataclasses.replace(CASE, weight=Weight(out_features=3, in_features=128), activation=Activation(leading=(4,)), seed=0)
    rows = 4 if tensor.startswith("activation") else 3
    case = next(one for seed in range(500) if _last_row(one := fields.replace(dataclasses.replace(case, seed=seed), tensor, fill), rows))
    plant(monkeypatch, bitsandbytes, "matmul_4bit", change)
    status, output, _ = execute(write_script(finding("matmul_4bit", "wrong value", case, arms=(arm,))))
    assert status == expected, output


def _last_row(case: Case, rows: int) -> bool:
    inputs = build(case)
    both = (inputs.activation, inputs.weight)
    return any(len(part) == rows and not bool(part[-1].isfinite().all()) for part in both)


@needs_fused
@pytest.mark.parametrize("case", list(variants()))
def test_the_bound_of_the_script_is_that_of_the_engine(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    """Results at the ends of the engine's intervals are right for the script too; well beyond them both see the defect."""
    dtype = FLOAT_DTYPES[case.activation_dtype]
    inputs = build(case)
    prepared = prepare(case, inputs, inspect_library("cpu"))
    product = multiply(inputs.activation, decode(case, prepared.packed, prepared.state), inputs.bias)
    model = error_model((Arm.LINEAR,), dtype, case.weight.in_features, FLOAT_DTYPES[case.weight.dtype], bias=case.bias)
    allowed = interval(product, model, dtype)
    script = write_script(finding("matmul_4bit", "wrong value", case, model=dataclasses.asdict(model)))
    for end, sign in ((allowed.low, -1), (allowed.high, 1)):
        monkeypatch.setattr(bitsandbytes, "matmul_4bit", lambda *_, end=end, **__: end)
        assert execute(script)[0] == 0
        unit = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}[dtype]
        beyond = allowed.value + sign * 1.5 * (allowed.error + 2 * unit * allowed.value.abs())
        monkeypatch.setattr(bitsandbytes, "matmul_4bit", lambda *_, beyond=beyond, **__: beyond.to(dtype))
        assert execute(script)[0] == 1


def _quantized(monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor, Any], tuple[torch.Tensor, Any]]) -> None:
    plant(monkeypatch, functional, "quantize_4bit", lambda pair: change(*pair))


def test_a_packed_weight_that_is_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    script = write_script(finding("quantize_4bit", "wrong shape", how="packed weight too short"))
    assert execute(script)[0] == 0
    _quantized(monkeypatch, lambda packed, state: (packed[:-1], state))
    status, output, _ = execute(script)
    assert status == 1
    assert "got:      191 bytes" in output


def _less_statistics(packed: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
    state.absmax = state.absmax[:-1]
    return packed, state


def _turned_state(packed: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
    state.shape = state.shape[::-1]
    return packed, state


@pytest.mark.parametrize(
    ("how", "change", "expected"),
    [
        ("blocks of statistics", _less_statistics, "blocks of statistics: 6"),
        ("shape of the state", _turned_state, "shape of the state: (6, 64)"),
    ],
)
def test_wrong_statistics_of_quantize(
    monkeypatch: pytest.MonkeyPatch, how: str, change: Callable[[torch.Tensor, Any], tuple[torch.Tensor, Any]], expected: str
) -> None:
    script = write_script(finding("quantize_4bit", "wrong shape", how=how, expected=expected))
    assert execute(script)[0] == 0
    _quantized(monkeypatch, change)
    assert execute(script)[0] == 1


def test_a_wrong_dtype_of_the_packed_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    how, expected = "dtype of the packed weight", "dtype of the packed weight: torch.uint8"
    script = write_script(finding("quantize_4bit", "wrong dtype", how=how, expected=expected))
    assert execute(script)[0] == 0
    _quantized(monkeypatch, lambda packed, state: (packed.view(torch.int8), state))
    assert execute(script)[0] == 1


def test_a_wrong_8_bit_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is wrong where bitsandbytes makes it, which is where the script must not take its own from."""
    case = fields.replace(CASE, "quantization.compress_statistics", value=True)
    script = write_script(finding("quantize_4bit", "wrong value", case, how="8-bit map"))
    assert execute(script)[0] == 0
    plant(monkeypatch, functional, "create_dynamic_map", lambda table: table * 1.01)
    monkeypatch.setattr(functional, "name2qmap", {})
    assert execute(script)[0] == 1


@pytest.mark.parametrize("symptom", DEADLY)
def test_a_call_that_ends_its_process_is_made_in_another(monkeypatch: pytest.MonkeyPatch, symptom: str) -> None:
    script = write_script(finding("matmul_4bit", symptom))
    commands: list[list[str]] = []
    for returncode, expected, words in [
        (-11, 1, "exit status -11"),
        (3, 1, "a CUDA error"),
        (1, 1, "exit status 1"),
        (0, 0, "exit status 0"),
    ]:

        def run(command: list[str], *, returncode: int = returncode, **_: object) -> SimpleNamespace:
            commands.append(command)
            return SimpleNamespace(returncode=returncode)

        monkeypatch.setattr(subprocess, "run", run)
        status, output, _ = execute(script)
        assert status == expected
        assert f"got:      {words}" in output
    assert commands[0] == [sys.executable, "repro.py", "--call"]


def test_a_call_that_does_not_come_back_is_the_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], timeout: float) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    status, output, _ = execute(write_script(finding("matmul_4bit", "hang")))
    assert status == 1
    assert f"no answer within {HANG_TIMEOUT} seconds" in output


@pytest.mark.parametrize("path", RUNNABLE)
@pytest.mark.parametrize("symptom", DEADLY)
def test_the_call_of_the_other_process(monkeypatch: pytest.MonkeyPatch, path: str, symptom: str) -> None:
    case = dataclasses.replace(CASE, bias=True)
    script = write_script(finding(path, symptom, case))
    assert execute(script, ("--call",))[0] == 0

    def fail(message: str) -> Callable[..., None]:
        def call(*_: object, **__: object) -> None:
            raise RuntimeError(message)

        return call

    for message, expected in (("no such blocksize", 0), ("CUDA error: an illegal memory access was encountered", 3)):
        monkeypatch.setattr(functional, "quantize_4bit", fail(message))
        assert execute(script, ("--call",))[0] == expected


@pytest.mark.parametrize("path", CALLS)
def test_on_a_gpu_the_other_process_waits_for_the_device(path: str) -> None:
    assert "torch.cuda.synchronize()" in write_script(finding(path, "process died", system=CUDA))
    if path not in REPLAYED:  # which wait for it by themselves
        assert "synchronize" not in write_script(finding(path, "process died"))


def test_on_a_gpu_the_switches_of_the_bound_are_set_before_the_call() -> None:
    script = write_script(finding("matmul_4bit", "wrong value", system=CUDA))
    assert script.index("allow_fp16_reduced_precision_reduction = False") < script.index("result = ")
    assert ".to('cuda')" in script


@pytest.mark.parametrize("case", [Case(), CASE, BUSY])
def test_a_script_is_a_page_that_a_maintainer_can_read(case: Case) -> None:
    lines = write_script(finding("gemv_4bit", "wrong shape", case)).splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) <= 160


STUBS = {
    "torch.py": "float32 = uint8 = None\nclass Tensor:\n    def to(self, _): return self\ndef ones(_): return Tensor()\n",
    "bitsandbytes/__init__.py": "",
}
"""As much of torch as the neutral Case needs, found beside the script: a fresh process then takes no seconds to start."""


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("return weight, None", 0, "exit status 0"),
        ("raise ValueError('no')", 0, "exit status 0"),
        ("import os; os.abort()", 1, "exit status -6"),
        ("import os; os._exit(1)", 1, "exit status 1"),
        ("raise RuntimeError('CUDA error: misaligned address')", 1, "a CUDA error"),
    ],
)
def test_a_script_outlives_the_process_that_makes_the_call(tmp_path: Path, body: str, status: int, words: str) -> None:
    (tmp_path / "bitsandbytes").mkdir()
    for name, text in STUBS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    functions = f"def quantize_4bit(weight, **_):\n    {body}\n"
    (tmp_path / "bitsandbytes" / "functional.py").write_text(functions, encoding="utf-8")
    (tmp_path / "repro.py").write_text(write_script(finding("quantize_4bit", "process died", Case())), encoding="utf-8")
    done = subprocess.run([sys.executable, str(tmp_path / "repro.py")], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert f"got:      {words}" in done.stdout


FRESH = {
    "plain": ("matmul_4bit", "wrong value", dataclasses.replace(CASE, bias=True)),
    "nested": ("dequantize_linear", "wrong value", BUSY),
}


@needs_fused
def test_alone_in_fresh_processes_correct_calls_give_status_0(tmp_path: Path) -> None:
    """As `repro.py` in a folder of its own, without the project on the path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    started = {}
    for name, (path, symptom, case) in FRESH.items():
        file = tmp_path / name / "repro.py"
        file.parent.mkdir()
        file.write_text(write_script(finding(path, symptom, case)), encoding="utf-8")
        started[name] = subprocess.Popen(
            [sys.executable, str(file)], cwd=file.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    for name, process in started.items():
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 0, f"{name}: {output}"
        assert "expected: " in output
        assert "got:      " in output

"""`torch.library.opcheck` is asked about every op, and what it says against one is a defect with a script."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fuzz.engine import calls_opcheck
from fuzz.engine.calls import Prepared
from fuzz.engine.calls_opcheck import TESTS
from fuzz.engine.library import inspect_library
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.verdict import PathVerdict, Symptom
from reports.script import write_script
from reports.script_calls import OPCHECKS
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, Layout, Memory, Mode, StorageDType, Weight
from tests.reports.helpers import execute, finding

LIBRARY = inspect_library("cpu")
CASE = Case(
    weight=Weight(out_features=64, in_features=64, fill=Fill.NORMAL),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
    execution=Execution(mode=Mode.OPCHECK),
)
PATHS = ("quantize_4bit_opcheck", "dequantize_4bit_opcheck", "gemm_4bit_opcheck")
DEQUANTIZE = "dequantize_4bit_opcheck"
SCHEMA = "(Tensor A, Tensor absmax, int blocksize, str quant_type, int[] shape, ScalarType dtype) -> Tensor"
REAL = torch.ops.bitsandbytes.dequantize_4bit.default

needs_fused = pytest.mark.skipif(not LIBRARY.fused, reason="this bitsandbytes has no gemm_4bit")


def verdicts(case: Case) -> dict[str, PathVerdict]:
    return {verdict.path: verdict for verdict in run_case(case, LIBRARY, lambda _: None, Selection(only=PATHS))}


@needs_fused
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bias", False),
        ("quantization.compress_statistics", True),
        ("quantization.storage", StorageDType.FLOAT16),
        ("weight.layout", Layout.IN_OUT),
        ("weight.fill", Fill.NAN),
        ("activation.fill", Fill.INFINITE),
        ("memory.activation", Memory.TRANSPOSED),
    ],
)
def test_the_ops_of_the_library_keep_to_what_they_say(name: str, value: Any) -> None:
    found = verdicts(fields.replace(CASE, name, value))
    asked = PATHS if name != "weight.layout" else PATHS[:2]
    assert set(found) & set(PATHS) == set(asked)
    assert [(found[path].symptom, found[path].got) for path in asked] == [(None, "")] * len(asked)


def _shorter(packed: torch.Tensor, *rest: Any) -> torch.Tensor:
    *_, shape, dtype = rest
    return packed.new_empty((shape[0] - 1, shape[1]), dtype=dtype)


def _right(packed: torch.Tensor, *rest: Any) -> torch.Tensor:
    *_, shape, dtype = rest
    return packed.new_empty(shape, dtype=dtype)


def _kernel(*arguments: Any) -> torch.Tensor:
    result: torch.Tensor = REAL(*arguments)
    return result


def _scribbling(packed: torch.Tensor, absmax: torch.Tensor, *rest: Any) -> torch.Tensor:
    result = _kernel(packed, absmax, *rest)
    absmax += 1
    return result


PLANTED: dict[str, tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor]]] = {
    "right": (_kernel, _right),
    "fake_of_another_shape": (_kernel, _shorter),
    "kernel_that_writes_to_its_input": (_scribbling, _right),
}
for _name, (_real, _fake) in PLANTED.items():
    torch.library.define(f"bnb4_fuzz_tests::{_name}", SCHEMA)
    torch.library.impl(f"bnb4_fuzz_tests::{_name}", "cpu", _real)
    torch.library.register_fake(f"bnb4_fuzz_tests::{_name}", _fake)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let `torch.library.opcheck` meet another op where it is handed `dequantize_4bit`."""
    right = torch.library.opcheck

    def planted(name: str) -> None:
        op = getattr(torch.ops.bnb4_fuzz_tests, name).default

        def opcheck(asked: Any, *arguments: Any, **named: Any) -> Any:
            return right(op if asked is REAL else asked, *arguments, **named)

        monkeypatch.setattr(torch.library, "opcheck", opcheck)

    return planted


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("right", ""),
        ("fake_of_another_shape", "test_faketensor failed"),
        ("kernel_that_writes_to_its_input", "test_schema failed"),
    ],
)
def test_what_is_planted_is_said_and_its_script_says_it_too(plant: Callable[[str], None], name: str, words: str) -> None:
    plant(name)
    verdict = verdicts(CASE)[DEQUANTIZE]
    assert verdict.symptom is (Symptom.UNEXPECTED_EXCEPTION if words else None)
    assert verdict.how == ("OpCheckError" if words else "")
    assert words in verdict.got
    status, output, _ = execute(write_script(finding(DEQUANTIZE, "unexpected exception", CASE, how="OpCheckError")))
    assert status == (1 if words else 0)
    assert words in output


def test_what_nobody_documents_may_be_refused(plant: Callable[[str], None]) -> None:
    plant("fake_of_another_shape")
    verdict = verdicts(fields.replace(CASE, "memory.packed", Memory.OFFSET))[DEQUANTIZE]
    assert verdict.symptom is None
    assert "test_faketensor failed" in verdict.got


def test_each_op_is_handed_over_with_its_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that this device has no kernel for."""
    seen: list[tuple[str, int, list[str]]] = []

    def opcheck(op: Any, arguments: tuple[Any, ...], named: dict[str, Any], *, test_utils: tuple[str, ...]) -> None:
        assert test_utils == TESTS
        seen.append((str(op), len(arguments), sorted(named)))

    monkeypatch.setattr(torch.library, "opcheck", opcheck)
    names = ("quantize_4bit", "dequantize_4bit", "gemm_4bit", "gemv_4bit")
    namespace = {name: SimpleNamespace(default=_Op(f"{name}.default"), out=_Op(f"{name}.out")) for name in names}
    monkeypatch.setattr(torch.ops, "bitsandbytes", SimpleNamespace(**namespace))
    state = SimpleNamespace(
        absmax=torch.ones(64), nested=False, shape=torch.Size((64, 64)), blocksize=64, quant_type="nf4", code=torch.ones(16)
    )
    prepared = Prepared(CASE, LIBRARY, torch.ones(64, 64), torch.ones(2, 64), torch.ones(64), torch.ones(2048, 1), state)
    for call in (calls_opcheck.dequantize_opcheck, calls_opcheck.gemm_opcheck, calls_opcheck.gemv_opcheck):
        assert call(prepared).shape == (2,)
    assert calls_opcheck.dequantize_out_opcheck(prepared).shape == (64, 64)
    assert calls_opcheck.gemv_out_opcheck(dataclasses.replace(prepared, bias=None)).shape == (2, 64)
    assert seen == [
        ("dequantize_4bit.default", 6, []),
        ("gemm_4bit.default", 6, ["bias"]),
        ("gemv_4bit.default", 6, []),
        ("dequantize_4bit.out", 6, ["out"]),
        ("gemv_4bit.out", 6, ["out"]),
    ]


@dataclasses.dataclass(frozen=True)
class _Op:
    """An op by its name, which returns two ones."""

    name: str

    def __call__(self, *_: Any, out: Any = None, **__: Any) -> torch.Tensor | None:
        return torch.ones(2) if out is None else None

    def __str__(self) -> str:
        return self.name


def test_scripts_ask_for_the_same_tests() -> None:
    assert OPCHECKS == TESTS

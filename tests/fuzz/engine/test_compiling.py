"""What is compiled is compiled, afresh each time, and a mistake of the compiler is not taken for one of the library."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bitsandbytes import functional

from fuzz.engine.compiling import BACKEND, CompilerError, compiling, is_of_library

SWITCH = "TORCHDYNAMO_DISABLE"


def told() -> torch.Tensor:
    return torch.ones(1) * (2 if torch.compiler.is_compiling() else 1)


@pytest.mark.parametrize("disabled", [False, True])
def test_compiling_is_switched_on_and_the_switch_is_put_back(monkeypatch: pytest.MonkeyPatch, disabled: bool) -> None:  # noqa: FBT001
    if disabled:
        monkeypatch.setenv(SWITCH, "1")
    else:
        monkeypatch.delenv(SWITCH)
    with compiling():
        assert torch.compile(told, backend=BACKEND)() == 2
    assert os.environ.get(SWITCH) == ("1" if disabled else None)
    assert torch.compile(told, backend=BACKEND)() == (1 if disabled else 2)
    torch.compiler.reset()


def test_nothing_is_left_of_what_was_compiled_before() -> None:
    graphs: list[tuple[Any, ...]] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        graphs.append(tuple(type(one) for one in inputs))
        return graph.forward

    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    for size in (3, 4, 4):
        with compiling():
            assert torch.equal(torch.compile(double, backend=backend)(torch.ones(size)), torch.full((size,), 2.0))
    assert graphs == [(torch.Tensor,)] * 3  # and no size is a variable of the graph


def test_where_the_compiler_fails_its_switch_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "1")

    def fail(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:  # noqa: ARG001
        raise RuntimeError("no such instruction")

    with pytest.raises(CompilerError, match="no such instruction"), compiling():
        torch.compile(told, backend=fail)()
    assert os.environ[SWITCH] == "1"


PACKED, STATE = functional.quantize_4bit(torch.ones(4, 64), quant_type="nf4")


def product(x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.ops.bitsandbytes.gemm_4bit.default(x, PACKED, STATE.shape, STATE.absmax, 64, "nf4")
    return result


def mistaken(x: torch.Tensor) -> torch.Tensor:
    return product(x) @ torch.ones(3, 3)


@pytest.mark.skipif(not hasattr(torch.ops.bitsandbytes, "gemm_4bit"), reason="this bitsandbytes has no gemm_4bit")
@pytest.mark.parametrize(
    ("function", "length", "ours"),
    [
        pytest.param(product, 63, True, id="a fake kernel refuses"),
        pytest.param(mistaken, 64, False, id="torch refuses what the library returned"),
    ],
)
def test_who_refused(function: Callable[[torch.Tensor], torch.Tensor], length: int, ours: bool) -> None:  # noqa: FBT001
    with pytest.raises(Exception, match=r"inner dim|same reduction dim|cannot be multiplied") as refused, compiling():
        torch.compile(function, backend=BACKEND)(torch.ones(2, length))
    assert isinstance(refused.value, CompilerError) is not ours
    assert is_of_library(refused.value) is ours


def test_an_exception_of_a_kernel_is_the_librarys_also_as_a_cause() -> None:
    with pytest.raises(ValueError, match="requires both") as raised:
        functional.dequantize_4bit(PACKED, None)
    later = ValueError("later")
    assert not is_of_library(later)
    later.__cause__ = raised.value
    assert is_of_library(later)

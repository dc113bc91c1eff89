"""The switches that the bounds rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fuzz.engine import switches


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    matmul = torch.backends.cuda.matmul
    names = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction", "allow_fp16_accumulation")
    precision, before = torch.get_float32_matmul_precision(), {name: getattr(matmul, name) for name in names}
    yield
    torch.set_float32_matmul_precision(precision)
    for name, value in before.items():
        setattr(matmul, name, value)


def test_switches_take_the_values_that_the_bounds_need() -> None:
    matmul = torch.backends.cuda.matmul
    torch.set_float32_matmul_precision("high")
    matmul.allow_fp16_reduced_precision_reduction = True
    switches.set_and_check()
    assert torch.get_float32_matmul_precision() == "highest"
    assert not matmul.allow_fp16_reduced_precision_reduction
    assert not matmul.allow_bf16_reduced_precision_reduction
    assert not matmul.allow_fp16_accumulation


def test_a_switch_that_does_not_move_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    with pytest.raises(switches.SwitchError, match=r"need for float32_matmul_precision$"):
        switches.set_and_check()

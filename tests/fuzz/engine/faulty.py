"""Fused kernels with a defect each, one for every relation that is broken by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.oracle.arms import Arm
from strategies.case import Relation
from tests.fuzz.engine.subjects import Kernel, one_changed, right

SIMT: Final = right(Arm.SIMT)
"""The kernel without a defect."""


def _with_ones_for_zeros(prepared: Prepared) -> torch.Tensor:
    x = torch.where(prepared.activation == 0, 1.0, prepared.activation).to(prepared.activation.dtype)
    return SIMT(dataclasses.replace(prepared, activation=x))


def _never_negative(prepared: Prepared) -> torch.Tensor:
    return SIMT(prepared).clamp(min=0)


def _saturating(prepared: Prepared) -> torch.Tensor:
    return SIMT(prepared).clamp(-8, 8)


def _truncating_with_a_bias(prepared: Prepared) -> torch.Tensor:
    return SIMT(prepared) if prepared.bias is None else SIMT(prepared).bfloat16().half()


def _shifted_for_one_row(prepared: Prepared) -> torch.Tensor:
    """A branch of its own for one row reads one element further."""
    rows = prepared.case.activation.rows
    x = prepared.activation.roll(1, -1) if rows == 1 else prepared.activation
    return SIMT(dataclasses.replace(prepared, activation=x))


def _rows_add_up(prepared: Prepared) -> torch.Tensor:
    return SIMT(prepared).reshape(-1, prepared.case.weight.out_features).cumsum(0)


def _neighbours_output(prepared: Prepared) -> torch.Tensor:
    result = SIMT(prepared).clone()
    result[..., -1] = result[..., -2]
    return result


def _last_block_of_every_row(prepared: Prepared) -> torch.Tensor:
    """One scale a row, its last, as if blocks were rows."""
    state, outputs = prepared.own_state(), prepared.case.weight.out_features
    scales = state.absmax.reshape(outputs, -1)
    state.absmax = scales[:, -1:].expand_as(scales).flatten()
    return SIMT(dataclasses.replace(prepared, state=state))


def _always_64(prepared: Prepared) -> torch.Tensor:
    """The blocksize is a constant."""
    case = prepared.case
    quantization = dataclasses.replace(case.quantization, blocksize=64)
    return SIMT(dataclasses.replace(prepared, case=dataclasses.replace(case, quantization=quantization)))


def _elements_for_bytes(prepared: Prepared) -> torch.Tensor:
    """As many bytes are read as there are elements of the packed tensor."""
    data = prepared.packed.view(torch.uint8).flatten().clone()
    data[prepared.packed.numel() :] = 0
    return SIMT(dataclasses.replace(prepared, packed=data.reshape(-1, 1)))


def _counting() -> Kernel:
    """A kernel whose result depends on how often it was called."""
    calls = 0

    def kernel(prepared: Prepared) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return SIMT(prepared) if calls == 1 else one_changed(SIMT(prepared))

    return kernel


FAULTY: dict[Relation, Callable[[], Kernel]] = {
    Relation.RERUN: _counting,
    Relation.SIGN: lambda: _never_negative,
    Relation.ZERO_INPUT: lambda: _with_ones_for_zeros,
    Relation.SCALED_ACTIVATION: lambda: _saturating,
    Relation.SCALED_WEIGHT: lambda: _saturating,
    Relation.ZERO_BIAS: lambda: _truncating_with_a_bias,
    Relation.ROW_ALONE: lambda: _shifted_for_one_row,
    Relation.PERMUTED_ROWS: lambda: _rows_add_up,
    Relation.PERMUTED_OUTPUTS: lambda: _neighbours_output,
    Relation.APPENDED_ZEROS: lambda: _last_block_of_every_row,
    Relation.HALVED_BLOCKSIZE: lambda: _always_64,
    Relation.STORAGE_VIEW: lambda: _elements_for_bytes,
}
"""For each relation a kernel whose defect breaks it."""

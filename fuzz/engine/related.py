"""The second calls of relations: the inputs of a Case, changed in one way."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Final

import torch

from fuzz.engine.calls import Prepared
from strategies.case import Case

SECOND_GPU: Final = torch.device("cuda", 1)


def with_activation(prepared: Prepared, activation: torch.Tensor) -> Prepared:
    """With another activation of the same shape."""
    return dataclasses.replace(prepared, activation=activation)


def with_bias(prepared: Prepared, bias: torch.Tensor | None) -> Prepared:
    """With another bias."""
    return dataclasses.replace(prepared, bias=bias)


def with_scales(prepared: Prepared, factor: float) -> Prepared:
    """With every scale times `factor`; for statistics that are not compressed."""
    state = prepared.own_state()
    state.absmax = state.absmax * factor
    return dataclasses.replace(prepared, state=state)


def one_row(prepared: Prepared) -> Prepared:
    """The first row of the activation as a batch of one."""
    row = prepared.activation.reshape(-1, prepared.case.weight.in_features)[:1].contiguous()
    return dataclasses.replace(prepared, activation=row, case=_with_rows(prepared.case, 1))


def reversed_rows(prepared: Prepared) -> Prepared:
    """The rows of the activation, last first."""
    rows = prepared.activation.reshape(-1, prepared.case.weight.in_features).flip(0)
    return dataclasses.replace(prepared, activation=rows, case=_with_rows(prepared.case, len(rows)))


def permuted_outputs(prepared: Prepared) -> Prepared:
    """The outputs of weight, scales and bias, last first; a row begins with a block."""
    outputs = prepared.case.weight.out_features
    state = prepared.own_state()
    state.absmax = state.absmax.reshape(outputs, -1).flip(0).flatten()
    changed = _with_bytes(prepared, _bytes(prepared).reshape(outputs, -1).flip(0), state)
    return with_bias(changed, None if prepared.bias is None else prepared.bias.flip(0))


def appended_zeros(prepared: Prepared) -> Prepared:
    """One block more in every row, multiplied by zeros; a row begins with a block."""
    case = prepared.case
    outputs, terms, blocksize = case.weight.out_features, case.weight.in_features, case.quantization.blocksize
    state = prepared.own_state()
    state.absmax = torch.nn.functional.pad(state.absmax.reshape(outputs, -1), (0, 1), value=1.0).flatten()
    state.shape = torch.Size((outputs, terms + blocksize))
    data = torch.nn.functional.pad(_bytes(prepared).reshape(outputs, -1), (0, blocksize // 2))
    weight = dataclasses.replace(case.weight, in_features=terms + blocksize)
    activation = torch.nn.functional.pad(prepared.activation, (0, blocksize))
    changed = dataclasses.replace(_with_bytes(prepared, data, state), activation=activation)
    return dataclasses.replace(changed, case=dataclasses.replace(case, weight=weight))


def halved_blocksize(prepared: Prepared) -> Prepared:
    """Half the blocksize, and every scale twice."""
    case = prepared.case
    half = case.quantization.blocksize // 2
    state = prepared.own_state()
    state.absmax = state.absmax.repeat_interleave(2)[: -(-case.weight.elements // half)].contiguous()
    state.blocksize = half
    quantization = dataclasses.replace(case.quantization, blocksize=half)
    return dataclasses.replace(prepared, state=state, case=dataclasses.replace(case, quantization=quantization))


def storage_view(prepared: Prepared) -> Prepared:
    """The packed bytes as another dtype."""
    dtype = torch.bfloat16 if prepared.packed.dtype is torch.uint8 else torch.uint8
    return dataclasses.replace(prepared, packed=_bytes(prepared).view(dtype).reshape(-1, 1))


def on_second_gpu(prepared: Prepared) -> Prepared:
    """Everything that is read, on another GPU of the same machine."""
    state = prepared.own_state()
    if state.state2 is not None:
        state.state2 = copy.copy(state.state2)
    state.to(SECOND_GPU)
    moved = with_bias(
        with_activation(prepared, prepared.activation.to(SECOND_GPU)), None if prepared.bias is None else prepared.bias.to(SECOND_GPU)
    )
    return dataclasses.replace(moved, packed=prepared.packed.to(SECOND_GPU), state=state)


def _bytes(prepared: Prepared) -> torch.Tensor:
    return prepared.packed.clone(memory_format=torch.contiguous_format).view(torch.uint8).flatten()


def _with_bytes(prepared: Prepared, data: torch.Tensor, state: Any) -> Prepared:
    packed = data.contiguous().flatten().view(prepared.packed.dtype).reshape(-1, 1)
    return dataclasses.replace(prepared, packed=packed, state=state)


def _with_rows(case: Case, rows: int) -> Case:
    return dataclasses.replace(case, activation=dataclasses.replace(case.activation, leading=(rows,)))

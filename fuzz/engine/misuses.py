"""Calls that cannot be right: what is spoiled, and which paths look at it.

A library owes them a Python exception. What it must not do is to compute with memory that is not there, or with numbers
that the caller did not give.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.contract import MAY_BE_TAKEN, STORED_SURFACES
from fuzz.engine.library import Library
from fuzz.engine.path import Path, Yields
from fuzz.oracle.arms import Arm
from strategies.case import Case, Mode
from strategies.misuse import OF_OUT, OF_SHAPE_OR_DTYPE, Misuse
from strategies.outs import can_be_spoilt

_OF_DTYPE: Final = frozenset({Misuse.INTEGER_ACTIVATION, Misuse.DOUBLE_ACTIVATION, Misuse.OTHER_BIAS})
_OF_ACTIVATION: Final = frozenset(
    {
        *(Misuse.SHORT_ACTIVATION, Misuse.LONG_ACTIVATION),
        *(Misuse.INTEGER_ACTIVATION, Misuse.DOUBLE_ACTIVATION, Misuse.CPU_ACTIVATION),
    }
)
_OF_BIAS: Final = frozenset({Misuse.SHORT_BIAS, Misuse.LONG_BIAS, Misuse.OTHER_BIAS})
_ASKED_IN: Final = frozenset({Mode.CALL, Mode.OUT})
"""Modes in which all wrong calls are made: what the others add, such as a backward pass, is not reached by one."""

_FEWEST_OUTPUTS: Final = 2

LINEAR: Final = "nn.Linear4bit"

_PRODUCTS_OF_TORCH: Final = frozenset({"dequantize_linear"})
"""Paths whose product is torch's: what it makes of an activation or a bias says nothing about the library."""

MAY_BE_RIGHT: Final = frozenset({*MAY_BE_TAKEN, Misuse.SHARED_OUT})
"""Misuses after which a result may be right, and is judged."""


def concerns(case: Case, path: Path, library: Library) -> bool:
    """Whether `path` reads what the Case's misuse spoils, and whether there is anything to spoil."""
    misuse = case.execution.misuse
    if misuse is Misuse.NONE:
        return True
    if case.execution.mode not in _ASKED_IN and not (case.execution.mode is Mode.TRITON and misuse in OF_SHAPE_OR_DTYPE):
        return False
    if misuse in OF_OUT:
        return _is_wrong_out(case, path, library)
    return _is_wrong_input(case, path, library)


def _is_wrong_input(case: Case, path: Path, library: Library) -> bool:
    misuse = case.execution.misuse
    multiplies = path.yields is Yields.PRODUCT and path.name not in _PRODUCTS_OF_TORCH
    if misuse in _OF_DTYPE and path.surface == LINEAR:
        return False  # the module casts activation and bias to its compute dtype
    if misuse is Misuse.DOUBLE_ACTIVATION and not library.fused and path.arms(case, library) == (Arm.LINEAR,):
        return False  # before 0.50 MatMul4Bit.forward converts the weight to the activation's dtype, whichever it is, for torch
    if misuse in _OF_ACTIVATION:
        return multiplies and _is_wrong_activation(case, library)
    if misuse in _OF_BIAS:
        # A bias of a single element is one for all outputs.
        return case.bias and case.weight.out_features > _FEWEST_OUTPUTS and multiplies and path.adds_bias
    if misuse is Misuse.HALF_ABSMAX and case.quantization.compress_statistics:
        return False  # those are 8-bit numbers
    return _has_two_blocks(case) and path.surface in STORED_SURFACES


def _is_wrong_activation(case: Case, library: Library) -> bool:
    misuse, in_features = case.execution.misuse, case.weight.in_features
    if misuse is Misuse.CPU_ACTIVATION:
        return library.device == "cuda"
    length = in_features + {Misuse.SHORT_ACTIVATION: -1, Misuse.LONG_ACTIVATION: 1}.get(misuse, 0)
    # An activation of as many features as the weight has outputs is right for a weight that was quantized as [in, out].
    return in_features > 1 and (misuse in _OF_DTYPE or length != case.weight.out_features)


def _is_wrong_out(case: Case, path: Path, library: Library) -> bool:
    misuse = case.execution.misuse
    if path.writes is None or (misuse is Misuse.CPU_OUT and library.device != "cuda"):
        return False
    if path.mode is Mode.TRITON and misuse not in OF_SHAPE_OR_DTYPE:
        return False  # it looks at shape and dtype only, and nobody says what becomes of the rest
    if misuse is Misuse.SHARED_OUT:  # the activation has room for the result
        return path.yields is Yields.PRODUCT and not case.is_empty and case.weight.out_features <= case.weight.in_features
    return can_be_spoilt(misuse, path.writes(case))


def _has_two_blocks(case: Case) -> bool:
    return case.weight.elements > case.quantization.blocksize


def misused(prepared: Prepared) -> Prepared:
    """The same with one thing wrong."""
    return _MISUSES[prepared.case.execution.misuse](prepared)


def _activation(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Prepared], Prepared]:
    return lambda prepared: dataclasses.replace(prepared, activation=change(prepared.activation))


def _bias(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Prepared], Prepared]:
    return lambda prepared: dataclasses.replace(prepared, bias=None if prepared.bias is None else change(prepared.bias))


def _short_packed(prepared: Prepared) -> Prepared:
    return dataclasses.replace(prepared, packed=prepared.packed[: len(prepared.packed) // 2])


def _short_absmax(prepared: Prepared) -> Prepared:
    state = copy.copy(prepared.state)
    state.absmax = state.absmax[:-1]
    return dataclasses.replace(prepared, state=state)


def _half_absmax(prepared: Prepared) -> Prepared:
    state = copy.copy(prepared.state)
    state.absmax = state.absmax.half()
    return dataclasses.replace(prepared, state=state)


def _other_bias(bias: torch.Tensor) -> torch.Tensor:
    return bias.to(torch.float32 if bias.dtype is not torch.float32 else torch.bfloat16)


def _foreign_state(prepared: Prepared) -> Prepared:
    state = copy.copy(prepared.state)
    state.shape = torch.Size((2 * state.shape[0], state.shape[1]))
    return dataclasses.replace(prepared, state=state)


_MISUSES: Final[dict[Misuse, Callable[[Prepared], Prepared]]] = {
    Misuse.NONE: lambda prepared: prepared,
    Misuse.SHORT_ACTIVATION: _activation(lambda x: x[..., :-1].contiguous()),
    Misuse.LONG_ACTIVATION: _activation(lambda x: torch.cat((x, x[..., :1]), dim=-1)),
    Misuse.INTEGER_ACTIVATION: _activation(lambda x: x.to(torch.int32)),
    Misuse.DOUBLE_ACTIVATION: _activation(lambda x: x.double()),
    Misuse.CPU_ACTIVATION: _activation(lambda x: x.cpu()),
    Misuse.SHORT_BIAS: _bias(lambda bias: bias[:-1]),
    Misuse.LONG_BIAS: _bias(lambda bias: torch.cat((bias, bias[:1]))),
    Misuse.OTHER_BIAS: _bias(_other_bias),
    Misuse.SHORT_PACKED: _short_packed,
    Misuse.SHORT_ABSMAX: _short_absmax,
    Misuse.HALF_ABSMAX: _half_absmax,
    Misuse.FOREIGN_STATE: _foreign_state,
    **dict.fromkeys(OF_OUT, lambda prepared: prepared),  # `fuzz.engine.outs` makes the tensor
}

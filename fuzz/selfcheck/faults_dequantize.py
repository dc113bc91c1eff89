"""Faults of dequantizing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.tensors import FLOAT_DTYPES
from fuzz.oracle.arms import Arm
from fuzz.oracle.operands import Nested
from fuzz.oracle.rounding import towards_zero_float32
from fuzz.selfcheck import edits
from fuzz.selfcheck.edits import with_absmax, with_offset, with_packed, with_state2
from fuzz.selfcheck.fault import Fault, Kernel, Spoil, Step
from fuzz.selfcheck.faults_quantize import UNEQUAL, nested, plain, several_blocks
from fuzz.selfcheck.subject import operands_of
from strategies.case import Case, FloatDType


def truncated(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """float64 cut off to `dtype` instead of rounded."""
    if dtype is torch.float32:
        return towards_zero_float32(value)
    nearest = value.float().to(dtype)
    away = nearest.double().abs() > value.abs()
    return torch.where(away, torch.nextafter(nearest, torch.zeros_like(nearest)), nearest)


def _exact(prepared: Prepared) -> torch.Tensor:
    operands = operands_of(Arm.DEQUANTIZE, prepared)
    return operands.code.double() * operands.scales[Nested.SEPARATE].double()


def _dtype(prepared: Prepared) -> torch.dtype:
    return FLOAT_DTYPES[prepared.case.weight.dtype]


def _truncating(arm: Arm, prepared: Prepared) -> torch.Tensor:  # noqa: ARG001 - one signature
    return truncated(_exact(prepared), _dtype(prepared))


def _scale_in_bfloat16(arm: Arm, prepared: Prepared) -> torch.Tensor:  # noqa: ARG001
    operands = operands_of(Arm.DEQUANTIZE, prepared)
    return (operands.code * operands.scales[Nested.SEPARATE].bfloat16().float()).to(_dtype(prepared))


def _rounded_twice(arm: Arm, prepared: Prepared) -> torch.Tensor:  # noqa: ARG001
    return _exact(prepared).float().bfloat16().to(_dtype(prepared))


def _rounded_factors(arm: Arm, prepared: Prepared) -> torch.Tensor:  # noqa: ARG001
    operands = operands_of(Arm.DEQUANTIZE, prepared)
    return operands.code.to(_dtype(prepared)) * operands.scales[Nested.SEPARATE].to(_dtype(prepared))


def _code_entry_off(arm: Arm, prepared: Prepared) -> torch.Tensor:  # noqa: ARG001
    operands = operands_of(Arm.DEQUANTIZE, prepared)
    entry = operands.code.flatten()[0]
    code = torch.where(operands.code == entry, operands.code * 1.01, operands.code)
    return (code * operands.scales[Nested.SEPARATE]).to(_dtype(prepared))


def _tail_dropped(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    flat = result.flatten().clone()
    flat[-(len(flat) % 64 or 64) :] = 0
    return flat.reshape(result.shape)


def _last_not_written(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    flat = result.flatten().clone()
    flat[-1] = 7.0  # whatever lay there before
    return flat.reshape(result.shape)


def _transposed(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    return result.t().contiguous().reshape(result.shape)


def _narrow(case: Case) -> bool:
    return case.weight.dtype is not FloatDType.FLOAT32 and case.weight.fill in UNEQUAL


def _not_bfloat16(case: Case) -> bool:
    return case.weight.dtype is not FloatDType.BFLOAT16 and case.weight.fill in UNEQUAL


def _matrix(case: Case) -> bool:
    return min(case.weight.stored_shape) > 1 and case.weight.fill in UNEQUAL


def _corrupt(name: str, corrupt: Callable[[Prepared, torch.Generator], Prepared], applies: Callable[[Case], bool]) -> Fault:
    return Fault(name=name, step=Step.DEQUANTIZE, corrupt=corrupt, applies=applies)


def _kernel(name: str, kernel: Kernel, applies: Callable[[Case], bool]) -> Fault:
    return Fault(name=name, step=Step.DEQUANTIZE, kernel=kernel, applies=applies)


def _spoil(name: str, spoil: Spoil, applies: Callable[[Case], bool]) -> Fault:
    return Fault(name=name, step=Step.DEQUANTIZE, spoil=spoil, applies=applies)


def _unequal(case: Case) -> bool:
    return case.weight.fill in UNEQUAL


FAULTS: Final = (
    _corrupt("one block takes its neighbour's scale", lambda p, g: with_absmax(p, edits.neighbours_scale, g), plain),
    _corrupt("scale index off by one", lambda p, g: with_absmax(p, edits.shifted_scales, g), several_blocks),
    _corrupt("nibbles of one byte swapped", lambda p, g: with_packed(p, edits.swapped_nibbles, g), several_blocks),
    _corrupt("lowest bit of one code flipped", lambda p, g: with_packed(p, edits.flipped_bit, g), several_blocks),
    _corrupt("nested: offset forgotten", lambda p, g: with_offset(p, torch.zeros_like), nested),  # noqa: ARG005
    _corrupt("nested: outer scale halved", lambda p, g: with_state2(p, "absmax", lambda a: a / 2), nested),  # noqa: ARG005
    _kernel("one code entry 1 % off", _code_entry_off, _unequal),
    _kernel("output truncated instead of rounded", _truncating, _narrow),
    _kernel("scale rounded to bfloat16", _scale_in_bfloat16, _unequal),
    _kernel("rounded to bfloat16 on the way", _rounded_twice, _not_bfloat16),
    _kernel("code and scale rounded before they are multiplied", _rounded_factors, _narrow),
    _spoil("tail of the tensor dropped", _tail_dropped, _unequal),
    _spoil("last element not written", _last_not_written, lambda case: True),  # noqa: ARG005
    _spoil("returned transposed in memory", _transposed, _matrix),
)

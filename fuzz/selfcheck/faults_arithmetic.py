"""Faults of arithmetic: a kernel that rounds where it should not, or not where it should."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.oracle.arms import Arm
from fuzz.oracle.emulate import ROUNDS_PRODUCTS, products, weights
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.ordered import add, finish
from fuzz.oracle.tensor_core import HOPPER
from fuzz.selfcheck.fault import PRODUCT_ARMS, Fault, Kernel, Step
from fuzz.selfcheck.faults_dequantize import truncated
from fuzz.selfcheck.faults_product import dense
from fuzz.selfcheck.subject import operands_of
from strategies.case import Case, FloatDType

_SCALES: Final = {Arm.SIMT: Nested.FUSED, Arm.TENSOR_CORE: Nested.FUSED, Arm.GEMV: Nested.SEPARATE, Arm.LINEAR: Nested.SEPARATE}
_ROUNDED_EVERY: Final = 64
"""Terms after which a faulty kernel rounds its sum to 16 bit."""


def _sum(arm: Arm, activation: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The sum in the kernel's own order, so that nothing but the planted fault is another; LINEAR has no order of its own."""
    if arm is Arm.LINEAR:
        return torch.nn.functional.linear(activation, weight)
    return add(arm, activation, weight, HOPPER)


def _output(total: torch.Tensor, operands: Operands, prepared: Prepared) -> torch.Tensor:
    return finish(total.float(), operands.bias, operands.activation.dtype).reshape(prepared.case.output_shape)


def _with(change: Callable[[Arm, Operands], tuple[torch.Tensor, torch.Tensor]]) -> Kernel:
    """A kernel that multiplies another activation, or another weight."""

    def kernel(arm: Arm, prepared: Prepared) -> torch.Tensor:
        operands = operands_of(arm, prepared)
        activation, weight = change(arm, operands)
        if arm is Arm.LINEAR:
            shaped = activation.reshape(prepared.activation.shape)
            return torch.nn.functional.linear(shaped, weight, operands.bias)
        return _output(_sum(arm, activation, weight), operands, prepared)

    return kernel


def _weight(arm: Arm, operands: Operands) -> torch.Tensor:
    return weights(arm, operands, _SCALES[arm])


def _truncating(arm: Arm, prepared: Prepared) -> torch.Tensor:
    operands = operands_of(arm, prepared)
    if arm is Arm.LINEAR:
        total = operands.activation.double() @ _weight(arm, operands).double().t()
    else:
        total = _sum(arm, operands.activation, _weight(arm, operands)).double()
    if operands.bias is not None:
        total = total + operands.bias.double()
    return truncated(total, operands.activation.dtype).reshape(prepared.case.output_shape)


def _sums_in_16_bit(arm: Arm, prepared: Prepared) -> torch.Tensor:
    operands = operands_of(arm, prepared)
    terms = products(arm, operands.activation, _weight(arm, operands)).float()
    total = torch.zeros_like(terms[..., 0]).to(operands.activation.dtype)
    for step in range(terms.shape[-1]):
        total = (total.float() + terms[..., step]).to(total.dtype)
    return _output(total, operands, prepared)


def _sums_rounded_now_and_then(arm: Arm, prepared: Prepared) -> torch.Tensor:
    operands = operands_of(arm, prepared)
    terms = products(arm, operands.activation, _weight(arm, operands)).double()
    total = torch.zeros_like(terms[..., 0])
    for first in range(0, terms.shape[-1], _ROUNDED_EVERY):
        total = (total + terms[..., first : first + _ROUNDED_EVERY].sum(-1)).float().to(operands.activation.dtype).double()
    return _output(total, operands, prepared)


def _scale_in_bfloat16(arm: Arm, operands: Operands) -> tuple[torch.Tensor, torch.Tensor]:
    scales = {nested: scale.bfloat16().float() for nested, scale in operands.scales.items()}
    return operands.activation, _weight(arm, dataclasses.replace(operands, scales=scales))


def _code_entry_off(arm: Arm, operands: Operands) -> tuple[torch.Tensor, torch.Tensor]:
    entry = operands.code.abs().max()
    code = torch.where(operands.code.abs() == entry, operands.code * 1.01, operands.code)
    return operands.activation, _weight(arm, dataclasses.replace(operands, code=code))


def _weights_truncated(arm: Arm, operands: Operands) -> tuple[torch.Tensor, torch.Tensor]:
    exact = operands.code.double() * operands.scales[_SCALES[arm]].double()
    return operands.activation, truncated(exact, operands.activation.dtype)


def _other_rounding(arm: Arm, operands: Operands) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights as the other kind of kernel rounds them: factors first, or the product once."""
    return operands.activation, _weight(Arm.TENSOR_CORE if arm in ROUNDS_PRODUCTS else Arm.SIMT, operands)


def _tf32(value: torch.Tensor) -> torch.Tensor:
    """Cut off to ten fractional bits."""
    return (value.view(torch.int32) & ~0x1FFF).view(torch.float32)


def _inputs_in_tf32(arm: Arm, operands: Operands) -> tuple[torch.Tensor, torch.Tensor]:
    return _tf32(operands.activation), _tf32(_weight(arm, operands))


def _activation_in_bfloat16(arm: Arm, operands: Operands) -> tuple[torch.Tensor, torch.Tensor]:
    return operands.activation.bfloat16().to(operands.activation.dtype), _weight(arm, operands)


def _narrow(case: Case) -> bool:
    return case.activation_dtype is not FloatDType.FLOAT32 and dense(case)


def _wide(case: Case) -> bool:
    return case.activation_dtype is FloatDType.FLOAT32 and dense(case)


def _not_bfloat16(case: Case) -> bool:
    return case.activation_dtype is not FloatDType.BFLOAT16 and dense(case)


def _fault(name: str, kernel: Kernel, applies: Callable[[Case], bool], arms: tuple[Arm, ...] = PRODUCT_ARMS) -> Fault:
    return Fault(name=name, step=Step.PRODUCT, arms=arms, kernel=kernel, applies=applies)


FAULTS: Final = (
    _fault("output truncated instead of rounded", _truncating, _narrow),
    _fault("sums in 16 bit", _sums_in_16_bit, _narrow),
    _fault("sums rounded to 16 bit every 64 terms", _sums_rounded_now_and_then, _narrow),
    _fault("scale rounded to bfloat16", _with(_scale_in_bfloat16), _not_bfloat16),
    _fault("one code entry 1 % off", _with(_code_entry_off), dense),
    _fault("weights truncated instead of rounded", _with(_weights_truncated), _narrow, (Arm.TENSOR_CORE, Arm.LINEAR)),
    _fault("weights rounded as the other kernel does", _with(_other_rounding), _narrow),
    _fault("inputs in TF32", _with(_inputs_in_tf32), _wide, (Arm.SIMT, Arm.GEMV, Arm.LINEAR)),
    _fault("activation in bfloat16", _with(_activation_in_bfloat16), _not_bfloat16),
)

"""The right kernels that faults are planted in: emulated bit for bit, or those of the GPU."""

from __future__ import annotations

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.path import Path
from fuzz.engine.paths import BY_NAME
from fuzz.engine.references import References
from fuzz.engine.tensors import FLOAT_DTYPES, Inputs
from fuzz.oracle.arms import Arm
from fuzz.oracle.expected import Arithmetic, expected
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.tensor_core import HOPPER

PATHS = {Arm.GEMV: BY_NAME["gemv_4bit"], Arm.DEQUANTIZE: BY_NAME["dequantize_4bit"], Arm.LINEAR: BY_NAME["dequantize_linear"]}


def path_of(arm: Arm) -> Path:
    """The path that a kernel's results are judged as; the fused kernels are reached by `matmul_4bit`."""
    return PATHS.get(arm, BY_NAME["matmul_4bit"])


def operands_of(arm: Arm, prepared: Prepared) -> Operands:
    """What a kernel multiplies when it is given `prepared`."""
    return References(_inputs(prepared), prepared).operands(path_of(arm))


def emulated(arm: Arm, prepared: Prepared) -> torch.Tensor:
    """The result of `arm`, bit for bit as it was calibrated on an H200 (`fuzz/oracle/calibrations`)."""
    references = References(_inputs(prepared), prepared)
    if arm is Arm.DEQUANTIZE:
        return references.weight(FLOAT_DTYPES[prepared.case.weight.dtype])
    if arm is Arm.LINEAR:
        return references.linear(path_of(arm))
    arithmetic = Arithmetic(arm=arm, nested=Nested.SEPARATE if arm is Arm.GEMV else Nested.FUSED, core=HOPPER, ordered=True)
    return expected(arithmetic, references.operands(path_of(arm))).low.reshape(prepared.case.output_shape)


def real(arm: Arm, prepared: Prepared) -> torch.Tensor:
    """The result of the loaded bitsandbytes on the path of `arm`."""
    return path_of(arm).run(prepared).detach()


def _inputs(prepared: Prepared) -> Inputs:
    return Inputs(prepared.weight, prepared.activation, prepared.bias)

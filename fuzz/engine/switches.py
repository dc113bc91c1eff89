"""The torch switches that the bounds rely on: set once in the child, and checked."""

from __future__ import annotations

import torch


class SwitchError(RuntimeError):
    """A switch did not take the value that the bounds need."""


def set_and_check() -> None:
    """Make dense products keep float32 accumulation and IEEE inputs.

    Reduced-precision reductions round partial sums to 16 bits, half accumulation does so throughout, TF32 drops 13 bits
    of float32 inputs: each would need a term of its own in the bound of the dense arm.

    Raises:
        SwitchError: a switch kept another value.
    """
    matmul = torch.backends.cuda.matmul
    torch.set_float32_matmul_precision("highest")
    matmul.allow_fp16_reduced_precision_reduction = False
    matmul.allow_bf16_reduced_precision_reduction = False
    matmul.allow_fp16_accumulation = False
    wrong = [
        name
        for name, value in {
            "float32_matmul_precision": torch.get_float32_matmul_precision() != "highest",
            "allow_fp16_reduced_precision_reduction": matmul.allow_fp16_reduced_precision_reduction,
            "allow_bf16_reduced_precision_reduction": matmul.allow_bf16_reduced_precision_reduction,
            "allow_fp16_accumulation": matmul.allow_fp16_accumulation,
        }.items()
        if value
    ]
    if wrong:
        raise SwitchError(f"torch did not accept the value that the bounds need for {', '.join(wrong)}")

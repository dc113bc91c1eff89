"""The calls through `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fuzz.engine.calls import Prepared, in_view, quantized_module
from fuzz.engine.compiling import BACKEND, compiling


def matmul_compiled(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit`, with grad if the Case says so: then the backward is traced too."""
    import bitsandbytes  # noqa: PLC0415

    return _called(
        bitsandbytes.matmul_4bit,
        prepared.activation_for_autograd(),
        in_view(prepared),
        quant_state=prepared.own_state(),
        bias=prepared.bias,
    )


def dequantize_compiled(prepared: Prepared) -> torch.Tensor:
    """`functional.dequantize_4bit`."""
    from bitsandbytes import functional  # noqa: PLC0415

    return _called(functional.dequantize_4bit, in_view(prepared), prepared.own_state())


def module_compiled(prepared: Prepared) -> torch.Tensor:
    """`nn.Linear4bit`, compiled before its first call."""
    module = quantized_module(prepared).train(prepared.case.execution.grad)
    return _called(module, prepared.activation_for_autograd())


def _called(function: Callable[..., Any], *arguments: Any, **named: Any) -> torch.Tensor:
    with compiling():
        result: torch.Tensor = torch.compile(function, backend=BACKEND)(*arguments, **named)
    return result.detach()

"""The calls of a `Linear4bit` that was used and then saved and loaded, copied, pickled or cast."""

from __future__ import annotations

import copy
import io

import torch

from fuzz.engine.calls import Prepared, new_module, quantized_module


def reloaded(prepared: Prepared) -> torch.Tensor:
    """`state_dict`, then a new module with `Params4bit.from_prequantized`, as upstream's own tests load one."""
    from bitsandbytes import nn  # noqa: PLC0415

    state = _used(prepared).state_dict()
    module, data, bias = new_module(prepared), state.pop("weight"), state.pop("bias", None)
    module.weight = nn.Params4bit.from_prequantized(data=data, quantized_stats=state, device=prepared.library.device)
    if bias is not None:
        module.bias = torch.nn.Parameter(bias, requires_grad=False)
    return _called(prepared, module.to(prepared.library.device))


def copied(prepared: Prepared) -> torch.Tensor:
    """`copy.deepcopy`."""
    return _called(prepared, copy.deepcopy(_used(prepared)))


def pickled(prepared: Prepared) -> torch.Tensor:
    """`torch.save` and `torch.load` of the whole module."""
    file = io.BytesIO()
    torch.save(_used(prepared), file)
    file.seek(0)
    module: torch.nn.Module = torch.load(file, weights_only=False)
    return _called(prepared, module)


def cast(prepared: Prepared) -> torch.Tensor:
    """`.to(dtype)` with another dtype than that of the storage: what is 4-bit stays what it is."""
    other = torch.float16 if prepared.packed.dtype is not torch.float16 else torch.bfloat16
    module = _used(prepared).to(other)
    if prepared.bias is not None:
        module.bias = torch.nn.Parameter(prepared.bias, requires_grad=False)  # a bias is cast by right
    return _called(prepared, module)


def _used(prepared: Prepared) -> torch.nn.Module:
    """The module after a first call: what it keeps to itself then is to be kept too."""
    module = quantized_module(prepared)
    _called(prepared, module)
    return module


def _called(prepared: Prepared, module: torch.nn.Module) -> torch.Tensor:
    module.train(prepared.case.execution.grad)
    result: torch.Tensor = module(prepared.activation_for_autograd())
    return result.detach()

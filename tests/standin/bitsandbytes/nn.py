"""`bitsandbytes.nn`: a linear layer whose weight is quantized when it is moved to a device."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch

from .functional import QuantState, quantize_4bit
from .matmul import product
from .planted import Call, disturb


class Params4bit(torch.nn.Parameter):
    """A weight that `to` quantizes in place, the first time that it is moved to a device."""

    blocksize: int
    compress_statistics: bool
    quant_type: str
    quant_storage: torch.dtype
    module: Linear4bit | None
    quant_state: QuantState | None

    def __new__(  # noqa: PLR0913 - upstream's signature
        cls,
        data: torch.Tensor,
        requires_grad: bool = False,  # noqa: FBT001, FBT002
        *,
        blocksize: int | None = None,
        compress_statistics: bool = True,
        quant_type: str = "fp4",
        quant_storage: torch.dtype = torch.uint8,
        module: Linear4bit | None = None,
    ) -> Self:
        """A parameter that still holds `data` as it is; the other arguments are those of `quantize_4bit`."""
        self = torch.Tensor._make_subclass(cls, data, requires_grad)
        self.blocksize = 64 if blocksize is None else blocksize
        self.compress_statistics = compress_statistics
        self.quant_type, self.quant_storage = quant_type, quant_storage
        self.module, self.quant_state = module, None
        return self

    @classmethod
    def from_prequantized(cls, data: torch.Tensor, quantized_stats: dict[str, Any], device: str = "cpu") -> Self:
        """A parameter from a packed weight and what `Linear4bit` saves beside it. There is only the CPU."""
        del device
        self = cls(data)
        self.quant_state = quantized_stats["weight.quant_state"]
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy with a state of its own."""
        new = type(self)(self.data.clone(), quant_type=self.quant_type, quant_storage=self.quant_storage)
        new.blocksize, new.compress_statistics = self.blocksize, self.compress_statistics
        new.quant_state = copy.deepcopy(self.quant_state, memo)
        return new

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """A parameter that is pickled keeps its state."""
        del protocol
        return _restored, (self.data, self.quant_state)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Quantize, if that has not been done and a device is named. There is only the CPU, so nothing is moved."""
        device, *_ = torch._C._nn._parse_to(*args, **kwargs)
        if device is not None and self.quant_state is None:
            self.data, self.quant_state = quantize_4bit(
                self.data.contiguous(),
                blocksize=self.blocksize,
                compress_statistics=self.compress_statistics,
                quant_type=self.quant_type,
                quant_storage=self.quant_storage,
            )
        return self


def _restored(data: torch.Tensor, state: QuantState | None) -> Params4bit:
    new = Params4bit(data)
    new.quant_state = state
    return new


class Linear4bit(torch.nn.Linear):
    """A linear layer with a 4-bit weight."""

    weight: Params4bit

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:  # noqa: FBT001
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight.quant_state"] = self.weight.quant_state

    def __init__(  # noqa: PLR0913, PLR0917 - upstream's signature
        self,
        input_features: int,
        output_features: int,
        bias: bool = True,  # noqa: FBT001, FBT002
        compute_dtype: torch.dtype | None = None,
        compress_statistics: bool = True,  # noqa: FBT001, FBT002
        quant_type: str = "fp4",
        quant_storage: torch.dtype = torch.uint8,
    ) -> None:
        super().__init__(input_features, output_features, bias)
        self.compute_dtype = compute_dtype
        self.weight = Params4bit(
            self.weight.data,
            compress_statistics=compress_statistics,
            quant_type=quant_type,
            quant_storage=quant_storage,
            module=self,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x @ W.T + bias`, computed in `compute_dtype` and returned in the dtype of `x`.

        Raises:
            RuntimeError: the weight was not quantized yet.
        """
        state = self.weight.quant_state
        if state is None:
            raise RuntimeError("the weight is quantized when the layer is moved to a device; call .to(device) first")
        inner = x.to(self.compute_dtype or x.dtype)
        bias: torch.Tensor | None = self.bias
        bias = None if bias is None else bias.to(inner.dtype)
        # Not through `matmul_4bit`: a fault there must not show here.
        result = product(inner, self.weight.data, state, bias).to(x.dtype)
        return disturb("nn.Linear4bit", Call(state.shape, state.blocksize, state.quant_type, state.nested, x, bias), result)

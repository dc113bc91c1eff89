"""What is needed beside the packed weight to undo a quantization."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass
class QuantState:
    """Statistics and arguments of a quantization, with upstream's names.

    Attributes:
        absmax: one scale a block; with compressed statistics their 8-bit codes.
        offset, state2: mean of the scales and the state of their own quantization; None without compressed statistics.
        nested: whether the statistics are compressed.
    """

    absmax: torch.Tensor
    shape: torch.Size
    code: torch.Tensor
    blocksize: int
    quant_type: str
    dtype: torch.dtype
    offset: torch.Tensor | None = None
    state2: QuantState | None = None
    nested: bool = field(init=False)

    def __post_init__(self) -> None:
        self.nested = self.state2 is not None

"""Results that go to a tensor of the caller."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def check_out(out: torch.Tensor, shape: Sequence[int], like: torch.Tensor) -> None:
    """Refuse a tensor that cannot take a result.

    Raises:
        ValueError: it is not of this shape, or not of the dtype and on the device of `like`.
    """
    if (tuple(out.shape), out.dtype, out.device) != (tuple(shape), like.dtype, like.device):
        given = f"{tuple(out.shape)}, {out.dtype} on {out.device}"
        raise ValueError(f"out is {given}; the result is {tuple(shape)}, {like.dtype} on {like.device}")


def written(result: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    """The result, in `out` where one is given.

    Raises:
        ValueError: `out` cannot take it.
        RuntimeError: several elements of `out` are one in memory.
    """
    if out is None:
        return result
    check_out(out, result.shape, result)
    return out.copy_(result)

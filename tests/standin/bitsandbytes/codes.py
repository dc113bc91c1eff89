"""The code tables: two of 4 bits, and the 8-bit dynamic map that compressed statistics use."""

from __future__ import annotations

from typing import Final

import torch

_TABLES: Final[dict[str, list[float]]] = {
    "nf4": [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ],
    "fp4": [sign * value / 12.0 for sign in (1.0, -1.0) for value in (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)],
}

_DECADES: Final = 7
"""Decades of the signed 8-bit dynamic map; decade i is divided into 2**i parts."""


def get_4bit_type(typename: str, device: torch.device | str | None = None, blocksize: int = 64) -> torch.Tensor:  # noqa: ARG001 - as upstream
    """The sixteen values of a 4-bit code, in the order of their bit patterns.

    Raises:
        NotImplementedError: no such code.
    """
    if typename not in _TABLES:
        raise NotImplementedError(f"Typename {typename} not supported")
    return torch.tensor(_TABLES[typename], dtype=torch.float32, device=device)


def create_dynamic_map() -> torch.Tensor:
    """The 256 values of the signed 8-bit dynamic code, ascending."""
    values = [0.0, 1.0]
    for decade in range(_DECADES):
        edges = torch.linspace(0.1, 1, 2**decade + 1, dtype=torch.float64)
        middles = (edges[:-1] + edges[1:]) / 2 * 10.0 ** (decade - _DECADES + 1)
        values += [*middles.tolist(), *(-middles).tolist()]
    return torch.tensor(sorted(values), dtype=torch.float32)


def nearest(values: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """The index (uint8) of the entry of `code` that is nearest to each of `values`; `code` need not be sorted."""
    ascending, order = torch.sort(code)
    middles = (ascending[:-1] + ascending[1:]) / 2
    return order[torch.bucketize(values, middles)].to(torch.uint8)

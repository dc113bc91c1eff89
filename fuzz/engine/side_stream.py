"""The side stream of this process. Scripts quote the function."""

from __future__ import annotations

import functools

import torch


@functools.cache
def side_stream() -> torch.cuda.Stream:
    """One for all calls: for each stream that cuBLAS was called on torch keeps a workspace, of 32 MiB on some GPUs."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]

"""What the caller has set before a call, and what the library may have kept of earlier ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from fuzz.engine.tensors import FLOAT_DTYPES
from strategies.case import Case


@contextlib.contextmanager
def ambient(case: Case) -> Iterator[None]:
    """Torch's default dtype as the Case has it; references and verdicts are made outside.

    Where a size is zero, what torch allocates is NaN: a result of nothing is often not written at all, and what lay in
    its memory before may look right.
    """
    before, deterministic = torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    torch.set_default_dtype(FLOAT_DTYPES[case.execution.default_dtype])
    if case.is_empty:
        # Documented: torch.utils.deterministic.fill_uninitialized_memory, which is on by default, then fills with NaN.
        torch.use_deterministic_algorithms(True, warn_only=True)  # noqa: FBT003 - torch's signature
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        torch.use_deterministic_algorithms(deterministic)


def forget() -> None:
    """Empty the cache of 8-bit maps, which keep the default dtype of the moment when they were made.

    Otherwise a Case would be judged by what another one in the same process had set.
    """
    from bitsandbytes import functional  # noqa: PLC0415 - importing it initialises CUDA, which only the child may do

    functional.name2qmap.clear()

"""What the caller has set before a call, and what the library may have kept of earlier ones."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Final

import torch

from fuzz.engine.tensors import FLOAT_DTYPES
from strategies.case import Case, FloatDType

TABLES: Final = (("functional", "name2qmap"), ("backends.utils", "_code_4bit_cache"), ("backends.default.ops", "_get_4bit_quantize_bounds"))
"""Where bitsandbytes keeps tables from call to call: modules, and the names of dictionaries and cached functions in them."""


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


@contextlib.contextmanager
def own_tables(case: Case) -> Iterator[None]:
    """Nothing that the library keeps from call to call comes from another Case, nor goes on to one.

    It makes its tables in torch's default dtype of the moment and keeps them, so that a Case with another default dtype
    would spoil those after it, and would not fail itself where an earlier one has made them.
    """
    if case.execution.default_dtype is FloatDType.FLOAT32:
        yield
        return
    forget()
    try:
        yield
    finally:
        forget()


def forget() -> None:
    """Drop the tables that the library keeps, as far as this release has them and has loaded what keeps them."""
    for module, name in TABLES:
        kept: Any = getattr(sys.modules.get(f"bitsandbytes.{module}"), name, None)
        if kept is not None:
            kept.clear() if isinstance(kept, dict) else kept.cache_clear()

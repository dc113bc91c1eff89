"""What cannot be asked of a device, with the reason: values of a Case that mean nothing there."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from hypothesis.strategies import SearchStrategy

from strategies import fields
from strategies.case import Case, CudaStream, Mode

UNREACHABLE: Final[Mapping[str, Mapping[tuple[str, Any], str]]] = MappingProxyType(
    {
        "cpu": MappingProxyType(
            {
                ("execution.mode", Mode.GRAPH): "a CPU has no CUDA graphs",
                ("execution.stream", CudaStream.SIDE): "a CPU has no CUDA streams",
                ("execution.mode", Mode.GIANT): "no run may take the memory of the whole machine",
            }
        ),
        "cuda": MappingProxyType({}),
    }
)
"""Reasons by device, "cpu" or "cuda", and then by the name and the value of a field."""


def reachable(case: Case, device: str) -> Case:
    """The Case with everything neutral that means nothing on `device`: what is left asks the same there."""
    for name, value in UNREACHABLE[device]:
        if fields.get(case, name) is value:
            case = fields.replace(case, name, fields.neutral(name))
    return case


def reaching(strategy: SearchStrategy[Case], device: str) -> SearchStrategy[Case]:
    """The Cases of a strategy as far as they mean something on `device`."""
    return strategy.map(functools.partial(reachable, device=device)) if UNREACHABLE[device] else strategy


def reasons(device: str, *, giant: bool = True) -> dict[str, str]:
    """Why classes of Cases cannot be run on `device`, by "field=class"; `giant`: whether the run has a place for giants."""
    apart = {} if giant else {("execution.mode", Mode.GIANT): "giants have a profile of their own"}
    return {f"{name}={fields.json_value(value)}": reason for (name, value), reason in {**apart, **UNREACHABLE[device]}.items()}

"""The script of a call that writes beside the memory that it allocates: the engine's own guards, quoted."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from reports.finding import ALLOCATED, Finding


def is_about_allocations(finding: Finding) -> bool:
    """Whether it is the library's own memory that is overrun."""
    return finding.how == ALLOCATED


def allocations_imports(finding: Finding) -> list[str]:
    """What the quoted class needs, beside torch."""
    if not is_about_allocations(finding):
        return []
    return ["import contextlib", "from collections.abc import Callable, Iterator", "from typing import Any", "from unittest import mock"]


def allocations_source(finding: Finding) -> str:
    """The class that puts guards around what is allocated; empty where it is not about that."""
    if not is_about_allocations(finding):
        return ""
    from fuzz.engine import allocations  # noqa: PLC0415 - imports torch, which a run without findings does not need

    constants = f"GUARD = {allocations.GUARD}  # bytes on each side\nCANARY = {allocations.CANARY}  # every byte of a guard"
    return f"{constants}\n\n\n{inspect.getsource(allocations.Allocations).strip()}\n"


def allocations_check(finding: Finding, call: Sequence[str]) -> str:
    """The call between guards, and what became of them."""
    synchronize = ["        torch.cuda.synchronize()"] if finding.system["device"] == "cuda" else []
    return "\n".join(
        [
            "allocations = Allocations()",
            "try:",
            "    with allocations.guarded():",
            *(f"        {line}" for line in call),
            *synchronize,
            "except Exception as error:",
            '    print(f"raised:   {type(error).__name__}: {error}")',
            "overrun = allocations.overrun()",
            f'print("expected: {finding.expected}")',
            """print(f"got:      {overrun or 'nothing was'}")""",
            "sys.exit(bool(overrun))",
        ]
    )

"""Conditions that make a race show which seldom shows otherwise. Without torch, because the parent chooses among them."""

from __future__ import annotations

import enum
from typing import Final

REPETITIONS: Final = 20
"""Calls in one process: what fails in one call of ten is then missed in one process of eight, not in nine of ten."""


class Provocation(enum.Enum):
    """How a call is made. The value says it to people."""

    NONE = "as it is"
    REPETITION = f"the call repeated {REPETITIONS} times in one process"
    PENDING_PRODUCER = "the inputs still being written on the stream when the call is made"  # on a GPU only

    @property
    def calls(self) -> int:
        """How often a call is made and judged; it ends with the first that fails."""
        return REPETITIONS if self is Provocation.REPETITION else 1


def provocations(device: str) -> tuple[Provocation, ...]:
    """Those that mean something on `device`, "cpu" or "cuda", beginning with none: a CPU has no streams."""
    return tuple(Provocation) if device == "cuda" else (Provocation.NONE, Provocation.REPETITION)

"""Says how often a failure that comes and goes shows, as it is and under conditions that make a race show."""

from __future__ import annotations

from typing import Final

from fuzz.engine.child import now
from fuzz.engine.executor import Executor
from fuzz.engine.provocation import Provocation, provocations
from fuzz.engine.verdict import FailureKey, Symptom
from fuzz.triage.verify import selection
from strategies.case import Case

ATTEMPTS: Final = 10
"""Fresh processes for each condition: one that fails in half of them fails in 1 to 9 of 10 with 99.8 %."""

SECONDS: Final = 120.0
"""Time for all conditions together: 30 processes of up to 4 s each."""

RACE_LIKE: Final = frozenset(
    {Symptom.WRONG_VALUE, Symptom.BROKEN_RELATION, Symptom.RANGE_DIVERGENCE, Symptom.OUT_OF_BOUNDS, Symptom.CONTEXT_LOST}
)
"""Symptoms that a race can have: memory was read or written at the wrong time. The others do not depend on what it holds."""

WAITS: Final = frozenset({"linear4bit"})
"""Paths that wait for the stream before the call that matters, so that no input is still being written then: the module
quantizes a weight that comes from the CPU. `matmul_4bit` runs the same kernels."""


def provoke(  # noqa: PLR0913 - a failure, where it shows, and how long to try
    case: Case, key: FailureKey, device: str, watchdog: float, attempts: int = ATTEMPTS, *, seconds: float = SECONDS
) -> dict[str, str]:
    """How often `key` shows under each condition, such as {"as it is": "2 of 10"}.

    Args:
        case: the input, minimal.
        key: the failure.
        device: "cpu" or "cuda".
        watchdog: seconds of silence that make a hang.
        attempts: fresh processes for each condition.
        seconds: after which no other process is started; a condition that had none is left out.

    Raises:
        HarnessError: a child cannot be started.
    """
    shown: dict[Provocation, list[bool]] = {provocation: [] for provocation in conditions(key, device)}
    until = now() + seconds
    # In rounds, so that what there was time for is comparable.
    for provocation in [*shown] * attempts:
        if now() >= until:
            break
        with Executor(device, watchdog, spares=0) as executor:
            result = executor.run(case, selection(key), provocation=provocation)
        shown[provocation].append(result.failure(key) is not None)
    return {provocation.value: f"{sum(seen)} of {len(seen)}" for provocation, seen in shown.items() if seen}


def conditions(key: FailureKey, device: str) -> tuple[Provocation, ...]:
    """What is worth trying: only a race can be provoked."""
    if key.symptom not in RACE_LIKE:
        return (Provocation.NONE,)
    without = Provocation.PENDING_PRODUCER if key.path in WAITS else None
    return tuple(provocation for provocation in provocations(device) if provocation is not without)

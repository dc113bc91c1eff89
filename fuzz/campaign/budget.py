"""Time: how long the run may take and when to stop drawing."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Final

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smh])")


def parse_duration(text: str) -> float:
    """Seconds of "30s", "10m", "2h".

    Raises:
        ValueError: anything else, or nothing at all.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a duration; write 30s, 10m or 2h")
    return seconds


@dataclass(frozen=True, slots=True)
class Budget:
    """A span of time that began when this was made; seconds, monotonic."""

    seconds: float
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds until the end, negative afterwards."""
        return self.seconds - self.elapsed

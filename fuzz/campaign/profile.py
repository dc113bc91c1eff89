"""Profiles: what a run includes where no option says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from fuzz.engine.executor import DEFAULT_WATCHDOG


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a run includes.

    Attributes:
        budget: seconds for the whole run.
        watchdog: seconds of silence of one call that count as a hang.
        slow: whether properties are searched of which one Case costs a good part of a second, such as a compilation. In
            the others they are from a budget of `LONG` seconds on, each `RARELY` times as seldom as its share says.
        wide: whether some results are as wide as `strategies.wide` says, for the larger tiles of the tensor-core kernel.
        large: whether some weights are as large as `strategies.large` says. Their references take seconds on the CPU.
        giant: whether weights of more elements than 32 bits count are what is searched, and nothing else is.
        survey: whether some Cases are run again under the profiler at the end, to say which kernels were launched.
    """

    budget: float
    watchdog: float = DEFAULT_WATCHDOG
    slow: bool = False
    wide: bool = False
    large: bool = False
    survey: bool = False
    giant: bool = False


LONG: Final = 300.0
RARELY: Final = 4

DEFAULT: Final = "default"
PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "smoke": Profile(budget=30.0),  # does it run at all: for each push
        DEFAULT: Profile(budget=60.0),
        "nightly": Profile(budget=30 * 60.0, watchdog=60.0, slow=True, wide=True, survey=True),
        "deep": Profile(budget=2 * 3600.0, watchdog=180.0, slow=True, wide=True, large=True, survey=True),
        "giant": Profile(budget=15 * 60.0, watchdog=120.0, giant=True),
    }
)
"""Every profile by its name, the shortest first, and last what has nothing in common with the others."""

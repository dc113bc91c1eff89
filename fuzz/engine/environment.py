"""Names of environment variables that parent and children share."""

from __future__ import annotations

from typing import Final

PRELOAD_BITSANDBYTES: Final = "FUZZ_PRELOAD_BITSANDBYTES"
"""Set in the environment of the fork server: "1" when the run is on the CPU, so that bitsandbytes can be preloaded."""

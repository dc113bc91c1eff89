"""`python -m fuzz.fleet.leashed OPTION...`: pytest that ends with the process that started it.

Without this a shard whose worker process was killed would go on to the end of its budget, on a GPU that the cluster takes
for free. And Ctrl-C reaches it: Ray blocks SIGINT in all that it starts, and a process inherits that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""Of Linux, see prctl(2); it survives `execv`."""


def main() -> None:
    """Become pytest; SIGINT ends it, with a report, when the parent ends."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT))
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])  # noqa: S606 - our own arguments


if __name__ == "__main__":
    main()

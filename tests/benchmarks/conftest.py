"""Settings of these tests."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors are tiny, and threads that wait for them spin

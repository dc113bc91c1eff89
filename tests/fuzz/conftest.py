"""Settings of these tests: reproducible property tests, and no compilation of what bitsandbytes wraps in torch.compile."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors are tiny, and threads that wait for them spin
settings.register_profile("harness", deadline=None, derandomize=True, database=None)
settings.load_profile("harness")

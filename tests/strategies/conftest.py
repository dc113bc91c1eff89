"""Settings of these tests: reproducible property tests, and no compilation of what bitsandbytes wraps in torch.compile."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
settings.register_profile("harness", deadline=None, derandomize=True, database=None)
settings.load_profile("harness")

"""`python -m fuzz doctor` on a GPU: it sees it, and does not initialise CUDA in its own process."""

from __future__ import annotations

import pytest

from fuzz.__main__ import main
from fuzz.engine.driver import has_driver, uses_cuda

pytestmark = pytest.mark.gpu


def test_the_gpu_is_seen_by_a_child_only(capsys: pytest.CaptureFixture[str]) -> None:
    if not has_driver():
        pytest.skip("no NVIDIA driver")
    before = uses_cuda()
    assert main(["doctor", "--device", "cuda"]) == 0
    assert uses_cuda() is before
    lines = capsys.readouterr().out.splitlines()
    (gpu,) = (line for line in lines if "GPU  " in line)
    assert gpu.startswith("ok")
    assert "compute capability" in gpu
    assert any("libbitsandbytes_cuda" in line for line in lines)

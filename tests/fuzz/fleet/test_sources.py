"""What the nodes are sent."""

from __future__ import annotations

import os
import subprocess
import sys

from fuzz.fleet.sources import staged


def test_it_is_enough_for_a_run_and_small() -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name != "PYTHONPATH"}
    with staged() as folder:
        command = [sys.executable, "-m", "pytest", "fuzz/", "--collect-only", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "fuzz/test_gemv_matrix.py::" in done.stdout
        files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert sum(path.stat().st_size for path in files) < 10_000_000
        assert not (folder / "reports" / "out").exists()
    assert not folder.exists()

"""A run of `pytest fuzz/` that is a short script instead."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scripted:
    """Stands in for `benchmarks.runs.Run`: the script is run in the folder."""

    script: str

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", self.script], cwd=folder)

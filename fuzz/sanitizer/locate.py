"""Where compute-sanitizer is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NAME: Final = "compute-sanitizer"

TOOLKIT: Final = Path("/usr/local/cuda/bin")
"""Where NVIDIA's packages install tools without putting them on PATH."""

PACKAGE: Final = "nvidia-cuda-sanitizer-api"
"""The Python package that has it for CUDA 13, in `nvidia/cu13/bin`. That for CUDA 12 (nvidia-cuda-sanitizer-api-cu12 12.9.79)
installs a file which may not be executed, beside libraries that it does not find."""


def find() -> Path | None:
    """The sanitizer: on PATH, of the toolkit in CUDA_HOME, of the toolkit in its usual place, or of a Python package; None if nowhere."""
    found = (shutil.which(NAME, path=folders) for folders in _places())
    return next((Path(file) for file in found if file), None)


def missing() -> str:
    """Where it was looked for in vain, and how to get it."""
    return f"neither on PATH nor in $CUDA_HOME/bin, {TOOLKIT} or the package {PACKAGE}"


def _places() -> Iterator[str]:
    yield os.environ.get("PATH", os.defpath)
    if home := os.environ.get("CUDA_HOME"):
        yield str(Path(home) / "bin")
    yield str(TOOLKIT)
    yield from _packages()


def _packages() -> Iterator[str]:
    """The folders of programs in NVIDIA's Python packages, of the highest CUDA version first."""
    spec = importlib.util.find_spec("nvidia")
    for root in [] if spec is None else spec.submodule_search_locations or []:
        yield from sorted((str(folder) for folder in Path(root).glob("cu[0-9]*/bin")), reverse=True)

"""Imported once by the fork server: what children need and what does not touch CUDA.

Importing bitsandbytes initialises CUDA where there is a driver, and a forked child can no longer use a context of its
parent. So it is imported here only on machines without a driver, whatever device a run asks for.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # some CPU functions are compiled, and again for every new shape
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin starve the processes beside this one
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is then reproducible on one stream
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asks for GPUs without initialising CUDA

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it announces what it did not find, in every process


def has_driver() -> bool:
    """Whether an NVIDIA driver is installed. Loading its library initialises nothing."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


_MODULES = ["torch", "torch._dynamo", "torch._inductor", "torch.profiler", "fuzz.engine.runner"]
for _name in _MODULES if has_driver() else [*_MODULES, "bitsandbytes"]:
    try:
        importlib.import_module(_name)
    except Exception:  # noqa: BLE001 - the child imports it again and reports what is wrong
        break

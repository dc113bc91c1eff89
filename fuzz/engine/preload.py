"""Imported once by the fork server: what children need and what does not touch CUDA.

Importing bitsandbytes initialises CUDA, and a forked child can no longer use a context of its parent, so it is imported
here only when the run is on the CPU and no GPU is visible.
"""

from __future__ import annotations

import importlib
import logging
import os

from fuzz.engine.environment import PRELOAD_BITSANDBYTES

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # some CPU functions are compiled, and again for every new shape
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin starve the processes beside this one
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is then reproducible on one stream
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asks for GPUs without initialising CUDA

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it announces what it did not find, in every process

_MODULES = ["torch", "torch._dynamo", "torch._inductor", "fuzz.engine.bounds", "fuzz.engine.reference"]
if os.environ.get(PRELOAD_BITSANDBYTES) == "1":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    _MODULES.append("bitsandbytes")

for _name in _MODULES:
    try:
        importlib.import_module(_name)
    except Exception:  # noqa: BLE001 - the child imports it again and reports what is wrong
        break

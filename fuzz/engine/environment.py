"""Sets what torch and bitsandbytes read when they are imported. Import it before them; it imports neither."""

from __future__ import annotations

import logging
import os

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # some CPU functions are compiled, and again for every new shape
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin starve the processes beside this one
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is then reproducible on one stream
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asks for GPUs without initialising CUDA

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it announces what it did not find, in every process

"""ops.gemv_4bit: context lost (CUDA error: an illegal memory access was encountered). Seen with
bitsandbytes 0.50.2, torch 2.11.0+cu130 on NVIDIA H200.

Exit status: 1 while the defect is there, 0 once it is gone.
"""

import subprocess
import sys

import torch
import bitsandbytes.functional as F


def call():
    weight = torch.ones((1, 1)).to(torch.float32).to('cuda')  # [out_features, in_features]
    x = torch.ones((1,)).to(torch.float32).to('cuda')
    packed, state = F.quantize_4bit(weight, blocksize=64, quant_type='nf4')
    absmax = state.absmax
    result = torch.full((*x.shape[:-1], state.shape[0]), float("nan"), dtype=x.dtype, device='cpu')  # another device
    torch.ops.bitsandbytes.gemv_4bit.out(x, packed, state.shape, absmax, state.code, state.blocksize, out=result)
    torch.cuda.synchronize()


if "--call" in sys.argv:
    try:
        call()
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(3 if "CUDA error" in str(error) else 0)
    sys.exit(0)

print("expected: a result or a Python exception, and a process that lives on", flush=True)
try:
    status = subprocess.run([sys.executable, __file__, "--call"], timeout=30).returncode
except subprocess.TimeoutExpired:
    print("got:      no answer within 30 seconds")
    sys.exit(1)
print("got:      " + ("a CUDA error" if status == 3 else f"exit status {status}"))
sys.exit(status != 0)

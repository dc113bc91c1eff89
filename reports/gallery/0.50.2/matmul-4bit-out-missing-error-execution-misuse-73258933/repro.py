"""functional.matmul_4bit(out=): missing error. Seen with bitsandbytes 0.50.2, torch 2.11.0+cu130 on
NVIDIA H200.

Exit status: 1 while the defect is there, 0 once it is gone.
"""

import sys

import torch
import bitsandbytes as bnb
import bitsandbytes.functional as F

weight = torch.ones((1, 1)).to(torch.float32).to('cuda')  # [out_features, in_features]
x = torch.ones((1,)).to(torch.float32).to('cuda')

print("expected: a Python exception that names the problem")
try:
    packed, state = F.quantize_4bit(weight, blocksize=64, quant_type='nf4')
    result = torch.full((1,), float("nan"), dtype=x.dtype, device='meta')  # no memory at all
    bnb.matmul_4bit(x, packed, quant_state=state, out=result)
except Exception as error:
    print(f"got:      {type(error).__name__}: {error}")
    sys.exit(0)
print(f"got:      a tensor of shape {tuple(result.shape)}")
sys.exit(1)

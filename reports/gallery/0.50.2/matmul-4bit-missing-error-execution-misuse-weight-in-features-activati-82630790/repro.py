"""functional.matmul_4bit: missing error. Seen with bitsandbytes 0.50.2, torch 2.11.0+cu130 on NVIDIA
H200.

Exit status: 1 while the defect is there, 0 once it is gone.
"""

import sys

import torch
import bitsandbytes as bnb
import bitsandbytes.functional as F


def integers(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Integers from -4 to 4."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, shape, generator=generator).double()


weight = torch.ones((3, 64)).to(torch.float32).to('cuda')  # [out_features, in_features]
x = torch.ones((64,)).to(torch.float32).to('cuda')
bias = integers((3,), seed=2).to(x.dtype).to('cuda')
bias = torch.cat((bias, bias[:1]))  # one output more than the weight has

print("expected: a Python exception that names the problem")
try:
    packed, state = F.quantize_4bit(weight, blocksize=64, quant_type='nf4')
    result = bnb.matmul_4bit(x, packed, quant_state=state, bias=bias)
except Exception as error:
    print(f"got:      {type(error).__name__}: {error}")
    sys.exit(0)
print(f"got:      a tensor of shape {tuple(result.shape)}")
sys.exit(1)

"""What compute-sanitizer prints, by its manual.

https://docs.nvidia.com/compute-sanitizer/ComputeSanitizer/index.html, version 2026.4, unless a sample says otherwise. Backtraces
of the host are left out, as `--show-backtrace device` does.
"""

from __future__ import annotations

from typing import Final

CLEAN: Final = "========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n"

MISALIGNED: Final = """\
========= COMPUTE-SANITIZER
Mallocing memory
========= Invalid __global__ write of size 4 bytes
=========     at unaligned_kernel()+0x50
=========     by thread (0,0,0) in block (0,0,0)
=========     Address 0x710fdca00001 is misaligned
=========     and is inside the nearest allocation at 0x710fdca00000 of size 4 bytes
=========
Running unaligned_kernel: no error
========= Invalid __global__ write of size 4 bytes
=========     at out_of_bounds_kernel()+0x90
=========     by thread (0,0,0) in block (0,0,0)
=========     Address 0x87654320 is out of bounds
=========     and is 124,310,666,263,776 bytes before the nearest allocation at 0x710fdc800000 of size 1,024 bytes
=========
Running out_of_bounds_kernel: no error
========= ERROR SUMMARY: 2 errors
"""

IN_A_FUNCTION: Final = """\
========= COMPUTE-SANITIZER
========= Invalid __global__ write of size 4 bytes
=========     at out_of_bounds_function()+0xb0 in memcheck_demo.cu:39
=========     by thread (0,0,0) in block (0,0,0)
=========     Address 0x87654320 is out of bounds
=========     and is 137,179,965,340,896 bytes before the nearest allocation at 0x7cc43a800000 of size 1,024 bytes
=========         Device Frame: out_of_bounds_kernel()+0x30 in memcheck_demo.cu:44
=========
========= ERROR SUMMARY: 1 error
"""

LIMITED: Final = """\
========= COMPUTE-SANITIZER
========= Invalid __global__ read of size 2 bytes
=========     at void gemm<__half, (int)64>(const T1 *, int)+0x380
=========     by thread (65,0,0) in block (0,0,0)
=========     Access to 0x7bd889c03041 is out of bounds
=========     and is 1 bytes after the nearest allocation at 0x7bd889c03000 of size 64 bytes
=========
========= Invalid __global__ read of size 2 bytes
=========     at void gemm<__half, (int)64>(const T1 *, int)+0x390
=========     by thread (66,0,0) in block (1,0,0)
=========     Access to 0x7bd889c03043 is out of bounds
=========     and is 3 bytes after the nearest allocation at 0x7bd889c03000 of size 64 bytes
=========
========= ERROR SUMMARY: 769 errors
========= ERROR SUMMARY: 767 errors were not printed. Use --print-limit option to adjust the number of printed errors
"""
"""The sentence about what was not printed is in the program, version 2026.4, and not in the manual; so is "Access to"."""

API: Final = """\
========= COMPUTE-SANITIZER
========= Program hit cudaErrorMemoryAllocation (error 2) due to "out of memory" on CUDA API call to cudaMalloc.
========= ERROR SUMMARY: 1 error
"""

RACE: Final = """\
========= COMPUTE-SANITIZER
========= Error: Race reported between Write access at sumKernel(int *, int *)+0x90 in block_error.cu:41
=========     and Read access at sumKernel(int *, int *)+0x100 in block_error.cu:51 [508 hazards]
=========
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""

WARNED_RACE: Final = """\
========= COMPUTE-SANITIZER
========= Warning: Detected overflow of tracked cuda::barrier structures. Results might be incorrect.
========= WARNING: Race reported between Write access at RAW()+0xf0 in raceGroupBasic.cu:40
=========     and Read access at RAW()+0x280 in raceGroupBasic:46 [4 hazards]
=========
========= RACECHECK SUMMARY: 2 hazards displayed (0 errors, 2 warnings)
"""

UNINITIALIZED: Final = """\
========= COMPUTE-SANITIZER
========= Uninitialized __global__ memory read of size 4 bytes
=========     at mult(int *, int *, int)+0x60
=========     by thread (122,0,0) in block (0,0,0)
=========     Address 0x7f936fa001e8
========= ERROR SUMMARY: 1 error
"""

UNINITIALIZED_COPY: Final = """\
========= COMPUTE-SANITIZER
========= Host API memory access error at host access to 0x1303fd1400 of size 25600 bytes
=========     Uninitialized access at 0x1303fd4600 on access by cudaMemcopy source.
=========
========= ERROR SUMMARY: 1 error
"""
"""Of a report by a user, https://github.com/NVIDIA/compute-sanitizer-samples/issues/14."""

FAILED: Final = "========= Error: process didn't terminate successfully\n========= Target application returned an error\n"
"""What is added where the program ends with an error status."""

NOT_TRACKED: Final = """\
========= COMPUTE-SANITIZER
========= Internal Sanitizer Error: The Sanitizer encountered an error while launching gemm and didn't track the launch. \
Errors might go undetected. (Unable to allocate enough memory to perform the requested operation)
========= ERROR SUMMARY: 0 errors
"""

NOT_ATTACHED: Final = """\
========= COMPUTE-SANITIZER
========= Error: Target application terminated before first instrumented API call
========= Error: No attachable process found. compute-sanitizer timed-out.
========= Default timeout can be adjusted with --launch-timeout. Awaiting target completion.
"""
"""Sentences of the program, version 2026.4; it ends with status 255."""

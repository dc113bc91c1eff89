"""NVIDIA's compute-sanitizer: where it is, how it is run, and what it prints.

Documented in https://docs.nvidia.com/compute-sanitizer/ComputeSanitizer/index.html.
"""

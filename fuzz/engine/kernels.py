"""The 4-bit kernels that the library's file contains, by the names that a profiler gives them."""

from __future__ import annotations

import ctypes
import functools
import re
from pathlib import Path
from typing import Final

_MANGLED: Final = re.compile(rb"_Z\d+[A-Za-z_][A-Za-z0-9_]{4,300}")
"""Names of functions in C++ by the Itanium ABI, as the host code registers a kernel with the CUDA runtime."""

PRODUCTS: Final = (
    "gemm_4bit_simt",
    "gemm_4bit_sm75_m16n8k8",
    "gemm_4bit_sm80_m16n8k16",
    "kgemm_4bit_inference",
    "kgemm_4bit_inference_naive",
)
QUANTIZATIONS: Final = ("kQuantizeBlockwise", "kQuantizeBlockwiseSmall", "kQuantizeBlockwise32", "kDequantizeBlockwise")
"""Kernels by the name of their template (csrc of 0.48 to 0.50)."""

NESTED: Final = frozenset({"kQuantizeBlockwise<float, 256, 2, 0, 0>", "kDequantizeBlockwise<float, 512, 64, 8, 0>"})
"""8-bit kernels that compressed statistics go through. The last argument is the data type: 0 is 8 bit, 1 FP4, 2 NF4."""

_FOUR_BIT: Final = ("1>", "2>")


def contained(file: Path) -> tuple[str, ...]:
    """The 4-bit kernels in a native library, such as "gemm_4bit_simt<float, 1>", sorted.

    Raises:
        OSError: the file cannot be read.
    """
    names = {plain(demangled(name)) for name in set(_MANGLED.findall(file.read_bytes()))}
    return tuple(sorted(name for name in names if is_of_four_bits(name)))


def is_of_four_bits(name: str) -> bool:
    """Whether a kernel is one of the 4-bit stack's."""
    template, bracket, _ = name.partition("<")
    if not bracket:
        return False
    return template in PRODUCTS or (template in QUANTIZATIONS and (name.endswith(_FOUR_BIT) or name in NESTED))


def plain(name: str) -> str:
    """The name of a kernel without its result and its arguments: of "void k<float>(int*)" it is "k<float>"."""
    return name.partition("(")[0].removeprefix("void ").strip()


def demangled(name: bytes) -> str:
    """The name in C++; the name itself if it is none, or where there is nothing to translate it."""
    translate = _translator()
    if translate is None:
        return name.decode()
    status = ctypes.c_int()
    result = translate(name, None, None, ctypes.byref(status))
    if not result:
        return name.decode()
    try:
        return (ctypes.cast(result, ctypes.c_char_p).value or name).decode()
    finally:
        _free()(result)


@functools.cache
def _translator() -> ctypes._NamedFuncPointer | None:
    """`abi::__cxa_demangle` of the C++ run-time library, https://itanium-cxx-abi.github.io/cxx-abi/abi.html#demangler."""
    try:
        function = ctypes.CDLL("libstdc++.so.6")["__cxa_demangle"]
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
    return function


@functools.cache
def _free() -> ctypes._NamedFuncPointer:
    function = ctypes.CDLL(None)["free"]
    function.argtypes, function.restype = [ctypes.c_void_p], None
    return function

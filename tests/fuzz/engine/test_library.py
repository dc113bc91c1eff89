"""The bitsandbytes that is loaded, found by looking."""

from __future__ import annotations

import json

import bitsandbytes
import pytest
from bitsandbytes import functional
from packaging.version import Version

from fuzz.engine.library import documented_blocksizes, inspect_library, system_info

DOCSTRING = """Quantize tensor A in blocks of 4-bit values.

    Args:
        A (`torch.Tensor`): The input tensor. Supports `float16`, `bfloat16`, or `float32` datatypes.
        blocksize (`int`, *optional*):
            The size of the blocks. Defaults to 64.
            Valid values are {values}.
        compress_statistics (`bool`, *optional*): Whether to additionally quantize the absmax values. Defaults to False.
    """


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ("64, 128, 256, 512, 1024, 2048, and 4096", (64, 128, 256, 512, 1024, 2048, 4096)),  # 0.48
        ("32, 64, 128, 256, 512, 1024, 2048, and 4096", (32, 64, 128, 256, 512, 1024, 2048, 4096)),  # 0.49, 0.50
        ("64 and 128", (64, 128)),
        ("64", (64,)),
    ],
)
def test_blocksizes_are_read_from_the_docstring(values: str, sizes: tuple[int, ...]) -> None:
    assert documented_blocksizes(DOCSTRING.format(values=values)) == sizes


@pytest.mark.parametrize("docstring", ["", "Quantizes.", "Valid values are powers of two.", "blocksize: 64, 128."])
def test_a_docstring_without_the_list_is_an_error_that_says_so(docstring: str) -> None:
    with pytest.raises(ValueError, match="quantize_4bit no longer lists the valid blocksizes"):
        documented_blocksizes(docstring)


def test_the_loaded_library() -> None:
    found = inspect_library("cpu")
    assert found.version == bitsandbytes.__version__
    assert found.device == "cpu"
    assert found.fused is (Version(found.version) >= Version("0.50.0.dev0"))
    assert found.out_variant is False
    assert set(found.documented_blocksizes) >= {64, 128, 256, 512, 1024, 2048, 4096}
    has_avx512bf16 = getattr(functional, "has_avx512bf16", lambda: False)
    assert found.cpu_repack is bool(has_avx512bf16())


def test_features_and_system_are_json() -> None:
    found = inspect_library("cpu")
    assert json.loads(json.dumps(found.to_json()))["version"] == found.version
    system = system_info(found)
    assert json.loads(json.dumps(system)) == system
    assert set(system) >= {"bitsandbytes", "torch", "python", "platform", "device", "cpu"}
    assert all(isinstance(value, str) and value for value in system.values())
    assert "gpu" not in system

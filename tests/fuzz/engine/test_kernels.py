"""Kernels by the names that a profiler gives them, read in a file like a native library."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.engine.kernels import contained, demangled, is_of_four_bits, plain

MANGLED = {
    b"_Z14gemm_4bit_simtI6__halfLi3EEvPKT_PKhPKfS5_S7_S7_PS1_S3_iiiii": "gemm_4bit_simt<__half, 3>",
    b"_Z18kQuantizeBlockwiseIfLi64ELi2ELi0ELi2EEvPfPT_S0_PhS0_ii": "kQuantizeBlockwise<float, 64, 2, 0, 2>",
    b"_Z18kQuantizeBlockwiseIfLi256ELi2ELi0ELi0EEvPfPT_S0_PhS0_ii": "kQuantizeBlockwise<float, 256, 2, 0, 0>",
}
OTHERS = (
    b"_Z18kQuantizeBlockwiseIfLi512ELi2ELi0ELi0EEvPfPT_S0_PhS0_ii",  # 8 bit, of another blocksize than compressed statistics
    b"_Z14gemm_4bit_simt*",
    b"_Z25gemm_4bit_inference_naiveIfLi32EEviiiPT_PhPfS1_S0_iiii",  # runs on the host and launches a kernel
    b"_ZN3foo3barEv",
)


def test_the_kernels_of_the_4_bit_stack_are_found_once(tmp_path: Path) -> None:
    file = tmp_path / "lib.so"
    file.write_bytes(b"\x7fELF\0\xff" + b"\0".join([*MANGLED, *OTHERS, *MANGLED]) + b"\0_Z")
    assert contained(file) == tuple(sorted(MANGLED.values()))


def test_a_file_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        contained(tmp_path / "lib.so")


@pytest.mark.parametrize(("mangled", "name"), MANGLED.items())
def test_a_name_is_what_a_profiler_calls_it(mangled: bytes, name: str) -> None:
    assert demangled(mangled).startswith(f"void {name}(")
    assert plain(demangled(mangled)) == name
    assert is_of_four_bits(name)


@pytest.mark.parametrize("name", [b"main", b"_Z", b"_Z3", b"\xc3\xa4".decode().encode()])
def test_what_is_no_name_of_cpp_stays_as_it_is(name: bytes) -> None:
    assert demangled(name) == name.decode()


@pytest.mark.parametrize("name", ["Memcpy HtoD", "void at::native::vectorized_elementwise_kernel<4>", "gemm_4bit_simt", ""])
def test_what_torch_launches_is_none_of_it(name: str) -> None:
    assert not is_of_four_bits(plain(name))

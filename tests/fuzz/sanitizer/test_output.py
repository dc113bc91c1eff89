"""What compute-sanitizer prints, as its manual shows it, and what is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.sanitizer.output import PREFIX, Output, function_name, read
from reports.sanitizer import ReportedError
from tests.fuzz.sanitizer import samples

LINES = [line for name, text in vars(samples).items() if name.isupper() for line in text.splitlines()]
NOT_ATTACHED = "; ".join(line.removeprefix("========= ") for line in samples.NOT_ATTACHED.splitlines()[1:])
WRITE = "Invalid __global__ write of size 4 bytes"


def error(kind: str, kernel: str = "", count: int = 1) -> ReportedError:
    return ReportedError(kind=kind, kernel=kernel, count=count)


@pytest.mark.parametrize(
    ("sample", "errors", "warnings", "reported"),
    [
        (samples.CLEAN, 0, 0, ()),
        (
            samples.MISALIGNED,
            2,
            0,
            (error(f"{WRITE}, misaligned", "unaligned_kernel"), error(f"{WRITE}, out of bounds", "out_of_bounds_kernel")),
        ),
        (samples.IN_A_FUNCTION, 1, 0, (error(f"{WRITE}, out of bounds", "out_of_bounds_kernel"),)),
        (samples.LIMITED, 769, 0, (error("Invalid __global__ read of size 2 bytes, out of bounds", "gemm<__half, (int)64>", 2),)),
        (samples.RACE, 1, 0, (error("race between read and write accesses", "sumKernel"),)),
        (samples.WARNED_RACE, 0, 2, (error("race between read and write accesses (warning)", "RAW"),)),
        (samples.UNINITIALIZED, 1, 0, (error("Uninitialized __global__ memory read of size 4 bytes", "mult"),)),
        (samples.UNINITIALIZED_COPY, 1, 0, (error("Host API memory access error at host access to 0x... of size 25600 bytes"),)),
    ],
)
def test_errors_are_counted_by_the_summary_and_listed_by_kind_and_kernel(
    sample: str, errors: int, warnings: int, reported: tuple[ReportedError, ...]
) -> None:
    assert read(sample) == Output(errors=errors, warnings=warnings, reported=reported, failed=False, problem="")


def test_a_failed_call_of_the_cuda_api_is_no_memory_error() -> None:
    assert read(samples.API) == Output(errors=0, warnings=0, reported=(), failed=False, problem="")
    both = samples.MISALIGNED.replace("========= ERROR SUMMARY: 2 errors\n", samples.API.replace("1 error", "3 errors"))
    assert read(both).errors == 2
    assert len(read(both).reported) == 2


def test_a_program_that_ended_with_an_error_is_told_from_one_that_did_not() -> None:
    assert read(samples.FAILED + samples.CLEAN).failed
    assert read(samples.FAILED + samples.CLEAN).problem == ""
    assert not read(samples.CLEAN).failed


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        ("", "it printed no summary"),
        ("unrecognised option '--padding'\n", "it printed no summary; last line of the script: unrecognised option '--padding'"),
        (
            samples.NOT_ATTACHED + "ModuleNotFoundError: No module named 'torch'\n",
            f"{NOT_ATTACHED}; last line of the script: ModuleNotFoundError: No module named 'torch'",
        ),
    ],
)
def test_without_a_summary_there_is_a_reason_and_no_count(sample: str, problem: str) -> None:
    found = read(sample)
    assert (found.errors, found.problem) == (None, problem)


def test_a_launch_that_was_not_checked_is_a_problem() -> None:
    assert read(samples.NOT_TRACKED).problem.startswith("Internal Sanitizer Error: The Sanitizer encountered an error while launching")
    assert read(samples.NOT_TRACKED).reported == ()


def test_nothing_of_it_depends_on_addresses_or_threads() -> None:
    moved = samples.LIMITED.replace("0x7bd889c0", "0x7fff0000").replace("thread (6", "thread (9").replace("+0x3", "+0x4")
    assert moved != samples.LIMITED
    assert read(moved) == read(samples.LIMITED)


@pytest.mark.parametrize(
    ("signature", "name"),
    [
        ("unaligned_kernel()", "unaligned_kernel"),
        ("_gemm_kernel", "_gemm_kernel"),
        ("void kgemm_4bit<__nv_bfloat16, (int)128, (int)16>(int, int, const T1 *)", "kgemm_4bit<__nv_bfloat16, (int)128, (int)16>"),
        ("void at::native::vectorized<(int)4, at::Fill<(float)>, std::array<char *, (unsigned long)1>>(int, T2)",
         "at::native::vectorized<(int)4, at::Fill<(float)>, std::array<char *, (unsigned long)1>>"),
        ("void <unnamed>::gemv<float>(T1 *)", "<unnamed>::gemv<float>"),
        ("void (anonymous namespace)::gemv<float>(T1 *)", "gemv<float>"),
        ("void launch<main::[lambda(int, double &) (instance 1)]>(T1)", "launch<main::[lambda(int, double &) (instance 1)]>"),
        ("[clone myKernel(int *, int *)] outlineSync()", "outlineSync"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_function_keeps_its_template_arguments_only(signature: str, name: str) -> None:
    assert function_name(signature) == name


@given(st.lists(st.text(max_size=30) | st.sampled_from(LINES)))
def test_any_output_is_read(lines: list[str]) -> None:
    found = read("\n".join(PREFIX + line if not line.startswith(PREFIX) else line for line in lines))
    assert found.errors is None or found.errors >= 0
    assert bool(found.problem) or found.errors is not None

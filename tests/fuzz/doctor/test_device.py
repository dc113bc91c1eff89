"""What is made of what a child says, and of one that does not start."""

from __future__ import annotations

from typing import Any, Self

import pytest

from fuzz.doctor import device as examined
from fuzz.doctor.device import Sight, lines, look
from fuzz.doctor.line import Line, Mark
from fuzz.engine.executor import HarnessError, Ready

LIBRARY: dict[str, Any] = {
    "version": "0.50.2",
    "device_name": "NVIDIA H200",
    "gpu": {"major": 9, "minor": 0, "multiprocessors": 132, "memory": 150_121_545_728},
    "native": {"file": "libbitsandbytes_cuda130.so", "missing": ""},
    "triton": True,
}
SYSTEM = {
    "bitsandbytes": "0.50.2",
    "torch": "2.11.0+cu130",
    "device": "cuda",
    "gpu": "NVIDIA H200",
    "compute_capability": "9.0",
    "cuda": "13.0",
}
ON_CPU = {"bitsandbytes": "0.50.2", "torch": "2.13.0+cpu", "device": "cpu", "cpu": "made up"}


def ready(system: dict[str, str] | None = None, **library: Any) -> Ready:
    return Ready(LIBRARY | library, system or SYSTEM, "", 0.1)


def by_subject(sight: Sight, device: str = "auto") -> dict[str, Line]:
    return {line.subject: line for line in lines(sight, device)}


def test_a_gpu_where_all_is_well() -> None:
    assert [(line.mark, line.subject, line.text) for line in lines(Sight(ready()), "cuda")] == [
        (Mark.OK, "GPU", "NVIDIA H200, compute capability 9.0, 139.8 GiB"),
        (Mark.OK, "torch", "2.11.0+cu130 (supported: >=2.9), CUDA 13.0"),
        (Mark.OK, "bitsandbytes", "0.50.2 (supported: <0.51,>=0.48)"),
        (Mark.OK, "native library", "libbitsandbytes_cuda130.so"),
        (Mark.OK, "calibration", "NVIDIA H200 with 0.50.2: 14 of 14 kernels and dtypes"),
        (Mark.OK, "Triton", "its functions for the 4-bit ops can be called, which nightly and deep runs do"),
    ]


def test_versions_outside_of_the_range() -> None:
    found = by_subject(Sight(ready(SYSTEM | {"torch": "2.1.0", "bitsandbytes": "0.51.0.dev0"})))
    assert (found["torch"].mark, found["torch"].stops) == (Mark.NO, True)
    assert found["bitsandbytes"].mark is Mark.WARN


@pytest.mark.parametrize(("device", "stops"), [("auto", False), ("cuda", True)])
def test_a_gpu_that_cannot_be_used_stops_only_a_run_that_asks_for_it(device: str, stops: bool) -> None:  # noqa: FBT001
    line = by_subject(Sight(ready(ON_CPU), gpu="torch sees no CUDA device"), device)["GPU"]
    assert line == Line(Mark.NO, "GPU", "cannot be used: torch sees no CUDA device", stops)


def test_the_cpu_alone_needs_no_gpu() -> None:
    assert by_subject(Sight(ready(ON_CPU)), "cpu")["GPU"].mark is Mark.OK


@pytest.mark.parametrize(
    ("system", "native", "expected"),
    [
        (SYSTEM, {"file": "", "missing": "No compatible CUDA binary found"}, ("No compatible CUDA binary found", True)),
        (SYSTEM, {"file": "libbitsandbytes_cpu.so", "missing": ""}, ("libbitsandbytes_cpu.so, which has no CUDA kernels", True)),
        (ON_CPU, {"file": "", "missing": "XPU/CPU can run without native library."}, ("XPU/CPU can run without native library.", False)),
    ],
)
def test_a_native_library_that_is_missing_stops_a_run_on_the_gpu(
    system: dict[str, str], native: dict[str, str], expected: tuple[str, bool]
) -> None:
    line = by_subject(Sight(ready(system, native=native)), system["device"])["native library"]
    assert (line.mark, (line.text, line.stops)) == (Mark.NO, expected)


def test_a_device_without_a_calibration_is_a_warning() -> None:
    line = by_subject(Sight(ready(device_name="NVIDIA T4")))["calibration"]
    assert (line.mark, line.stops) == (Mark.WARN, False)
    assert line.text.startswith("none for NVIDIA T4 with 0.50.2: proven bounds only")


@pytest.mark.parametrize(("system", "reason"), [(ON_CPU, "no GPU"), (SYSTEM, "no Triton, no C compiler for it")])
def test_where_triton_cannot_be_called_a_run_makes_sense_without(system: dict[str, str], reason: str) -> None:
    line = by_subject(Sight(ready(system, triton=False)), system["device"])["Triton"]
    assert (line.mark, line.stops) == (Mark.NO, False)
    assert f"not fuzzed here: {reason}" in line.text


class FakeExecutor:
    """Starts, or does not, as `SAYS` has it for its device."""

    SAYS: dict[str, Ready | str]

    def __init__(self, device: str, *, spares: int) -> None:
        assert spares == 0
        self._said = self.SAYS[device]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self) -> Ready:
        if isinstance(self._said, str):
            raise HarnessError(self._said)
        return self._said


@pytest.mark.parametrize(
    ("device", "says", "expected"),
    [
        ("auto", {"cuda": ready()}, Sight(ready())),
        ("cpu", {"cpu": ready(ON_CPU)}, Sight(ready(ON_CPU))),
        ("auto", {"cuda": "no usable GPU: torch is old", "cpu": ready(ON_CPU)}, Sight(ready(ON_CPU), gpu="torch is old")),
        ("cuda", {"cuda": "the child ended:\nSIGSEGV", "cpu": "No module"}, Sight(None, "the child ended: SIGSEGV", "No module")),
        ("cpu", {"cpu": "No module named 'torch'"}, Sight(None, failure="No module named 'torch'")),
    ],
)
def test_a_child_is_started_on_the_gpu_and_else_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, device: str, says: dict[str, Ready | str], expected: Sight
) -> None:
    monkeypatch.setattr(FakeExecutor, "SAYS", says, raising=False)
    monkeypatch.setattr(examined, "Executor", FakeExecutor)
    assert look(device) == expected


def test_where_no_child_starts_that_is_all_there_is_to_say() -> None:
    found = by_subject(Sight(None, gpu="it is gone", failure="No module named 'bitsandbytes'"))
    assert {name: line.mark for name, line in found.items()} == {"GPU": Mark.NO, "bitsandbytes": Mark.NO}
    assert found["bitsandbytes"].stops
    assert "No module named 'bitsandbytes'" in found["bitsandbytes"].text

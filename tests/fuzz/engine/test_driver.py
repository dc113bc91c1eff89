"""What the driver says, from libraries that are made up: none of it needs a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from fuzz.engine import driver


class Library:
    """A shared library whose functions are Python's."""

    def __init__(self, **functions: Callable[..., int]) -> None:
        self.__dict__.update(functions)


def nvml(*gpus: tuple[int, int], status: int = 0) -> Library:
    """NVML of a machine with GPUs of these capabilities. Pointers come as `byref` makes them."""

    def count(number: Any) -> int:
        number._obj.value = len(gpus)
        return status

    def handle(index: int, device: Any) -> int:
        device._obj.value = index + 1
        return status

    def capability(device: ctypes.c_void_p, major: Any, minor: Any) -> int:
        major._obj.value, minor._obj.value = gpus[(device.value or 0) - 1]
        return status

    def memory(device: ctypes.c_void_p, found: Any) -> int:
        found._obj.total, found._obj.free = 141 * 2**30, (device.value or 0) * 2**30
        return status

    return Library(
        nvmlDeviceGetMemoryInfo=memory,
        nvmlInit_v2=lambda: status,
        nvmlDeviceGetCount_v2=count,
        nvmlDeviceGetHandleByIndex_v2=handle,
        nvmlDeviceGetCudaComputeCapability=capability,
    )


def install(monkeypatch: pytest.MonkeyPatch, **libraries: Library) -> None:
    def load(name: str) -> Library:
        found = libraries.get(name.partition(".")[0].replace("-", "_"))
        if found is None:
            raise OSError(f"{name}: cannot open shared object file")
        return found

    monkeypatch.setattr(ctypes, "CDLL", load)


def test_a_driver_is_there_if_its_library_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert not driver.has_driver()
    install(monkeypatch, libcuda=Library())
    assert driver.has_driver()


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [((), set()), (((9, 0),), {(9, 0)}), (((9, 0), (9, 0)), {(9, 0)}), (((9, 0), (7, 5)), {(9, 0), (7, 5)})],
)
def test_capabilities_of_all_gpus(monkeypatch: pytest.MonkeyPatch, gpus: tuple[tuple[int, int], ...], expected: set[Any]) -> None:
    install(monkeypatch, libnvidia_ml=nvml(*gpus))
    assert driver.capabilities() == expected


def test_free_memory_of_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one of these has twice as much as the first."""
    install(monkeypatch, libnvidia_ml=nvml((9, 0), (9, 0)))
    assert driver.free_memory() == [2**30, 2 * 2**30]


def test_where_nvml_cannot_be_asked_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert (driver.capabilities(), driver.free_memory()) == (set(), [])
    install(monkeypatch, libnvidia_ml=nvml((9, 0), status=9))
    assert (driver.capabilities(), driver.free_memory()) == (set(), [])


@pytest.mark.parametrize(("status", "expected"), [(driver.NOT_INITIALIZED, False), (0, True), (201, True)])
def test_cuda_is_in_use_unless_the_driver_says_otherwise(monkeypatch: pytest.MonkeyPatch, status: int, expected: bool) -> None:  # noqa: FBT001
    install(monkeypatch, libcuda=Library(cuCtxGetCurrent=lambda _: status))
    assert driver.uses_cuda() is expected

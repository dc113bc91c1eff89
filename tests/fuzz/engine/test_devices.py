"""The choice of the device, and what is said about it."""

from __future__ import annotations

import pytest
import torch

from fuzz.engine.devices import CPU_NOTE, Device, DeviceError, choose


def test_the_cpu_is_always_there() -> None:
    assert choose("cpu") == Device("cpu")


@pytest.mark.parametrize(("version", "count", "reason"), [(None, 0, "is built without CUDA"), ("12.8", 0, "torch sees no CUDA device")])
def test_without_a_gpu_auto_takes_the_cpu_and_says_what_is_not_covered(
    monkeypatch: pytest.MonkeyPatch, version: str | None, count: int, reason: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    chosen = choose("auto")
    assert chosen.name == "cpu"
    assert chosen.note.startswith(CPU_NOTE)
    assert reason in chosen.note
    with pytest.raises(DeviceError, match=reason) as caught:
        choose("cuda")
    assert str(caught.value).startswith("no usable GPU: ")


def test_a_gpu_that_does_not_work_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("CUDA driver version is insufficient\nmore lines")

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "zeros", broken)
    with pytest.raises(DeviceError, match=r"^no usable GPU: CUDA driver version is insufficient$"):
        choose("cuda")
    assert choose("auto").name == "cpu"


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_a_gpu_that_works_is_taken(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: torch.ones(1))
    assert choose(wanted) == Device("cuda")

"""Chooses the device, in the child: the parent must not initialise CUDA."""

from __future__ import annotations

from dataclasses import dataclass

import torch


class DeviceError(RuntimeError):
    """The device that was asked for cannot be used."""


@dataclass(frozen=True, slots=True)
class Device:
    """The chosen device, "cpu" or "cuda", and what a user should know about the choice."""

    name: str
    note: str = ""


CPU_NOTE = (
    "no usable GPU, so bitsandbytes' CPU backend is fuzzed; "
    "not covered: every CUDA kernel (legacy gemv, fused SIMT and tensor-core kernels, dequantize on the GPU)"
)


def choose(wanted: str) -> Device:
    """The device for "auto", "cpu" or "cuda".

    Raises:
        DeviceError: "cuda" without a usable GPU, with the reason.
    """
    if wanted == "cpu":
        return Device("cpu")
    reason = _why_no_cuda()
    if reason is None:
        return Device("cuda")
    if wanted == "cuda":
        raise DeviceError(f"no usable GPU: {reason}")
    return Device("cpu", f"{CPU_NOTE} ({reason})")


def _why_no_cuda() -> str | None:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    if torch.cuda.device_count() == 0:
        return "torch sees no CUDA device"
    try:
        torch.zeros(1, device="cuda").item()
    except Exception as error:  # noqa: BLE001 - drivers fail in many ways; each is a reason
        return str(error).splitlines()[0]
    return None

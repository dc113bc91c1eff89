"""Capture and replay, on a device that is made up: what a graph does not read or write anew is seen, and a capture may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from fuzz.engine.graphs import WARM_UPS, CaptureError, UnequalReplaysError, replayed
from tests.fuzz.engine.fake_cuda import FakeCuda, install


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with install(monkeypatch) as device:
        yield device


Call = Callable[[], torch.Tensor]


def product() -> tuple[torch.Tensor, torch.Tensor, Call]:
    """An activation, a right result, and the call."""
    x, weight = torch.randn(3, 8), torch.randn(5, 8)
    return x, x @ weight.t(), lambda: torch.nn.functional.linear(x, weight)


@pytest.mark.usefixtures("cuda")
def test_a_replay_gives_what_the_call_gives_and_the_inputs_are_what_they_were() -> None:
    x, right, call = product()
    before = x.clone()
    assert torch.equal(replayed((x,), call), right)
    assert torch.equal(x, before)


@pytest.mark.usefixtures("cuda")
def test_the_call_never_sees_the_numbers_before_it_is_captured() -> None:
    x, right, call = product()
    seen: list[bool] = []

    def watching() -> torch.Tensor:
        result = call()
        seen.append(bool(result.detach().isnan().all()) if len(seen) < WARM_UPS else True)
        return result

    assert torch.equal(replayed((x,), watching), right)
    assert seen == [True] * (WARM_UPS + 1)


@pytest.mark.usefixtures("cuda")
def test_poison_and_numbers_stay_within_views_and_an_expanded_activation_is_written_once() -> None:
    memory = torch.zeros(20)
    memory[::2] = torch.arange(10.0)
    x = memory[4:12:2]
    assert replayed((x,), lambda: x * 2).tolist() == [4.0, 6.0, 8.0, 10.0]
    assert memory[1::2].tolist() == [0.0] * 10
    row = torch.tensor([[1.0, 2.0]]).expand(3, 2)
    assert replayed((row,), lambda: row + 1).tolist() == [[2.0, 3.0]] * 3
    leaf = torch.ones(2).requires_grad_()
    with torch.enable_grad():
        assert replayed((leaf,), lambda: leaf * 3).tolist() == [3.0, 3.0]
    assert leaf.tolist() == [1.0, 1.0]


def kept(x: torch.Tensor, call: Call, cuda: FakeCuda) -> Call:  # noqa: ARG001
    """It has copied its input when it was called first."""
    copies: list[torch.Tensor] = []

    def stale() -> torch.Tensor:
        copies.append(copies[0] if copies else x.clone())
        return call() + 0 * copies[0].sum()

    return stale


def elsewhere(x: torch.Tensor, call: Call, cuda: FakeCuda) -> Call:  # noqa: ARG001
    """It launches on a stream of its own, so that nothing is captured."""

    def hasty() -> torch.Tensor:
        with cuda.paused():
            return call()

    return hasty


def partial_write(x: torch.Tensor, call: Call, cuda: FakeCuda) -> Call:  # noqa: ARG001
    """All but one of its outputs were written while it was captured."""

    def partly() -> torch.Tensor:
        with cuda.paused():
            result = call()
        result[0].copy_(call()[0])
        return result

    return partly


@pytest.mark.parametrize("fault", [kept, elsewhere, partial_write])
def test_what_is_not_read_or_written_anew_is_no_number(cuda: FakeCuda, fault: Callable[[torch.Tensor, Call, FakeCuda], Call]) -> None:
    x, right, call = product()
    result = replayed((x,), fault(x, call, cuda))
    assert bool(result.isnan().any())
    assert not bool(right.isnan().any())


@pytest.mark.usefixtures("cuda")
def test_two_replays_that_differ_are_told() -> None:
    x, total = torch.ones(4), torch.zeros(4)

    def counting() -> torch.Tensor:
        total.add_(1)
        return x + total

    with pytest.raises(UnequalReplaysError, match=r"^(\d+), then (\d+) at flat index 0; 4 of 4 outputs differ$"):
        replayed((x,), counting)


def test_what_cannot_be_captured_is_no_device_error_and_leaves_stream_and_inputs_as_they_were(cuda: FakeCuda) -> None:
    x = torch.ones(2)

    def call() -> torch.Tensor:
        return x * float(x.sum())

    with pytest.raises(CaptureError, match=r"^while it was captured: RuntimeError: operation not permitted when stream is capturing$"):
        replayed((x,), call)
    assert cuda.stream is cuda.default
    assert x.tolist() == [1.0, 1.0]


def test_what_the_library_refuses_while_it_is_captured_is_a_failed_capture_too(cuda: FakeCuda) -> None:
    x = torch.ones(2)

    def call() -> torch.Tensor:
        if cuda.capturing is not None:
            raise NotImplementedError("no graphs, please")
        return x * 2

    with pytest.raises(CaptureError, match=r"^while it was captured: NotImplementedError: no graphs, please$"):
        replayed((x,), call)
    assert x.tolist() == [1.0, 1.0]


@pytest.mark.usefixtures("cuda")
def test_an_exception_before_the_capture_is_that_of_the_call() -> None:
    x = torch.ones(2)

    def call() -> torch.Tensor:
        raise ValueError("a wrong shape")

    with pytest.raises(ValueError, match=r"^a wrong shape$"):
        replayed((x,), call)
    assert x.tolist() == [1.0, 1.0]


def test_a_context_that_is_lost_during_the_capture_is_not_hidden(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(2)

    def lost(device: object = None) -> None:  # noqa: ARG001
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def call() -> torch.Tensor:
        if cuda.capturing is not None:
            monkeypatch.setattr(torch.cuda, "synchronize", lost)
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return x * 2

    with pytest.raises(RuntimeError, match=r"^CUDA error: an illegal memory access") as raised:
        replayed((x,), call)
    assert not isinstance(raised.value, CaptureError)

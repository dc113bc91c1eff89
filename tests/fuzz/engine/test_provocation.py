"""What provokes a race: the choices for a device, and inputs that are poison until the stream writes them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from fuzz.engine import pending
from fuzz.engine.pending import call_while_pending, read_by_calls
from fuzz.engine.provocation import REPETITIONS, Provocation, provocations
from tests.fuzz.engine.helpers import nested_state, prepared_by_hand


def test_a_device_is_offered_what_means_something_there() -> None:
    assert provocations("cuda") == tuple(Provocation)
    assert provocations("cpu") == (Provocation.NONE, Provocation.REPETITION)


def test_only_repetition_repeats_and_its_words_say_how_often() -> None:
    assert {provocation: provocation.calls for provocation in Provocation if provocation.calls != 1} == {
        Provocation.REPETITION: REPETITIONS
    }
    assert Provocation.REPETITION.value == f"the call repeated {REPETITIONS} times in one process"


def test_choosing_a_provocation_does_not_import_torch() -> None:
    code = "import sys, fuzz.engine.provocation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Stream:
    """A fake of the GPU's stream: notes in which order it is used and what `watched` holds then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *watched: torch.Tensor) -> None:
        self.watched, self.seen = watched, dict[str, list[torch.Tensor]]()
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: self.note("synchronized"))
        monkeypatch.setattr(torch.cuda, "_sleep", self.sleep)

    def note(self, what: str) -> None:
        self.seen[what] = [tensor.clone() for tensor in self.watched]

    def sleep(self, cycles: int) -> None:
        assert 0.01 < cycles / 2e9 < 0.2, "tens of milliseconds at the clock of today's GPUs"
        self.note("busy")

    def call(self) -> str:
        self.note("called" if "busy" in self.seen else "loaded")
        return "a result"


def changed(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Which elements are no longer what they were."""
    return after.isnan() if after.is_floating_point() else before != after


def test_every_element_is_poison_until_the_stream_writes_it_and_right_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    floats = [torch.randn(3, 5, dtype=dtype) for dtype in (torch.float32, torch.float16, torch.bfloat16)]
    read = [*floats, torch.tensor(0.5), torch.arange(256, dtype=torch.uint8), torch.randn(4, 6)[:, ::2], torch.empty(0)]
    true = [tensor.clone() for tensor in read]
    stream = Stream(monkeypatch, *read)
    assert call_while_pending(read, stream.call) == "a result"
    assert list(stream.seen) == ["loaded", "synchronized", "busy", "called"]
    for when in ("loaded", "synchronized", "busy"):
        assert all(bool(changed(*pair).all()) for pair in zip(true, stream.seen[when], strict=True)), when
    for now in (stream.seen["called"], read):
        assert all(torch.equal(*pair) for pair in zip(true, now, strict=True))


def test_poison_stays_within_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.zeros(8)
    stream = Stream(monkeypatch, whole)
    call_while_pending([whole[2:6]], stream.call)
    assert stream.seen["busy"][0].isnan().tolist() == [False] * 2 + [True] * 4 + [False] * 2


def test_an_exception_is_that_of_the_call_on_true_values(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(2)
    Stream(monkeypatch, x)

    def call() -> None:
        raise ValueError(f"sum {float(x.sum())}")

    with pytest.raises(ValueError, match=r"^sum 2\.0$"):
        call_while_pending([x], call)
    assert x.tolist() == [1.0, 1.0]


def test_a_context_lost_on_poison_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    Stream(monkeypatch)
    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        call_while_pending([torch.ones(2)], lambda: None)


def identities(tensors: list[torch.Tensor]) -> set[int]:
    return {id(tensor) for tensor in tensors}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("bias", [None, torch.zeros(2)])
def test_what_calls_read_is_inputs_packed_weight_and_statistics(nested: bool, bias: torch.Tensor | None) -> None:  # noqa: FBT001
    absmax = torch.ones(2)
    prepared = prepared_by_hand(torch.ones(1, 32), torch.zeros(2, 32, dtype=torch.long), absmax, bias=bias)
    state: Any = nested_state(absmax.to(torch.uint8), torch.ones(1), 0.5) if nested else prepared.state
    object.__setattr__(prepared, "state", state)
    expected = [prepared.activation, prepared.packed, state.absmax]
    expected += [] if bias is None else [bias]
    expected += [state.offset, state.state2.absmax] if nested else []
    assert identities(read_by_calls(prepared)) == identities(expected)


def test_the_producer_takes_as_long_as_it_says() -> None:
    assert pytest.approx(pending.PENDING_SECONDS * pending.CLOCK) == pending.PENDING_CYCLES

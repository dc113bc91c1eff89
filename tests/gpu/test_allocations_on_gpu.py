"""Guards around what the library allocates, on a real GPU: right calls leave them alone, and one that writes too far is seen."""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.engine.executor import Executor
from fuzz.engine.verdict import Symptom
from strategies.case import Activation, Case, Fill, FloatDType, Quantization, StorageDType, Weight

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("storage", [StorageDType.FLOAT16, StorageDType.FLOAT32])
@pytest.mark.usefixtures("cuda")
def test_a_quantization_without_room_writes_beside_its_packed_weight(storage: StorageDType) -> None:
    """As it is written in 0.48 to 0.50.2: the room is rounded down to whole elements, and the kernel writes all bytes."""
    import torch  # noqa: PLC0415 - children are not to import torch with this file
    from bitsandbytes import functional  # noqa: PLC0415

    from fuzz.engine.allocations import Allocations  # noqa: PLC0415

    allocations, weight = Allocations(), torch.ones(4 * 64 + 1, device="cuda")
    with allocations.guarded():
        packed, _ = functional.quantize_4bit(weight, blocksize=64, quant_storage=getattr(torch, storage.value))
    torch.cuda.synchronize()
    missing = 129 - packed.numel() * packed.element_size()
    assert missing > 0
    assert allocations.overrun() == f"0 bytes before and {missing} behind what was allocated"


@pytest.mark.parametrize("leading", [(), (3,), (40,), (600,)])
@pytest.mark.parametrize("dtype", list(FloatDType))
@pytest.mark.parametrize("nested", [False, True])
def test_right_calls_write_nothing_beside_their_memory(
    cuda: Executor, dtype: FloatDType, leading: tuple[int, ...], *, nested: bool
) -> None:
    case = Case(
        weight=Weight(out_features=66, in_features=192, dtype=dtype, fill=Fill.NORMAL),
        quantization=Quantization(compress_statistics=nested),
        activation=Activation(leading=leading, fill=Fill.NORMAL),
    )
    for one in (case, dataclasses.replace(case, weight=dataclasses.replace(case.weight, in_features=96))):
        assert Symptom.OUT_OF_BOUNDS not in {verdict.symptom for verdict in cuda.run(one).verdicts}

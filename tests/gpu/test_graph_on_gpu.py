"""CUDA graphs on a real GPU: what is replayed is right, and what a graph leaves out is seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import pytest

from fuzz.engine import worker
from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CAPTURE_FAILED, CaseResult, PathVerdict, Symptom
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Memory, Mode, Quantization, QuantType, Weight

if TYPE_CHECKING:
    import torch

    from fuzz.engine.calls import Prepared

pytestmark = pytest.mark.gpu

CASE = Case(
    weight=Weight(out_features=64, in_features=256, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL),
    activation=Activation(fill=Fill.NORMAL),
    bias=True,
    execution=Execution(mode=Mode.GRAPH),
)
EVERY = ("dequantize_4bit_replayed", "matmul_4bit_replayed", "gemm_4bit_replayed", "linear4bit_replayed")
ONE_ROW = ("gemv_4bit_replayed", "gemv_4bit_op_replayed")


def replays(result: CaseResult) -> dict[str, PathVerdict]:
    """The verdicts on graphs."""
    return {verdict.path: verdict for verdict in result.verdicts if verdict.path.endswith("_replayed")}


@pytest.mark.parametrize("leading", [(), (3,), (40,)])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("dtype", list(FloatDType))
@pytest.mark.parametrize("quant_type", list(QuantType))
def test_replays_of_plain_cases_are_captured_and_right(
    cuda: Executor, quant_type: QuantType, dtype: FloatDType, leading: tuple[int, ...], *, nested: bool
) -> None:
    case = dataclasses.replace(
        CASE,
        weight=dataclasses.replace(CASE.weight, dtype=dtype),
        quantization=Quantization(quant_type=quant_type, compress_statistics=nested),
        activation=Activation(leading=leading, fill=Fill.NORMAL),
    )
    result = cuda.run(case)
    assert result.failures == ()
    found = replays(result)
    expected = {*EVERY, *(ONE_ROW if leading == () else ())}
    if not cuda.start().library["fused"]:
        expected -= {"matmul_4bit_replayed", "gemm_4bit_replayed"}  # before 0.50 it takes other views, and there is no such op
    assert set(found) == expected
    assert {path: verdict.got for path, verdict in found.items()} == dict.fromkeys(found, ""), "none is refused"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("execution.grad", True),
        ("memory.activation", Memory.EXPANDED),
        ("weight.in_features", 250),  # no whole blocks: dequantized, and multiplied by cuBLAS
        ("weight.out_features", 128),
    ],
)
def test_other_cases_are_right_too(cuda: Executor, name: str, value: bool | int | Memory) -> None:  # noqa: FBT001
    case = fields.replace(dataclasses.replace(CASE, activation=Activation(leading=(40,), fill=Fill.NORMAL)), name, value)
    found = replays(cuda.run(case))
    assert found
    assert [verdict.symptom for verdict in found.values()] == [None] * len(found)


def test_a_child_goes_on_after_graphs(cuda: Executor) -> None:
    before = cuda.replaced
    for _ in range(20):
        assert cuda.run(CASE).failures == ()
    assert cuda.run(fields.replace(CASE, "execution.mode", Mode.CALL)).failures == ()
    assert cuda.replaced == before


def cached(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit` with a copy of the activation that it was first called with."""
    import bitsandbytes  # noqa: PLC0415 - the parent must not

    from fuzz.engine.graphs import replayed  # noqa: PLC0415

    copies: list[torch.Tensor] = []

    def call() -> torch.Tensor:
        copies.append(copies[0] if copies else prepared.activation.clone())
        result: torch.Tensor = bitsandbytes.matmul_4bit(copies[0], prepared.packed, quant_state=prepared.own_state(), bias=prepared.bias)
        return result

    return replayed((prepared.activation,), call)


def elsewhere(prepared: Prepared) -> torch.Tensor:
    """What is right, written on another stream than that which is captured."""
    import torch  # noqa: PLC0415

    from fuzz.engine import calls  # noqa: PLC0415
    from fuzz.engine.graphs import replayed  # noqa: PLC0415

    right = calls.matmul(prepared)
    out, other = torch.empty_like(right), torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def call() -> torch.Tensor:
        with torch.cuda.stream(other):
            out.copy_(right)
        return out

    return replayed((prepared.activation,), call)


def synchronizing(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit`, and a look at its result: that cannot be captured."""
    from fuzz.engine import calls  # noqa: PLC0415
    from fuzz.engine.graphs import replayed  # noqa: PLC0415

    def call() -> torch.Tensor:
        result = calls.matmul(prepared)
        float(result.sum())
        return result

    return replayed((prepared.activation,), call)


def counting(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit`, and how often it was called."""
    import torch  # noqa: PLC0415

    from fuzz.engine import calls  # noqa: PLC0415
    from fuzz.engine.graphs import replayed  # noqa: PLC0415

    count = torch.zeros((), dtype=prepared.activation.dtype, device=prepared.activation.device)
    return replayed((prepared.activation,), lambda: calls.matmul(prepared) + count.add_(1))


class Faulty:
    """Children in which `matmul_4bit_replayed` is `run`."""

    def __init__(self, run: Callable[[Prepared], torch.Tensor]) -> None:
        self._run = run

    def __call__(self, pipe: Connection, device: str, log: str, watchdog: float) -> None:
        """Serve."""
        from fuzz.engine import paths  # noqa: PLC0415 - imports torch

        changed = tuple(dataclasses.replace(path, run=self._run) if path.name == "matmul_4bit_replayed" else path for path in paths.PATHS)
        paths.PATHS = changed  # type: ignore[misc] # in this child only
        worker.serve(pipe, device, log, watchdog)


@pytest.fixture
def faulty(cuda: Executor, request: pytest.FixtureRequest) -> Iterator[Executor]:
    """An executor whose children have the fault; skipped where there is no GPU."""
    if not cuda.start().library["fused"]:
        pytest.skip("before 0.50 matmul_4bit takes other views")
    with Executor("cuda", spares=1, serve=Faulty(request.param)) as executor:
        yield executor


@pytest.mark.parametrize("faulty", [cached, elsewhere], indirect=True)
def test_a_graph_that_ignores_its_inputs_or_writes_nothing_is_seen(faulty: Executor) -> None:
    for leading in ((), (3,)):
        case = dataclasses.replace(CASE, activation=Activation(leading=leading, fill=Fill.ONES))
        (failure,) = faulty.run(case, ["matmul_4bit_replayed"]).failures
        assert (failure.path, failure.symptom) == ("matmul_4bit_replayed", Symptom.WRONG_VALUE)
        assert "nan" in failure.got
    assert faulty.replaced == 0


@pytest.mark.parametrize("faulty", [counting], indirect=True)
def test_replays_that_differ_are_seen(faulty: Executor) -> None:
    (failure,) = faulty.run(CASE, ["matmul_4bit_replayed"]).failures
    assert (failure.symptom, failure.how) == (Symptom.BROKEN_RELATION, "replay")


@pytest.mark.parametrize("faulty", [synchronizing], indirect=True)
def test_a_call_that_cannot_be_captured_is_allowed_and_the_next_case_has_another_child(faulty: Executor) -> None:
    result = faulty.run(CASE, ["matmul_4bit_replayed"])
    assert result.failures == ()
    refused = result.verdicts[-1]
    assert (refused.path, refused.how) == ("matmul_4bit_replayed", CAPTURE_FAILED)
    assert "captur" in refused.got
    assert faulty.replaced == 1
    plain = fields.replace(CASE, "execution.mode", Mode.CALL)
    assert faulty.run(plain).failures == ()
    assert faulty.replaced == 1

"""Inputs that are still being written, on a real GPU: right calls wait for them, and one that does not is seen to fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import pytest

from fuzz.engine import worker
from fuzz.engine.executor import Executor
from fuzz.engine.provocation import Provocation
from fuzz.engine.verdict import Symptom
from strategies.case import Activation, Case, Fill, FloatDType, Quantization, Relation, Weight

if TYPE_CHECKING:
    import torch

    from fuzz.engine.calls import Prepared

pytestmark = pytest.mark.gpu

CASE = Case(
    weight=Weight(out_features=64, in_features=256, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL),
    activation=Activation(fill=Fill.NORMAL),
    bias=True,
)
PATHS = ("dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemm_4bit_op", "linear4bit", "gemv_4bit", "gemv_4bit_op", "gemv_4bit_out")
PROVOKED = (Provocation.REPETITION, Provocation.PENDING_PRODUCER)


@pytest.mark.parametrize("provocation", PROVOKED)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("leading", [(), (3,), (40,)])
def test_right_paths_pass_under_every_provocation(
    cuda: Executor,
    provocation: Provocation,
    leading: tuple[int, ...],
    *,
    nested: bool,
) -> None:
    case = dataclasses.replace(
        CASE, quantization=Quantization(compress_statistics=nested), activation=dataclasses.replace(CASE.activation, leading=leading)
    )
    result = cuda.run(case, PATHS, provocation=provocation)
    assert result.failures == ()
    assert {"dequantize_4bit", "matmul_4bit"} < {verdict.path for verdict in result.verdicts}


@pytest.mark.parametrize("provocation", PROVOKED)
@pytest.mark.parametrize("nested", [False, True])
def test_quantizing_passes_under_every_provocation(cuda: Executor, provocation: Provocation, *, nested: bool) -> None:
    result = cuda.run(dataclasses.replace(CASE, quantization=Quantization(compress_statistics=nested)), [], provocation=provocation)
    assert [(verdict.path, verdict.symptom) for verdict in result.verdicts] == [("quantize_4bit", None)]


def test_the_second_call_of_a_relation_is_provoked_too(cuda: Executor) -> None:
    execution = dataclasses.replace(CASE.execution, relation=Relation.SIGN)
    case = dataclasses.replace(CASE, execution=execution)
    assert cuda.run(case, ["matmul_4bit"], provocation=Provocation.PENDING_PRODUCER).failures == ()


def test_what_was_poisoned_is_right_in_the_next_case(cuda: Executor) -> None:
    cuda.run(CASE, ["matmul_4bit"], provocation=Provocation.PENDING_PRODUCER)
    assert cuda.run(CASE, PATHS).failures == ()


class Hasty:
    """`dequantize_linear` as a library would do it that has a stream of its own and does not wait for its caller's."""

    def __init__(self) -> None:
        self.stream: torch.cuda.Stream | None = None

    def __call__(self, prepared: Prepared) -> torch.Tensor:
        import torch  # noqa: PLC0415 - the parent must not

        from fuzz.engine import calls  # noqa: PLC0415

        # A stream of torch does not wait for the default one, and is made once.
        self.stream = self.stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self.stream):
            result = calls.dequantize_linear(prepared)
        self.stream.synchronize()  # so that only the inputs can be unfinished, not the result
        return result


def serve_hasty(pipe: Connection, device: str, log: str, watchdog: float) -> None:
    """A child in which `dequantize_linear` is hasty."""
    from fuzz.engine import paths  # noqa: PLC0415 - imports torch

    hasty = Hasty()
    changed = tuple(dataclasses.replace(path, run=hasty) if path.name == "dequantize_linear" else path for path in paths.PATHS)
    paths.PATHS = changed  # type: ignore[misc] # in this child only
    worker.serve(pipe, device, log, watchdog)


@pytest.fixture
def hasty(cuda: Executor) -> Iterator[Executor]:
    """An executor whose children are hasty; skipped where there is no GPU."""
    assert cuda.ready is not None
    with Executor("cuda", spares=0, serve=serve_hasty) as executor:
        yield executor


def test_a_call_that_does_not_wait_for_its_inputs_fails_when_they_are_late_and_only_then(hasty: Executor) -> None:
    # One term a sum: whichever kernel multiplies on the other stream, its bits are those of the reference.
    case = dataclasses.replace(CASE, activation=Activation(leading=(4,), fill=Fill.ONE_HOT), bias=False)
    assert hasty.run(case, ["dequantize_linear"]).failures == ()
    for _ in range(3):
        (failure,) = hasty.run(case, ["dequantize_linear"], provocation=Provocation.PENDING_PRODUCER).failures
        assert (failure.path, failure.symptom) == ("dequantize_linear", Symptom.WRONG_VALUE)
        assert "nan" in failure.got
        assert hasty.run(case, ["dequantize_linear"]).failures == (), "what was poisoned is right again"

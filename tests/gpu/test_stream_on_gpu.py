"""Calls on a side stream that has yet to write what they read, on a real GPU."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fuzz.engine import worker
from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CaseResult, Grade, PathVerdict, Symptom
from reports.finding import LEFT_ERROR
from reports.script import write_script
from strategies import fields
from strategies.case import Activation, Case, CudaStream, Execution, Fill, FloatDType, Quantization, QuantType, Weight

if TYPE_CHECKING:
    import torch

    from fuzz.engine.calls import Prepared

pytestmark = pytest.mark.gpu

CASE = Case(
    weight=Weight(out_features=64, in_features=256, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL),
    activation=Activation(fill=Fill.NORMAL),
    bias=True,
    execution=Execution(stream=CudaStream.SIDE),
)
BY_DEFAULT = fields.replace(CASE, "execution.stream", CudaStream.DEFAULT)


def called(result: CaseResult) -> dict[str, PathVerdict]:
    """The verdicts of all paths but that of the quantization."""
    return {verdict.path: verdict for verdict in result.verdicts if verdict.path != "quantize_4bit"}


@pytest.mark.parametrize("leading", [(), (3,), (40,)])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("dtype", list(FloatDType))
@pytest.mark.parametrize("grad", [False, True])
def test_calls_that_read_a_packed_weight_wait_for_their_own_stream(
    cuda: Executor, dtype: FloatDType, leading: tuple[int, ...], *, nested: bool, grad: bool
) -> None:
    case = dataclasses.replace(
        CASE,
        weight=dataclasses.replace(CASE.weight, dtype=dtype),
        quantization=Quantization(compress_statistics=nested),
        activation=Activation(leading=leading, fill=Fill.NORMAL),
        execution=Execution(stream=CudaStream.SIDE, grad=grad),
    )
    on_side, by_default = called(cuda.run(case)), called(cuda.run(fields.replace(case, "execution.stream", CudaStream.DEFAULT)))
    assert list(on_side) == list(by_default), "no path is missing because of what was quantized on the side"
    assert {path: (verdict.symptom, verdict.got) for path, verdict in on_side.items()} == {
        path: (verdict.symptom, verdict.got) for path, verdict in by_default.items()
    }
    assert {verdict.symptom for verdict in on_side.values()} == {None}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("quant_type", list(QuantType))
def test_quantizing_launches_on_the_legacy_default_stream(cuda: Executor, quant_type: QuantType, *, nested: bool) -> None:
    """As it is written in 0.48 to 0.50.2: `cquantize_blockwise_*` takes no stream (backends/cuda/ops.py)."""
    case = dataclasses.replace(CASE, quantization=Quantization(quant_type=quant_type, compress_statistics=nested))
    (failure,) = cuda.run(case, []).failures
    assert (failure.path, failure.symptom, failure.grade) == ("quantize_4bit", Symptom.WRONG_VALUE, Grade.DEFINITE)
    assert cuda.run(fields.replace(case, "execution.stream", CudaStream.DEFAULT), []).failures == ()


def test_a_cuda_error_that_is_left_is_seen_on_the_side_stream_too(cuda: Executor) -> None:
    """`gemm_4bit` of no rows leaves one; nothing is wrong with its inputs."""
    none = Case(weight=Weight(in_features=64), activation=Activation(leading=(0,)), bias=True)
    for case in (none, fields.replace(none, "execution.stream", CudaStream.SIDE)):
        failures = [failure for failure in cuda.run(case, ["gemm_4bit_op"]).failures if failure.path == "gemm_4bit_op"]
        assert [(failure.symptom, failure.how) for failure in failures] == [(Symptom.UNEXPECTED_EXCEPTION, LEFT_ERROR)]


def test_the_script_of_that_fails_and_without_the_side_stream_it_does_not(cuda: Executor, tmp_path: Path) -> None:
    from tests.reports.helpers import finding  # noqa: PLC0415 - imports torch, which children are not to do with this file

    (failure,) = cuda.run(CASE, []).failures
    ready = cuda.start()
    for case, status in ((CASE, 1), (BY_DEFAULT, 0)):
        item = finding("quantize_4bit", "wrong value", case, how=failure.how, system=ready.system, grade="definitely wrong")
        script = tmp_path / "repro.py"
        script.write_text(write_script(item), encoding="utf-8")
        assert subprocess.run([sys.executable, str(script)], check=False).returncode == status


class Hasty:
    """`dequantize_linear` as a library would do it that has a stream of its own and does not wait for its caller's."""

    def __init__(self) -> None:
        self.stream: torch.cuda.Stream | None = None

    def __call__(self, prepared: Prepared) -> torch.Tensor:
        import torch  # noqa: PLC0415 - the parent must not

        from fuzz.engine import calls  # noqa: PLC0415

        self.stream = self.stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self.stream):
            result = calls.dequantize_linear(prepared)
        self.stream.synchronize()  # so that only the inputs can be unfinished, not the result
        return result


class Legacy:
    """The same on the default stream, as a kernel is launched that is told of no stream."""

    def __call__(self, prepared: Prepared) -> torch.Tensor:
        import torch  # noqa: PLC0415

        from fuzz.engine import calls  # noqa: PLC0415

        with torch.cuda.stream(torch.cuda.default_stream()):
            result = calls.dequantize_linear(prepared)
        torch.cuda.default_stream().synchronize()
        return result


class Faulty:
    """Children in which `dequantize_linear` is `run`."""

    def __init__(self, run: Hasty | Legacy) -> None:
        self._run = run

    def __call__(self, pipe: Connection, device: str, log: str, watchdog: float) -> None:
        """Serve."""
        from fuzz.engine import paths  # noqa: PLC0415 - imports torch

        changed = tuple(dataclasses.replace(path, run=self._run) if path.name == "dequantize_linear" else path for path in paths.PATHS)
        paths.PATHS = changed  # type: ignore[misc] # in this child only
        worker.serve(pipe, device, log, watchdog)


@pytest.fixture
def faulty(cuda: Executor, request: pytest.FixtureRequest) -> Iterator[Executor]:
    """An executor whose children have the fault; skipped where there is no GPU."""
    assert cuda.ready is not None
    with Executor("cuda", spares=0, serve=Faulty(request.param)) as executor:
        yield executor


@pytest.mark.parametrize("faulty", [Hasty(), Legacy()], indirect=True, ids=["a stream of its own", "the default stream"])
def test_a_call_that_launches_on_another_stream_fails_on_a_side_stream_and_only_there(faulty: Executor) -> None:
    # One term a sum: whichever kernel multiplies on the other stream, its bits are those of the reference.
    case = dataclasses.replace(CASE, activation=Activation(leading=(4,), fill=Fill.ONE_HOT), bias=False)
    plain = fields.replace(case, "execution.stream", CudaStream.DEFAULT)
    assert faulty.run(plain, ["dequantize_linear"]).failures == ()
    for _ in range(3):
        failure = called(faulty.run(case, ["dequantize_linear"]))["dequantize_linear"]
        assert (failure.symptom, failure.grade) == (Symptom.WRONG_VALUE, Grade.DEFINITE)
        assert "nan" in failure.got
        assert faulty.run(plain, ["dequantize_linear"]).failures == (), "what was poisoned is right again"

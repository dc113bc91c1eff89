"""Measuring on the CPU with the installed bitsandbytes, in small shapes, right and with planted faults."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from fuzz.calibrate import grid, measure
from fuzz.calibrate.grid import Shape, settings
from fuzz.calibrate.tally import Tallies
from fuzz.engine.calls import Prepared, prepare
from fuzz.engine.library import Library, inspect_library
from fuzz.engine.path import Path
from fuzz.oracle.arms import Arm
from fuzz.oracle.operands import Nested
from strategies.case import BLOCKSIZES, Case, Fill, FloatDType, Relation
from tests.fuzz.engine.helpers import FUSED, H200, LEGACY, library
from tests.fuzz.engine.subjects import prepared_of, related_case
from tests.fuzz.engine.test_launches import DEQUANTIZE, HOPPER, SIMT, SM80

pytest.importorskip("bitsandbytes")

STRIDE = 41
"""Coprime to every dimension of the grid, so that everything occurs among the 22 settings that are left."""


@pytest.fixture
def loaded() -> Library:
    """The installed bitsandbytes without the CPU's fused bfloat16 kernel, which aborts the process on some CPUs."""
    return dataclasses.replace(inspect_library("cpu"), cpu_repack=False)


@pytest.fixture(autouse=True)
def deprecations_are_no_defects() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes that take milliseconds."""
    monkeypatch.setattr(grid, "shape_for", lambda _, blocksize: Shape(6, max(blocksize, 64), (1, 3)))


def counted(loaded: Library, stride: int = STRIDE) -> Tallies:
    return measure.measure(loaded, lambda *_: None, stride)


@pytest.mark.usefixtures("_small")
def test_right_kernels_agree_with_their_emulation(loaded: Library) -> None:
    tallies = counted(loaded)
    assert {(row.arm, row.dtype) for row in tallies.rows} == {
        (arm, dtype) for arm in (Arm.LINEAR, Arm.DEQUANTIZE) for dtype in ("bfloat16", "float16", "float32")
    }
    for row in tallies.rows:
        assert (row.outside_bound, row.outside_interval) == (0, 0)
        assert row.nested == (Nested.SEPARATE,)
        assert row.usable
        assert row.different == 0 or row.arm is Arm.LINEAR  # BLAS may take another order for another alignment


@pytest.mark.usefixtures("_small")
def test_every_output_is_counted_once(loaded: Library) -> None:
    plan = list(settings("cpu", loaded.documented_blocksizes))[::STRIDE]
    tallies = counted(loaded)
    assert tallies.outputs == len(plan) * 6 * (1 + 3)
    weights = sum(setting.case.weight.elements for setting in plan)
    assert sum(row.outputs for row in tallies.rows if row.arm is Arm.DEQUANTIZE) == weights
    blocksizes = {value[1] for values in tallies.covered.values() for value in values}
    assert blocksizes == {str(blocksize) for blocksize in loaded.documented_blocksizes}
    assert {value[2] for values in tallies.covered.values() for value in values} == {fill.value for _, fill in grid.CLASSES}


@pytest.mark.usefixtures("_small")
def test_only_documented_blocksizes_are_measured(loaded: Library) -> None:
    tallies = counted(dataclasses.replace(loaded, documented_blocksizes=(128,)), 7)
    assert {value[1] for values in tallies.covered.values() for value in values} == {"128"}


@pytest.mark.usefixtures("_small")
def test_progress_is_told_after_each_setting(loaded: Library) -> None:
    seen: list[tuple[int, int, int]] = []
    measure.measure(loaded, lambda tallies, done, of: seen.append((tallies.outputs, done, of)), 200)
    assert seen == [(24 * done, done, 5) for done in range(1, 6)]


def test_one_setting_of_the_grid_itself(loaded: Library) -> None:
    (row, weights) = counted(loaded, 10**6).rows
    assert (row.arm, row.dtype, row.outputs) == (Arm.LINEAR, "float32", 96 * (1 + 17 + 65))
    assert (weights.arm, weights.dtype, weights.outputs) == (Arm.DEQUANTIZE, "float32", 96 * 256)
    assert row.usable
    assert weights.ordered


def _spoilt(path: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    return dataclasses.replace(path, run=lambda prepared: change(path.run(prepared)))


def _far_off(result: torch.Tensor) -> torch.Tensor:
    changed = result.clone()
    changed.view(-1)[0] = changed.abs().max() * 2 + 1
    return changed


def _last_bit(result: torch.Tensor) -> torch.Tensor:
    changed = result.clone()
    changed.view(-1)[0] = torch.nextafter(changed.view(-1)[0], torch.tensor(torch.inf, dtype=changed.dtype))
    return changed


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(("name", "arm"), [("_MATMUL", Arm.LINEAR), ("_DEQUANTIZE", Arm.DEQUANTIZE)])
def test_a_wrong_output_is_counted_as_beyond_the_bound(loaded: Library, monkeypatch: pytest.MonkeyPatch, name: str, arm: Arm) -> None:
    monkeypatch.setattr(measure, name, _spoilt(getattr(measure, name), _far_off))
    rows = {row.dtype: row for row in counted(loaded, 200).rows if row.arm is arm}
    calls = 5 if arm is Arm.DEQUANTIZE else 10
    for counts in ("outside_bound", "outside_interval", "different"):
        assert sum(getattr(row, counts) for row in rows.values()) == calls
    assert not any(row.usable for row in rows.values())
    others = [row for row in counted(loaded, 200).rows if row.arm is not arm]
    assert all(row.usable for row in others)


@pytest.mark.usefixtures("_small")
def test_a_last_bit_of_a_weight_is_counted_as_other_bits(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_DEQUANTIZE", _spoilt(measure._DEQUANTIZE, _last_bit))
    rows = [row for row in counted(loaded, 200).rows if row.arm is Arm.DEQUANTIZE]
    assert sum(row.different for row in rows) == 5
    assert not any(row.ordered for row in rows)


def _in_bfloat16(prepared: Prepared) -> torch.Tensor:
    """What the CPU's fused kernel computes, more exactly: from the weight that the packed one stands for."""
    from bitsandbytes import functional  # noqa: PLC0415

    weight = functional.dequantize_4bit(prepared.packed, prepared.own_state()).bfloat16()
    result = torch.nn.functional.linear(prepared.activation.bfloat16(), weight).to(prepared.activation.dtype)
    return result if prepared.bias is None else result + prepared.bias


@pytest.mark.usefixtures("_small")
def test_a_kernel_without_an_emulation_is_judged_by_its_bound_alone(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_LINEAR4BIT", dataclasses.replace(measure._LINEAR4BIT, run=_in_bfloat16))
    rows = [row for row in counted(dataclasses.replace(loaded, cpu_repack=True)).rows if row.arm is Arm.CPU_BF16]
    assert {row.dtype for row in rows} == {"bfloat16", "float16", "float32"}
    for row in rows:
        assert (row.nested, row.outside_bound) == ((), 0)
        assert not row.usable
    assert sum(row.outputs for row in rows) == 22 * 24


def test_rows_that_are_not_filled_repeat_the_filled_ones_rotated() -> None:
    tall = measure._tall(Fill.NORMAL, (150, 64), 3, "cpu", torch.float32)
    assert tall.shape == (150, 64)
    for number in range(3):
        rows = tall[64 * number : 64 * (number + 1)]
        assert torch.equal(rows, torch.roll(tall[:64], 2 * number, dims=1)[: len(rows)])
    assert len({tuple(row.tolist()) for row in tall}) == 150


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 128, 200])
@pytest.mark.parametrize("bias", [False, True])
def test_inputs_are_those_of_the_case(rows: int, bias: bool) -> None:  # noqa: FBT001
    (setting, *_) = settings("cpu", BLOCKSIZES)
    case = setting.with_rows(rows, bias=bias)
    inputs = measure._inputs(case, "cpu")
    assert inputs.weight.shape == (96, 256)
    assert inputs.activation.shape == (rows, 256)
    assert inputs.weight.dtype == inputs.activation.dtype == torch.float32
    assert (inputs.bias is not None) is bias
    assert inputs.bias is None or inputs.bias.shape == (96,)


def on_gpu(**changes: Any) -> Prepared:
    """A product that the rules of 0.50 send to the tensor cores of an H200, in the eyes of the dispatch."""
    sizes = {"outputs": 640, "terms": 64, "leading": (40,), **changes}
    case = related_case(Relation.NONE, dtype=FloatDType.BFLOAT16, **sizes)
    return prepared_of(case, library(device="cuda", gpu=H200, rule=True))


def _witnessed(monkeypatch: pytest.MonkeyPatch, prepared: Prepared, names: tuple[str, ...], seen: set[tuple[object, ...]]) -> int:
    """How often the profiler was asked."""
    asked = 0

    def launched(call: Callable[[], Any]) -> tuple[str, ...]:
        nonlocal asked
        assert callable(call)
        asked += 1
        return names

    monkeypatch.setattr(measure, "launched", launched)
    measure._witness(measure._MATMUL, prepared, seen)
    return asked


def test_the_profiler_is_asked_once_for_a_shape_and_a_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[object, ...]] = set()
    assert _witnessed(monkeypatch, on_gpu(), (SM80,), seen) == 1
    assert _witnessed(monkeypatch, on_gpu(seed=7), (SM80,), seen) == 0
    assert _witnessed(monkeypatch, on_gpu(leading=(41,)), (SM80,), seen) == 1
    assert _witnessed(monkeypatch, on_gpu(outputs=642), (SM80,), seen) == 1


def test_another_kernel_than_the_dispatch_names_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in ((SIMT,), (DEQUANTIZE, HOPPER), (SIMT, SM80)):
        with pytest.raises(measure.DispatchError, match=r"expected \['tensor_core'\], but these kernels ran: .*void ") as caught:
            _witnessed(monkeypatch, on_gpu(), names, set())
        assert all(name in str(caught.value) for name in names)


def test_a_profiler_that_sees_nothing_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _witnessed(monkeypatch, on_gpu(), (), set()) == 1


def test_on_a_cpu_nothing_is_profiled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _witnessed(monkeypatch, prepared_of(related_case(Relation.NONE)), (SIMT,), set()) == 0


@pytest.mark.parametrize(
    ("loaded", "rows", "names"),
    [
        (library(), 1, ["matmul_4bit"]),
        (library(cpu_repack=True), 1, ["matmul_4bit", "linear4bit"]),
        (FUSED, 1, ["matmul_4bit", "gemv_4bit"]),
        (FUSED, 2, ["matmul_4bit"]),
        (LEGACY, 1, ["matmul_4bit", "gemv_4bit"]),
    ],
)
def test_the_paths_that_reach_a_kernel_of_their_own_are_measured(loaded: Library, rows: int, names: list[str]) -> None:
    case = related_case(Relation.NONE, leading=(rows,))
    assert [path.name for path in measure._paths(case, loaded)] == names


def test_settings_have_a_bias_and_none_at_every_number_of_rows(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[int, bool]] = set()

    def watch(path: Path, prepared: Prepared, *_: object) -> None:
        assert path is measure._MATMUL
        seen.add((prepared.case.activation.rows, prepared.bias is not None))

    monkeypatch.setattr(measure, "_count", watch)
    monkeypatch.setattr(grid, "shape_for", lambda _, blocksize: Shape(2, blocksize, (1, 2, 3)))
    measure.measure(loaded, lambda *_: None, 200)
    assert seen == {(rows, bias) for rows in (1, 2, 3) for bias in (False, True)}


def test_a_setting_is_quantized_once_for_all_of_its_rows(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    quantized: list[Case] = []

    def watch(*args: Any) -> Prepared:
        quantized.append(args[0])
        return prepare(*args)

    monkeypatch.setattr(measure, "prepare", watch)
    monkeypatch.setattr(grid, "shape_for", lambda _, blocksize: Shape(2, blocksize, (1, 2, 3)))
    assert counted(loaded, 200).outputs == 5 * 2 * (1 + 2 + 3)
    assert len(quantized) == 5

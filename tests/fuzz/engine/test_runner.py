"""One Case in this process, with the real bitsandbytes on the CPU, right and with planted faults.

Paths that end in the CPU's fused bfloat16 kernel are left out: there are CPUs on which it aborts the process.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from fuzz.engine import paths
from fuzz.engine.calls import Prepared, gemm_op
from fuzz.engine.judge_quantize import OF_TABLES
from fuzz.engine.library import Library, inspect_library
from fuzz.engine.provocation import REPETITIONS, Provocation
from fuzz.engine.runner import Selection, quiet, run_case
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from fuzz.oracle.operands import code_table
from strategies import fields
from strategies.case import Activation, Case, Fill, FloatDType, Layout, PackedView, Quantization, QuantType, Relation, StorageDType, Weight

SAFE = ("dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemm_4bit_op")
CASE = Case(
    weight=Weight(out_features=64, in_features=128, fill=Fill.NORMAL),
    quantization=Quantization(blocksize=64),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
)


@pytest.fixture(scope="module")
def loaded() -> Library:
    found = inspect_library("cpu")
    if not found.fused:
        pytest.skip("this bitsandbytes has no gemm_4bit")
    return found


@pytest.fixture(autouse=True)
def deprecations_are_no_verdicts() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def run(case: Case, loaded: Library, only: tuple[str, ...] = SAFE, skip: tuple[str, ...] = ()) -> dict[str, PathVerdict]:
    announced: list[str] = []

    def announce(verdict: PathVerdict) -> None:
        assert verdict.symptom is None
        announced.append(verdict.path)

    judged: list[str] = []
    verdicts = list(run_case(case, loaded, announce, Selection(only=only, skip=skip), lambda: judged.append(announced[-1])))
    # A quantization whose tables are wrong is made twice, and each time it is said and judged.
    assert [verdict.path for verdict in verdicts] == [path for path, _ in itertools.groupby(announced)]
    assert judged == [path for path in announced if path in judged]
    again = [path for path, group in itertools.groupby(announced) if len(list(group)) > 1]
    assert again == [verdict.path for verdict in verdicts if verdict.how in OF_TABLES]
    assert {verdict.path for verdict in verdicts if verdict.model is not None} <= set(judged)
    return {verdict.path: verdict for verdict in verdicts}


def symptoms(verdicts: dict[str, PathVerdict]) -> dict[str, Symptom]:
    return {path: verdict.symptom for path, verdict in verdicts.items() if verdict.symptom}


@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_plainly_valid_case_has_no_finding(loaded: Library, dtype: FloatDType, quant_type: QuantType, compressed: bool) -> None:  # noqa: FBT001
    case = fields.replace(CASE, "weight.dtype", dtype)
    case = fields.replace(fields.replace(case, "quantization.quant_type", quant_type), "quantization.compress_statistics", compressed)
    verdicts = run(case, loaded)
    assert list(verdicts) == ["quantize_4bit", *SAFE]
    assert symptoms(verdicts) == {}
    for verdict in verdicts.values():
        assert verdict.ruling is Ruling.VALID
        assert verdict.got == ""
        if verdict.path != "quantize_4bit":
            assert verdict.model is not None
            assert (verdict.error_over_bound or 0.0) <= 1.01


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("leading", [(), (1,), (2, 3)])
def test_fills_and_ranks_have_no_finding(loaded: Library, fill: Fill, leading: tuple[int, ...]) -> None:
    case = dataclasses.replace(CASE, activation=Activation(leading=leading, fill=fill), weight=dataclasses.replace(CASE.weight, fill=fill))
    assert symptoms(run(case, loaded)) == {}


@pytest.mark.parametrize("storage", StorageDType)
@pytest.mark.parametrize("packed", PackedView)
def test_storage_dtypes_and_views_have_no_finding(loaded: Library, storage: StorageDType, packed: PackedView) -> None:
    case = fields.replace(fields.replace(CASE, "quantization.storage", storage), "packed", packed)
    assert symptoms(run(case, loaded)) == {}


def test_in_out_is_right_on_the_matrix_paths(loaded: Library) -> None:
    case = fields.replace(CASE, "weight.layout", Layout.IN_OUT)
    verdicts = run(case, loaded, ("dequantize_4bit", "dequantize_linear", "matmul_4bit"))
    assert len(verdicts) == 4
    assert symptoms(verdicts) == {}


def test_mixed_dtypes_are_right(loaded: Library) -> None:
    case = fields.replace(fields.replace(CASE, "weight.dtype", FloatDType.BFLOAT16), "activation.dtype", FloatDType.FLOAT32)
    assert symptoms(run(case, loaded)) == {}


def test_only_runs_what_is_asked_for_and_what_that_requires(loaded: Library) -> None:
    assert list(run(CASE, loaded, ())) == ["quantize_4bit"]
    assert list(run(CASE, loaded, ("dequantize_4bit",))) == ["quantize_4bit", "dequantize_4bit"]
    assert list(run(CASE, loaded, ("dequantize_linear",))) == ["quantize_4bit", "dequantize_4bit", "dequantize_linear"]


def test_only_leaves_out_paths_that_do_not_apply(loaded: Library) -> None:
    assert list(run(CASE, loaded, ("gemv_4bit",), skip=("dequantize_4bit",))) == ["quantize_4bit"]  # two rows


def test_skip_leaves_out_a_path_and_what_requires_it(loaded: Library) -> None:
    assert list(run(CASE, loaded, skip=("matmul_4bit",))) == ["quantize_4bit", "dequantize_4bit", "dequantize_linear", "gemm_4bit_op"]
    assert "dequantize_linear" not in run(CASE, loaded, skip=("dequantize_4bit",))


def _patched(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kwargs: change(original(*args, **kwargs)))


def _raise(result: torch.Tensor) -> torch.Tensor:
    raise RuntimeError(f"no kernel for {result.shape}")


def _one_wrong(result: torch.Tensor) -> torch.Tensor:
    changed = result.clone()
    changed.view(-1)[5] += 1
    return changed


@pytest.mark.parametrize(
    ("change", "symptom"),
    [
        (_one_wrong, Symptom.WRONG_VALUE),
        (lambda result: result * float("nan"), Symptom.WRONG_VALUE),
        (lambda result: result.t(), Symptom.WRONG_SHAPE),
        (lambda result: result.double(), Symptom.WRONG_DTYPE),
        (_raise, Symptom.UNEXPECTED_EXCEPTION),
    ],
)
def test_a_planted_fault_in_matmul_is_seen_there_and_only_there(
    loaded: Library, monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor], torch.Tensor], symptom: Symptom
) -> None:
    _patched(monkeypatch, bitsandbytes, "matmul_4bit", change)
    assert symptoms(run(CASE, loaded)) == {"matmul_4bit": symptom}


def test_a_wrong_weight_is_seen_once_and_not_again_where_it_is_multiplied(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    _patched(monkeypatch, functional, "dequantize_4bit", _one_wrong)
    verdicts = run(CASE, loaded)
    assert symptoms(verdicts) == {"dequantize_4bit": Symptom.WRONG_VALUE}
    assert "dequantize_linear" not in verdicts


def _lose_context(result: torch.Tensor) -> torch.Tensor:
    raise RuntimeError(f"CUDA error: an illegal memory access was encountered {result.shape}")


def test_after_a_lost_context_nothing_more_is_run(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    _patched(monkeypatch, functional, "dequantize_4bit", _lose_context)
    verdicts = run(CASE, loaded)
    assert list(verdicts) == ["quantize_4bit", "dequantize_4bit"]
    assert verdicts["dequantize_4bit"].symptom is Symptom.CONTEXT_LOST


class Spoiler:
    """Lets a function return one wrong number, in its call number `at` only."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, result: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return _one_wrong(result) if self.calls == self.at else result


def provoked(case: Case, loaded: Library, provocation: Provocation, *only: str) -> tuple[dict[str, PathVerdict], Counter[str]]:
    """The verdicts, and how often each path was announced."""
    announced: list[PathVerdict] = []
    verdicts = list(run_case(case, loaded, announced.append, Selection(only=only, provocation=provocation)))
    return {verdict.path: verdict for verdict in verdicts}, Counter(verdict.path for verdict in announced)


@pytest.mark.parametrize("at", [1, 2, REPETITIONS])
def test_repetition_sees_one_failure_in_any_call_and_ends_with_it(loaded: Library, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    spoiler = Spoiler(at)
    _patched(monkeypatch, bitsandbytes, "matmul_4bit", spoiler)
    verdicts, announced = provoked(CASE, loaded, Provocation.REPETITION, "matmul_4bit")
    assert symptoms(verdicts) == {"matmul_4bit": Symptom.WRONG_VALUE}
    assert spoiler.calls == announced["matmul_4bit"] == at, "each call is announced, so that the watchdog counts for one"


def test_repetition_finds_nothing_in_what_is_right(loaded: Library) -> None:
    verdicts, announced = provoked(CASE, loaded, Provocation.REPETITION, *SAFE)
    assert list(verdicts) == ["quantize_4bit", *SAFE]
    assert symptoms(verdicts) == {}
    assert {announced[path] for path in SAFE} == {REPETITIONS}


def test_a_call_that_is_not_repeated_is_made_once(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiler = Spoiler(2)
    _patched(monkeypatch, bitsandbytes, "matmul_4bit", spoiler)
    verdicts, announced = provoked(CASE, loaded, Provocation.NONE, "matmul_4bit")
    assert symptoms(verdicts) == {}
    assert spoiler.calls == announced["matmul_4bit"] == 1


def test_what_is_only_required_is_not_repeated(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dequantize_4bit` is called once on its own, then for each product: the failure is that of the product."""
    _patched(monkeypatch, functional, "dequantize_4bit", Spoiler(3))
    verdicts, announced = provoked(CASE, loaded, Provocation.REPETITION, "dequantize_linear")
    assert symptoms(verdicts) == {"dequantize_linear": Symptom.WRONG_VALUE}
    assert announced == {"quantize_4bit": 1, "dequantize_4bit": 1, "dequantize_linear": 2}


def test_a_relation_is_judged_anew_in_each_repetition(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiler = Spoiler(6)
    _patched(monkeypatch, functional, "dequantize_4bit", spoiler)
    case = fields.replace(CASE, "execution.relation", Relation.RERUN)
    verdicts, announced = provoked(case, loaded, Provocation.REPETITION, "dequantize_4bit")
    assert symptoms(verdicts) == {"dequantize_4bit": Symptom.BROKEN_RELATION}
    assert announced["dequantize_4bit"] == spoiler.calls == 6


@pytest.mark.parametrize("at", [1, REPETITIONS])
def test_quantizing_is_repeated_when_nothing_else_is_asked_for(loaded: Library, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    calls = 0

    def other_block_at(packed: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        nonlocal calls
        calls += 1
        return _other_block(packed, state) if calls == at else (packed, state)

    _quantized(monkeypatch, other_block_at)
    verdicts, announced = provoked(CASE, loaded, Provocation.REPETITION)
    assert symptoms(verdicts) == {"quantize_4bit": Symptom.WRONG_VALUE}
    assert announced == {"quantize_4bit": at}


def test_a_pending_producer_means_nothing_on_the_cpu(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cuda, "_sleep")
    verdicts, announced = provoked(CASE, loaded, Provocation.PENDING_PRODUCER, *SAFE)
    assert symptoms(verdicts) == {}
    assert set(announced.values()) == {1}


def _quantized(monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor, Any], tuple[torch.Tensor, Any]]) -> None:
    original = functional.quantize_4bit
    monkeypatch.setattr(functional, "quantize_4bit", lambda *args, **kwargs: change(*original(*args, **kwargs)))


def _with(name: str, change: Callable[[Any], Any]) -> Callable[[torch.Tensor, Any], tuple[torch.Tensor, Any]]:
    def apply(packed: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        setattr(state, name, change(getattr(state, name)))
        return packed, state

    return apply


def _other_map(packed: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
    state.state2.code = state.state2.code * 1.01
    return packed, state


def _other_block(packed: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
    changed = packed.clone()
    changed[5] = 255 - changed[5]
    return changed, state


@pytest.mark.parametrize(
    ("change", "symptom", "how"),
    [
        (lambda packed, state: (packed[:-1], state), Symptom.WRONG_SHAPE, "packed weight too short"),
        (lambda packed, state: (packed.view(torch.int8), state), Symptom.WRONG_DTYPE, "dtype of the packed weight"),
        (_with("absmax", lambda absmax: absmax[:-1]), Symptom.WRONG_SHAPE, "blocks of statistics"),
        (_with("shape", lambda shape: shape[::-1]), Symptom.WRONG_SHAPE, "shape of the state"),
    ],
)
def test_what_cannot_be_decoded_ends_the_case(
    loaded: Library,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[torch.Tensor, Any], tuple[torch.Tensor, Any]],
    symptom: Symptom,
    how: str,
) -> None:
    _quantized(monkeypatch, change)
    case = fields.replace(CASE, "quantization.compress_statistics", value=True)
    (verdict,) = run(case, loaded).values()
    assert (verdict.path, verdict.symptom, verdict.how) == ("quantize_4bit", symptom, how)


@pytest.mark.parametrize(("change", "how"), [(_other_map, "8-bit map"), (_other_block, "codes")])
def test_what_is_quantized_wrongly_is_still_multiplied_rightly(
    loaded: Library, monkeypatch: pytest.MonkeyPatch, change: Callable[[torch.Tensor, Any], tuple[torch.Tensor, Any]], how: str
) -> None:
    """The paths are judged by what is stored, so that one defect is one finding."""
    _quantized(monkeypatch, change)
    verdicts = run(fields.replace(CASE, "quantization.compress_statistics", value=True), loaded)
    assert symptoms(verdicts) == {"quantize_4bit": Symptom.WRONG_VALUE}
    assert verdicts["quantize_4bit"].how == how
    assert list(verdicts) == ["quantize_4bit", *SAFE]


def test_wrong_statistics_are_seen_through_the_product(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state says one thing and the fused op uses another: one block's scale is its neighbour's."""

    def wrong(prepared: Prepared) -> torch.Tensor:
        state = prepared.own_state()
        state.absmax = state.absmax.clone()
        state.absmax[3] = state.absmax[2]
        return gemm_op(dataclasses.replace(prepared, state=state))

    broken = tuple(dataclasses.replace(path, run=wrong) if path.name == "gemm_4bit_op" else path for path in paths.PATHS)
    monkeypatch.setattr(paths, "PATHS", broken)
    assert symptoms(run(CASE, loaded)) == {"gemm_4bit_op": Symptom.WRONG_VALUE}


def test_an_undocumented_blocksize_has_to_be_refused_by_quantize(loaded: Library) -> None:
    narrow = dataclasses.replace(loaded, documented_blocksizes=(128,))
    (verdict,) = run(CASE, narrow).values()
    assert verdict.symptom is Symptom.MISSING_ERROR
    assert verdict.ruling is Ruling.INVALID


def test_a_refusal_by_quantize_is_right_for_what_is_not_documented(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("invalid blocksize")

    monkeypatch.setattr(functional, "quantize_4bit", refuse)
    (verdict,) = run(CASE, dataclasses.replace(loaded, documented_blocksizes=(128,))).values()
    assert verdict.symptom is None
    (verdict,) = run(CASE, loaded).values()
    assert (verdict.symptom, verdict.how) == (Symptom.UNEXPECTED_EXCEPTION, "ValueError")


def test_gradients_are_on_for_the_paths_exactly_when_the_case_says_so(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, bool]] = []
    original = bitsandbytes.matmul_4bit

    def watch(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        seen.append((torch.is_grad_enabled(), x.requires_grad))
        result: torch.Tensor = original(x, *args, **kwargs)
        return result

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", watch)
    for grad in (False, True):
        assert symptoms(run(fields.replace(CASE, "execution.grad", grad), loaded, ("matmul_4bit",))) == {}
    assert seen == [(False, False), (True, True)]


def test_quiet_silences_warnings_and_the_log_of_bitsandbytes() -> None:
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            quiet()
            warnings.warn("slow path", UserWarning, stacklevel=1)
        assert not logger.isEnabledFor(logging.WARNING)
    finally:
        logger.setLevel(level)


@pytest.mark.parametrize("fill", [CASE.weight.fill, Fill.NAN, Fill.INFINITE])
def test_after_a_wrong_code_table_the_published_one_is_handed_on(loaded: Library, monkeypatch: pytest.MonkeyPatch, fill: Fill) -> None:
    """Otherwise a kernel that reads the stored table would be blamed for what `quantize_4bit` stored."""
    handed: list[torch.Tensor] = []
    quantize, dequantize = functional.quantize_4bit, functional.dequantize_4bit

    def rounded(*arguments: Any, **named: Any) -> Any:
        packed, state = quantize(*arguments, **named)
        state.code = state.code.half().float()
        return packed, state

    def spied(packed: torch.Tensor, quant_state: Any, *arguments: Any, **named: Any) -> Any:
        handed.append(quant_state.code)
        return dequantize(packed, quant_state, *arguments, **named)

    monkeypatch.setattr(functional, "quantize_4bit", rounded)
    monkeypatch.setattr(functional, "dequantize_4bit", spied)
    verdicts = run(fields.replace(CASE, "weight.fill", fill), loaded, ("dequantize_4bit",))
    assert (verdicts["quantize_4bit"].symptom, verdicts["quantize_4bit"].how) == (Symptom.WRONG_VALUE, "code table")
    assert verdicts["dequantize_4bit"].symptom is None
    assert torch.equal(handed[0], code_table(QuantType.NF4))

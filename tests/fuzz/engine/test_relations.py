"""When a relation must hold, and that a right kernel keeps it, bit for bit."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from fuzz.engine import related
from fuzz.engine.calls import Prepared
from fuzz.engine.library import Library
from fuzz.engine.path import Path
from fuzz.engine.paths import BY_NAME
from fuzz.engine.relations import RULES, Rule, applies, second_call
from fuzz.oracle.arms import Arm
from fuzz.oracle.codebooks import NF4
from strategies.case import Case, Fill, FloatDType, Layout, PackedView, Quantization, QuantType, Relation, StorageDType
from tests.fuzz.engine.helpers import FUSED, H200, library, prepared_by_hand
from tests.fuzz.engine.subjects import EMULATED, ON_ONE_DEVICE, path_with, prepared_of, related_case, right

WEIGHT_RELATIONS = {
    Relation.SCALED_WEIGHT,
    Relation.PERMUTED_OUTPUTS,
    Relation.APPENDED_ZEROS,
    Relation.HALVED_BLOCKSIZE,
    Relation.STORAGE_VIEW,
    Relation.SECOND_GPU,
}
ROWS_AND_COLUMNS = {Relation.ROW_ALONE, Relation.PERMUTED_ROWS, Relation.PERMUTED_OUTPUTS, Relation.APPENDED_ZEROS}
SHAPES = [(6, 128, 64, (3,)), (5, 64, 64, (2, 2)), (3, 1280, 256, (2,)), (7, 96, 32, (2,))]
"""Outputs, terms, blocksize, leading: one and several rounds of 1024 lanes, whole ones and not, ranks 2 and 3."""

DOUBLINGS = [Relation.SCALED_ACTIVATION, Relation.SCALED_WEIGHT]
MOST_DOUBLED = 512
"""Terms up to which a sum of these activations and weights is sure to stay in float16's range when it is doubled."""


def test_every_relation_but_none_has_a_rule() -> None:
    assert set(RULES) == set(Relation) - {Relation.NONE}


def test_every_rule_says_why_in_its_own_words() -> None:
    assert all(len(rule.source.split()) >= 5 for rule in RULES.values())
    assert all("\n" not in rule.source for rule in RULES.values())


def test_rules_that_change_the_weight_are_marked() -> None:
    assert {relation for relation, rule in RULES.items() if rule.on_weight} == WEIGHT_RELATIONS


def held(relation: Relation, arm: Arm) -> bool:
    """Whether the relation is one of `arm`, said independently of the rules."""
    if arm is Arm.TRITON_QUANTIZE:
        return False
    if arm in {Arm.DEQUANTIZE, Arm.TRITON_DEQUANTIZE}:
        return relation in {Relation.RERUN, Relation.SCALED_WEIGHT, Relation.HALVED_BLOCKSIZE, Relation.STORAGE_VIEW}
    if relation in ROWS_AND_COLUMNS:
        return arm in {Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE}
    if relation is Relation.ZERO_BIAS:
        return arm in {Arm.SIMT, Arm.TENSOR_CORE}
    if relation in {Relation.SCALED_WEIGHT, Relation.HALVED_BLOCKSIZE}:
        return arm is not Arm.CPU_BF16
    return True


@pytest.mark.parametrize("arm", Arm)
@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_a_relation_is_asked_of_the_kernels_that_it_is_true_of(relation: Relation, arm: Arm) -> None:
    assert (second_call(path_with(arm), prepared_of(related_case(relation))) is not None) is held(relation, arm)


def _subjects(relation: Relation, arm: Arm, dtype: FloatDType) -> Iterator[Prepared]:
    """Cases of a relation and a kernel: every shape with and without a bias, both quant types, rows for kernels that take them."""
    biases = (False,) if relation is Relation.ZERO_BIAS or arm is Arm.GEMV else (False, True)
    for number, ((outputs, terms, blocksize, leading), bias) in enumerate(itertools.product(SHAPES, biases)):
        if relation in DOUBLINGS and dtype is FloatDType.FLOAT16 and terms > MOST_DOUBLED:
            continue
        one_row = arm is Arm.GEMV and relation not in {Relation.ROW_ALONE, Relation.PERMUTED_ROWS}
        quantization = Quantization(
            quant_type=list(QuantType)[number % 2], blocksize=max(blocksize, 64) if relation is Relation.HALVED_BLOCKSIZE else blocksize
        )
        case = related_case(
            relation,
            outputs=outputs,
            terms=terms,
            leading=((), (1,), (1, 1))[number % 3] if one_row else leading,
            dtype=dtype,
            bias=bias,
            quantization=quantization,
            seed=number,
        )
        yield prepared_of(case)


KEPT = [
    pytest.param(relation, arm, dtype, id=f"{relation.value}-{arm.value}-{dtype.value}")
    for relation, arm, dtype in itertools.product(ON_ONE_DEVICE, EMULATED, FloatDType)
    if held(relation, arm) and not (arm is Arm.TENSOR_CORE and dtype is FloatDType.FLOAT32)
]


@pytest.mark.parametrize(("relation", "arm", "dtype"), KEPT)
def test_a_right_kernel_keeps_it_bit_for_bit(relation: Relation, arm: Arm, dtype: FloatDType) -> None:
    path, kernel = path_with(arm), right(arm)
    for prepared in _subjects(relation, arm, dtype):
        related = second_call(path, prepared)
        assert related is not None
        rule, second = related
        expected = rule.expect(kernel(prepared), path, second)
        result = kernel(second)
        assert result.shape == second_shape(path, second)
        assert torch.equal(result.reshape(expected.shape), expected)
        assert bool(expected.isfinite().all())


def second_shape(path: Path, second: Prepared) -> tuple[int, ...]:
    return second.case.weight.stored_shape if path.yields_weight else second.case.output_shape


@pytest.mark.parametrize("relation", [relation for relation in ON_ONE_DEVICE if relation is not Relation.RERUN])
def test_the_second_call_is_another_call(relation: Relation) -> None:
    """A relation between a call and itself would say nothing."""
    prepared = prepared_of(related_case(relation, bias=relation is not Relation.ZERO_BIAS))
    related = second_call(path_with(Arm.SIMT), prepared)
    assert related is not None
    second = related[1]
    assert any(not _equal(getattr(prepared, name), getattr(second, name)) for name in ("activation", "bias", "packed")) or not torch.equal(
        prepared.state.absmax, second.state.absmax
    )


def _equal(first: torch.Tensor | None, second: torch.Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.dtype == second.dtype and torch.equal(first, second)


@pytest.mark.parametrize("leading", [(3,), (2, 2), (5, 1)])
def test_what_follows_from_the_first_result(leading: tuple[int, ...]) -> None:
    prepared = prepared_of(related_case(Relation.RERUN, leading=leading, bias=True))
    path, result = path_with(Arm.SIMT), right(Arm.SIMT)(prepared)
    assert prepared.bias is not None
    matrix = result.reshape(-1, 6)
    expected = {
        Relation.RERUN: result,
        Relation.SIGN: -result,
        Relation.ZERO_INPUT: prepared.bias.expand_as(result),
        Relation.SCALED_ACTIVATION: result + result,
        Relation.SCALED_WEIGHT: result + result,
        Relation.ZERO_BIAS: result,
        Relation.ROW_ALONE: matrix[:1],
        Relation.PERMUTED_ROWS: torch.stack(list(reversed(matrix.unbind()))),
        Relation.PERMUTED_OUTPUTS: torch.stack(list(reversed(result.unbind(-1))), -1),
        Relation.APPENDED_ZEROS: result,
        Relation.HALVED_BLOCKSIZE: result,
        Relation.STORAGE_VIEW: result,
        Relation.SECOND_GPU: result,
    }
    assert set(expected) == set(RULES)
    for relation, rule in RULES.items():
        assert torch.equal(rule.expect(result, path, prepared), expected[relation]), relation


def test_zero_input_gives_zero_without_a_bias_and_on_paths_that_add_none() -> None:
    expect = RULES[Relation.ZERO_INPUT].expect
    with_bias = prepared_of(related_case(Relation.ZERO_INPUT, leading=(1,), bias=True))
    result = torch.ones(1, 6)
    assert torch.equal(expect(result, path_with(Arm.GEMV), with_bias), torch.zeros(1, 6))
    assert torch.equal(expect(result, path_with(Arm.SIMT), dataclasses.replace(with_bias, bias=None)), torch.zeros(1, 6))


def changed(relation: Relation, **parts: dict[str, Any]) -> Case:
    """A related Case with fields of its parts replaced."""
    case = related_case(relation)
    replaced = {name: dataclasses.replace(getattr(case, name), **fields) for name, fields in parts.items()}
    return dataclasses.replace(case, **replaced)


def _with_storage(storage: StorageDType, relation: Relation, *, outputs: int, terms: int) -> Case:
    return changed(relation, weight={"out_features": outputs, "in_features": terms}, quantization={"storage": storage})


COMPRESSED = {"compress_statistics": True}
NOT_HELD = {
    "sign, compressed": (changed(Relation.SIGN, quantization=COMPRESSED), True),
    "scaled activation, compressed": (changed(Relation.SCALED_ACTIVATION, quantization=COMPRESSED), True),
    "scaled activation, near overflow": (changed(Relation.SCALED_ACTIVATION, activation={"fill": Fill.HUGE}), False),
    "scaled activation, near overflow by the weight": (changed(Relation.SCALED_ACTIVATION, weight={"fill": Fill.HUGE}), False),
    "scaled activation, near underflow": (changed(Relation.SCALED_ACTIVATION, activation={"fill": Fill.TINY}), False),
    "scaled activation, far from overflow in bfloat16": (
        changed(Relation.SCALED_ACTIVATION, activation={"fill": Fill.HUGE}, weight={"dtype": FloatDType.BFLOAT16, "fill": Fill.HUGE}),
        True,
    ),
    "scaled activation, far from underflow in bfloat16": (
        changed(Relation.SCALED_ACTIVATION, activation={"fill": Fill.TINY}, weight={"dtype": FloatDType.BFLOAT16, "fill": Fill.TINY}),
        True,
    ),
    "scaled activation, weight of float16": (
        changed(Relation.SCALED_ACTIVATION, activation={"dtype": FloatDType.FLOAT32, "fill": Fill.HUGE}, weight={"fill": Fill.HUGE}),
        False,
    ),
    "scaled weight, near overflow": (changed(Relation.SCALED_WEIGHT, weight={"fill": Fill.HUGE}), False),
    "scaled weight, compressed": (changed(Relation.SCALED_WEIGHT, quantization=COMPRESSED), False),
    "zero bias, with a bias": (dataclasses.replace(related_case(Relation.ZERO_BIAS), bias=True), False),
    "row alone, one row": (changed(Relation.ROW_ALONE, activation={"leading": (1,)}), False),
    "row alone, rank 1": (changed(Relation.ROW_ALONE, activation={"leading": ()}), False),
    "row alone, rank 3": (changed(Relation.ROW_ALONE, activation={"leading": (2, 1)}), True),
    "permuted rows, one row": (changed(Relation.PERMUTED_ROWS, activation={"leading": (1, 1)}), False),
    "permuted rows, compressed": (changed(Relation.PERMUTED_ROWS, quantization=COMPRESSED), True),
    "permuted outputs, parts of blocks": (changed(Relation.PERMUTED_OUTPUTS, weight={"in_features": 96}), False),
    "permuted outputs, compressed": (changed(Relation.PERMUTED_OUTPUTS, quantization=COMPRESSED), False),
    "permuted outputs, transposed view": (
        dataclasses.replace(related_case(Relation.PERMUTED_OUTPUTS), packed=PackedView.TRANSPOSED),
        False,
    ),
    "appended zeros, parts of blocks": (changed(Relation.APPENDED_ZEROS, weight={"in_features": 129}), False),
    "appended zeros, compressed": (changed(Relation.APPENDED_ZEROS, quantization=COMPRESSED), False),
    "halved blocksize, compressed": (changed(Relation.HALVED_BLOCKSIZE, quantization=COMPRESSED), False),
    "halved blocksize, the smallest": (changed(Relation.HALVED_BLOCKSIZE, quantization={"blocksize": 32}), False),
    "halved blocksize, the largest": (changed(Relation.HALVED_BLOCKSIZE, quantization={"blocksize": 4096}), True),
    "storage view, odd bytes": (changed(Relation.STORAGE_VIEW, weight={"out_features": 1, "in_features": 5}), False),
    "storage view, even bytes": (changed(Relation.STORAGE_VIEW, weight={"out_features": 1, "in_features": 7}), True),
    "storage view, from float32": (_with_storage(StorageDType.FLOAT32, Relation.STORAGE_VIEW, outputs=6, terms=128), True),
    "storage view, transposed view": (dataclasses.replace(related_case(Relation.STORAGE_VIEW), packed=PackedView.TRANSPOSED), False),
    "storage view, compressed": (changed(Relation.STORAGE_VIEW, quantization=COMPRESSED), True),
}
"""A Case by what is special about it, and whether its relation must hold on a kernel that runs both times."""


@pytest.mark.parametrize(("case", "holds"), NOT_HELD.values(), ids=NOT_HELD)
def test_a_relation_is_asked_only_where_its_conditions_hold(case: Case, holds: bool) -> None:  # noqa: FBT001
    assert (second_call(path_with(Arm.SIMT), prepared_of(case)) is not None) is holds


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_nothing_is_asked_of_the_other_layout(relation: Relation) -> None:
    prepared = prepared_of(related_case(relation))
    weight = dataclasses.replace(prepared.case.weight, layout=Layout.IN_OUT)
    assert second_call(path_with(Arm.SIMT), prepared_of(dataclasses.replace(prepared.case, weight=weight))) is None


@pytest.mark.parametrize("arm", Arm)
def test_nothing_is_asked_of_a_case_without_a_relation(arm: Arm) -> None:
    assert second_call(path_with(arm), prepared_of(related_case(Relation.NONE))) is None


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_linear4bit_quantizes_its_own_weight(relation: Relation) -> None:
    """Relations on the weight cannot be asked of a module that makes packed weight and statistics itself."""
    layer = dataclasses.replace(BY_NAME["linear4bit"], arms=lambda case, library: (Arm.SIMT,))  # noqa: ARG005
    assert (second_call(layer, prepared_of(related_case(relation))) is not None) is (relation not in WEIGHT_RELATIONS)


def by_hand(relation: Relation, x: torch.Tensor, scale: float, *, bias: torch.Tensor | None = None) -> Prepared:
    """Two outputs of 32 terms, every code 1.0 but two, with the same scale in both blocks."""
    index = torch.full((2, x.shape[-1]), NF4.index(1.0))
    index[:, 0], index[:, 1] = NF4.index(0.0), 8
    prepared = prepared_by_hand(x, index, torch.full((2,), scale), bias=bias)
    prepared.state.code = torch.tensor(NF4)
    execution = dataclasses.replace(prepared.case.execution, relation=relation)
    return dataclasses.replace(prepared, case=dataclasses.replace(prepared.case, execution=execution))


@pytest.mark.parametrize(
    ("dtype", "scale", "holds"),
    [
        (torch.float16, 65504.0, True),
        (torch.float16, 65519.0, True),  # rounds to 65504
        (torch.float16, 65520.0, False),  # rounds to infinity
        (torch.bfloat16, 65520.0, True),
        (torch.bfloat16, 3.4e38, False),
        (torch.float32, 3.4e38, True),
        (torch.float32, float("inf"), False),
        (torch.float32, float("nan"), False),
    ],
)
def test_zero_times_an_infinite_scale_is_not_zero(dtype: torch.dtype, scale: float, holds: bool) -> None:  # noqa: FBT001
    prepared = by_hand(Relation.ZERO_INPUT, torch.ones(2, 32, dtype=dtype), scale)
    assert (second_call(path_with(Arm.SIMT), prepared) is not None) is holds


@pytest.mark.parametrize(
    ("smallest", "largest", "scale", "bias", "holds"),
    [
        (1.0, 1.0, 1.0, None, True),
        (1.0, 255.0, 1.0, None, True),  # 4 * 255 * 32 terms is below 2**15
        (1.0, 257.0, 1.0, None, False),
        (1.0, 1.0, 255.0, None, True),
        (1.0, 1.0, 257.0, None, False),
        (1.0, 1.0, 1.0, 8000.0, True),
        (1.0, 1.0, 1.0, 8192.0, False),
        (2.0**-10, 1.0, 1.0, None, True),  # times the smallest code, 0.0796, still above 2**-14
        (2.0**-11, 1.0, 1.0, None, False),
        (1.0, 1.0, 2.0**-10, None, True),
        (1.0, 1.0, 2.0**-11, None, False),
        (2.0**-15, 1.0, 64.0, None, False),  # the activation itself is subnormal
        (2.0**-14, 1.0, 64.0, None, True),
    ],
)
@pytest.mark.parametrize("relation", DOUBLINGS)
def test_doubling_is_asked_far_from_both_ends_of_float16(  # noqa: PLR0913, PLR0917 - one argument for each limit
    relation: Relation,
    smallest: float,
    largest: float,
    scale: float,
    bias: float | None,
    holds: bool,  # noqa: FBT001
) -> None:
    x = torch.full((2, 32), smallest).half()
    x[:, -1] = largest
    prepared = by_hand(relation, x, scale, bias=None if bias is None else torch.tensor([bias, 1.0]).half())
    assert (second_call(path_with(Arm.SIMT), prepared) is not None) is holds


@pytest.mark.parametrize("relation", DOUBLINGS)
def test_doubling_zeros_says_nothing(relation: Relation) -> None:
    assert second_call(path_with(Arm.SIMT), by_hand(relation, torch.zeros(2, 32).half(), 1.0)) is None
    assert second_call(path_with(Arm.SIMT), by_hand(relation, torch.ones(2, 32).half(), 0.0)) is None


def on_gpu(relation: Relation, sizes: tuple[int, int, int], dtype: FloatDType, *, blocksize: int = 64) -> Prepared:
    """A Case of some rows, outputs and terms as the dispatch rules of 0.50 on an H200 see it; its numbers play no part."""
    rows, outputs, terms = sizes
    quantization = Quantization(blocksize=blocksize)
    case = related_case(relation, outputs=outputs, terms=terms, leading=(rows,), dtype=dtype, quantization=quantization)
    return prepared_of(case, library(device="cuda", gpu=H200, rule=True))


HALF, SINGLE = FloatDType.BFLOAT16, FloatDType.FLOAT32


@pytest.mark.parametrize(
    ("prepared", "arm"),
    [
        pytest.param(lambda: on_gpu(Relation.ROW_ALONE, (3, 64, 64), HALF), Arm.SIMT, id="simt and simt"),
        pytest.param(lambda: on_gpu(Relation.ROW_ALONE, (40, 64, 64), SINGLE), Arm.SIMT, id="float32 is simt"),
        pytest.param(lambda: on_gpu(Relation.PERMUTED_ROWS, (40, 640, 64), HALF), Arm.TENSOR_CORE, id="as many rows"),
        pytest.param(lambda: on_gpu(Relation.ROW_ALONE, (40, 640, 64), HALF), None, id="one row is simt"),
        pytest.param(lambda: on_gpu(Relation.APPENDED_ZEROS, (40, 640, 64), HALF), Arm.TENSOR_CORE, id="128 terms"),
        pytest.param(lambda: on_gpu(Relation.APPENDED_ZEROS, (40, 640, 64), HALF, blocksize=32), None, id="96 terms are simt"),
        pytest.param(lambda: on_gpu(Relation.HALVED_BLOCKSIZE, (3, 6, 96), HALF), None, id="whole blocks only when halved"),
        pytest.param(lambda: on_gpu(Relation.RERUN, (3, 6, 96), HALF), Arm.LINEAR, id="linear again"),
        pytest.param(lambda: on_gpu(Relation.PERMUTED_ROWS, (3, 6, 96), HALF), None, id="linear has any order"),
    ],
)
def test_a_relation_is_asked_where_the_dispatch_takes_one_kernel_twice(prepared: Callable[[], Prepared], arm: Arm | None) -> None:
    first, path = prepared(), BY_NAME["matmul_4bit"]
    related = second_call(path, first)
    assert (related is not None) is (arm is not None)
    if related is not None:
        assert path.arms(first.case, first.library) == path.arms(related[1].case, related[1].library) == (arm,)


def test_where_the_dispatch_is_not_known_only_the_arms_are_to_blame() -> None:
    """A library that hides its rule may take any fused kernel, and another one the second time."""
    assert second_call(BY_NAME["matmul_4bit"], prepared_of(related_case(Relation.RERUN), FUSED)) is None
    assert second_call(BY_NAME["dequantize_4bit"], prepared_of(related_case(Relation.RERUN), FUSED)) is not None


def test_the_rule_of_a_path_with_two_possible_kernels_does_not_apply() -> None:
    prepared = prepared_of(related_case(Relation.RERUN))
    two = dataclasses.replace(path_with(Arm.SIMT), arms=lambda case, library: (Arm.SIMT, Arm.LINEAR))  # noqa: ARG005
    assert not applies(RULES[Relation.RERUN], two, prepared, prepared)
    assert applies(RULES[Relation.RERUN], path_with(Arm.SIMT), prepared, prepared)


def test_both_calls_are_asked_for_their_kernels() -> None:
    prepared = prepared_of(related_case(Relation.ROW_ALONE))

    def arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
        return (Arm.SIMT if case.activation.rows > 1 else Arm.GEMV,)

    path = dataclasses.replace(path_with(Arm.SIMT), arms=arms)
    assert second_call(path, prepared) is None
    assert not applies(RULES[Relation.ROW_ALONE], path, prepared, RULES[Relation.ROW_ALONE].second(prepared))


def test_the_smallest_documented_blocksize_is_the_librarys_own() -> None:
    prepared = prepared_of(related_case(Relation.HALVED_BLOCKSIZE), library(documented_blocksizes=(64, 128)))
    assert second_call(path_with(Arm.SIMT), prepared) is None


def _rule(**changes: Any) -> Rule:
    return dataclasses.replace(RULES[Relation.RERUN], **changes)


def test_a_rule_holds_unless_it_says_otherwise() -> None:
    prepared = prepared_of(related_case(Relation.RERUN))
    assert Rule(source="", arms=frozenset(Arm), second=lambda p: p, expect=lambda result, *_: result).holds(prepared)
    assert not _rule(holds=lambda p: False).holds(prepared)  # noqa: ARG005


@pytest.mark.parametrize(
    ("relation", "case"),
    [
        (Relation.APPENDED_ZEROS, {"weight": {"out_features": 1, "in_features": 2**16}, "activation": {"leading": ()}}),
        (
            Relation.PERMUTED_ROWS,
            {"weight": {"out_features": 1, "in_features": 1}, "activation": {"leading": (2, 2**15 + 1), "fill": Fill.ONES}},
        ),
    ],
)
def test_a_second_call_beyond_the_sizes_of_a_case_is_left_out(relation: Relation, case: dict[str, dict[str, Any]]) -> None:
    prepared = prepared_of(changed(relation, **case))
    assert second_call(path_with(Arm.LINEAR), prepared) is None


@pytest.mark.parametrize(
    ("device", "names", "holds"),
    [
        ("cuda", ["a GPU", "a GPU"], True),
        ("cuda", ["a GPU", "another"], False),
        ("cuda", ["a GPU"], False),
        ("cpu", ["a GPU", "a GPU"], False),
    ],
)
def test_another_gpu_is_asked_where_there_is_one_of_the_same_kind(
    device: str,
    names: list[str],
    holds: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: names[number])
    monkeypatch.setattr(related, "SECOND_GPU", torch.device("meta"))
    prepared = prepared_of(related_case(Relation.SECOND_GPU))
    loaded = library(device=device, gpu=H200, rule=True)
    found = second_call(path_with(Arm.SIMT), dataclasses.replace(prepared, library=loaded))
    assert (found is not None) is holds

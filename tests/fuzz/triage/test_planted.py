"""How well campaigns find defects: all of those that are planted, each once, under one name whatever was drawn."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis.strategies import SearchStrategy

from fuzz.campaign.mixture import Property
from fuzz.engine.verdict import Symptom
from fuzz.triage.known import KnownIssue, load
from fuzz.triage.suspects import Suspects
from fuzz.triage.verify import OTHER_PATHS
from strategies import fields
from strategies.case import Case, Fill, FloatDType, Layout, PackedView, QuantType, Relation, StorageDType
from strategies.cases import cases
from tests.fuzz.triage.planted import Plant, Recorder, campaign, drawn, search

SEEDS = int(os.environ.get("PLANTED_SEEDS", "3"))
"""Searches of each kind. Ten take three minutes; the tests hold for any number."""

CASES = 3000
FEW_CASES = 300

SURFACE = "functional.matmul_4bit | matmul_4bit"
PRODUCTS = ("matmul_4bit", "gemm_4bit_op", "linear4bit")

a_seed = pytest.mark.parametrize("seed", range(SEEDS))


def in_dtypes(case: Case, weight: FloatDType, activation: FloatDType) -> bool:
    return case.weight.dtype is weight and case.activation_dtype is activation


LOUD = Plant("loud", lambda case: case.weight.stored_shape[0] % 64 != 0)
QUIET = (
    Plant(
        "choices",
        lambda case: (
            case.quantization.compress_statistics
            and case.quantization.storage is StorageDType.BFLOAT16
            and in_dtypes(case, FloatDType.FLOAT16, FloatDType.BFLOAT16)
        ),
    ),
    Plant(
        "the same fields with other values",
        lambda case: (
            case.quantization.compress_statistics
            and case.quantization.storage is StorageDType.FLOAT32
            and in_dtypes(case, FloatDType.BFLOAT16, FloatDType.FLOAT16)
        ),
    ),
    Plant(
        "a size",
        lambda case: case.weight.layout is Layout.OUT_IN and case.weight.in_features % 2 == 1 and case.weight.in_features > 2048,
    ),
    Plant(
        "rows and a fill",
        lambda case: case.activation.rows >= 65 and case.weight.fill is Fill.TINY and case.weight.dtype is FloatDType.FLOAT16,
    ),
)
FIVE = (LOUD, *QUIET)

NAMES = {
    "loud": f"{SURFACE} | wrong value | triggers: weight.out_features=unaligned",
    "choices": (
        f"{SURFACE} | wrong value | triggers: activation.dtype=bfloat16, quantization.compress_statistics=True, "
        "quantization.storage=bfloat16, weight.dtype=float16"
    ),
    "the same fields with other values": (
        f"{SURFACE} | wrong value | triggers: activation.dtype=float16, quantization.compress_statistics=True, "
        "quantization.storage=float32, weight.dtype=bfloat16"
    ),
    "a size": f"{SURFACE} | wrong value | triggers: weight.in_features=odd+large",
    "rows and a fill": f"{SURFACE} | wrong value | triggers: activation.rows=large, fill!=ones, weight.dtype=float16",
}
"""What each of the five must be called."""


def shown(plants: Iterable[Plant], searched: Iterable[Case]) -> list[Plant]:
    """The defects that some Case shows: a rare one may be missed by a draw, and then by no fault of the campaign."""
    searched = list(searched)
    return [plant for plant in plants if any(plant.condition(case) for case in searched)]


def found(recorder: Recorder) -> list[str]:
    """The signatures of the candidates, each as often as it is one."""
    return sorted(candidate.bug.signature for candidate in recorder.candidates)


def known(folder: Path, *signatures: str) -> tuple[KnownIssue, ...]:
    """Rows of a known-issues file."""
    rows = [f'[[issue]]\nsignature = "{name}"\nlink = "unreported"\nversions = ">=0"\nreason = "a test"\n' for name in signatures]
    (folder / "known.toml").write_text("\n".join(rows), encoding="utf-8")
    return load(folder / "known.toml")


def test_one_defect_is_loud_and_four_are_quiet() -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        searches = list(pool.map(lambda seed: drawn(seed, CASES), range(SEEDS)))
    searched = list(itertools.chain.from_iterable(searches))
    rates = {plant.name: sum(map(plant.condition, searched)) / len(searched) for plant in FIVE}
    assert 0.5 <= rates.pop("loud") <= 0.7
    assert all(0.001 <= rate <= 0.01 for rate in rates.values()), rates
    assert len(shown(FIVE, searched)) == len(FIVE)


@a_seed
def test_a_loud_defect_hides_no_quiet_one(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    searched = drawn(seed, CASES)
    _, recorder, _ = search(monkeypatch, FIVE, searched)
    assert found(recorder) == sorted(NAMES[plant.name] for plant in shown(FIVE, searched))
    assert recorder.late == []


@a_seed
def test_a_loud_defect_that_is_known_is_counted_and_hides_no_quiet_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int) -> None:
    searched = drawn(seed, CASES)
    suspects = Suspects(known(tmp_path, NAMES["loud"]))
    _, recorder, _ = search(monkeypatch, FIVE, searched, suspects)
    assert found(recorder) == sorted(NAMES[plant.name] for plant in shown(QUIET, searched))
    (row,) = suspects.rows
    assert 0.95 * sum(map(LOUD.condition, searched)) <= row.observed <= 1.05 * sum(map(LOUD.condition, searched))


@a_seed
def test_nothing_is_new_where_all_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int) -> None:
    searched = drawn(seed, CASES)
    suspects = Suspects(known(tmp_path, *(NAMES[plant.name] for plant in FIVE)))
    _, recorder, _ = search(monkeypatch, FIVE, searched, suspects)
    assert found(recorder) == []
    assert [row.observed > 0 for row in suspects.rows] == [plant in shown(FIVE, searched) for plant in FIVE]


def test_a_row_that_is_a_pattern_counts_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text(
        """[[issue]]
title = "stores in groups of 64"
surfaces = ["functional.matmul_4bit"]
symptoms = ["wrong value"]
triggers = { "weight.out_features" = "% 64 != 0" }
link = "unreported"
versions = ">=0"
reason = "a test"
""",
        encoding="utf-8",
    )
    suspects = Suspects(load(file))
    _, recorder, _ = search(monkeypatch, FIVE, drawn(0, CASES), suspects)
    assert found(recorder) == sorted(NAMES[plant.name] for plant in shown(QUIET, drawn(0, CASES)))
    assert suspects.rows[0].observed > CASES // 3


def unlike(*fills: Fill) -> bool:
    """Whether such numbers show what is wrong with an element."""
    return not set(fills) & {Fill.ONES, Fill.ONE_HOT}


def leaves_the_range(case: Case) -> bool:
    """As good as a matter of chance, as partial sums of a kernel are."""
    large = (
        case.activation_dtype is FloatDType.FLOAT16 and case.weight.fill in {Fill.HUGE, Fill.NORMAL} and case.activation.fill is Fill.HUGE
    )
    width = case.weight.in_features
    return large and (7 * case.seed + width) % 5 < min(width // 10, 5)


def is_stored_as_one_tensor(case: Case) -> bool:
    return (case.weight.elements + 1) // 2 % case.quantization.storage.itemsize != 0


def blocks(case: Case) -> int:
    return case.quantization.blocksize


SINGLE: dict[str, tuple[Plant, str]] = {
    "a product of sizes": (
        Plant("a", lambda case: case.weight.elements >= 5000 and case.bias),
        "matmul_4bit | wrong value | triggers: bias=True, weight.in_features=large",
    ),
    "a product of rows and columns": (
        Plant("a", lambda case: case.activation.rows * case.weight.in_features >= 300),
        "matmul_4bit | wrong value | triggers: activation.rows=large",
    ),
    "a modulus": (
        Plant("a", lambda case: case.weight.stored_shape[0] % 32 != 0),
        "matmul_4bit | wrong value | triggers: weight.out_features=unaligned",
    ),
    "rows that the blocks do not divide": (
        Plant("a", lambda case: case.weight.in_features % blocks(case) != 0 and case.weight.in_features > blocks(case)),
        "matmul_4bit | wrong value | triggers: weight.in_features=unaligned+large",
    ),
    "parts of a block in a stored row": (
        Plant(
            "a",
            lambda case: (
                case.weight.stored_shape[1] % 16 == 0
                and case.weight.stored_shape[1] % blocks(case) != 0
                and case.weight.elements > blocks(case)
                and unlike(case.weight.fill)
            ),
            paths=("dequantize_4bit",),
        ),
        "dequantize_4bit | wrong value | triggers: fill!=ones, weight.in_features=unaligned+aligned+large",
    ),
    "several blocks with a dull fill": (
        Plant(
            "a",
            lambda case: (
                case.quantization.compress_statistics
                and case.quantization.quant_type is QuantType.NF4
                and case.weight.elements > blocks(case)
                and case.weight.fill is Fill.ONE_HOT
            ),
        ),
        "matmul_4bit | wrong value | triggers: fill!=ones, quantization.compress_statistics=True, weight.in_features=large",
    ),
    "bytes that fill no element": (
        Plant("a", is_stored_as_one_tensor),
        "matmul_4bit | wrong value | triggers: quantization.storage=float16, weight.in_features=irregular, weight.out_features=irregular",
    ),
    "two dtypes that must agree": (
        Plant("a", lambda case: in_dtypes(case, FloatDType.BFLOAT16, FloatDType.BFLOAT16)),
        "matmul_4bit | wrong value | triggers: activation.dtype=bfloat16, weight.dtype=bfloat16",
    ),
    "one of several values": (
        Plant("a", lambda case: case.quantization.blocksize >= 512 and case.quantization.quant_type is QuantType.FP4),
        "matmul_4bit | wrong value | triggers: quantization.blocksize=512, quantization.quant_type=fp4",
    ),
    "an upper bound": (
        Plant("a", lambda case: case.activation.rows <= 2 and case.quantization.storage is StorageDType.FLOAT32),
        "matmul_4bit | wrong value | triggers: activation.rows=small, quantization.storage=float32",
    ),
    "three dimensions": (
        Plant("a", lambda case: case.activation.rank == 3 and case.packed is PackedView.TRANSPOSED),
        "matmul_4bit | wrong value | triggers: activation.rank=3, packed=transposed",
    ),
    "a tensor-core kernel on several paths": (
        Plant(
            "a",
            lambda case: (
                case.activation_dtype is not FloatDType.FLOAT32
                and case.weight.out_features % 2 == 1
                and case.weight.out_features > 64
                and case.weight.in_features % 64 == 0
                and case.activation.rows > 3
                and (case.activation.rows > 32 or -(-case.weight.out_features // 64) * 8 > 132)
            ),
            paths=PRODUCTS,
            symptom=Symptom.CONTEXT_LOST,
        ),
        (
            "matmul_4bit | context lost | triggers: activation.dtype=float16, activation.rows=large, weight.in_features=aligned, "
            "weight.out_features=odd+large"
        ),
    ),
    "every path": (
        Plant(
            "a",
            lambda case: case.execution.grad and case.activation.fill is Fill.ONES,
            paths=("linear4bit", "gemv_4bit_op", "matmul_4bit", "dequantize_linear"),
            symptom=Symptom.WRONG_DTYPE,
        ),
        "dequantize_linear | wrong dtype | triggers: execution.grad=True",
    ),
    "numbers that leave the range by chance": (
        Plant("a", leaves_the_range, paths=PRODUCTS, symptom=Symptom.RANGE_DIVERGENCE),
        "matmul_4bit | range divergence | triggers: activation.dtype=float16, fill!=ones",
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_defect_has_one_name_whatever_was_drawn(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plant, signature = SINGLE[name]
    names: list[list[str]] = []
    for seed in range(16):
        if len(names) == 5:
            break
        searched = drawn(seed, FEW_CASES)
        if shown([plant], searched):
            _, recorder, _ = search(monkeypatch, [plant], searched)
            names.append([text.partition(" | ")[2] for text in found(recorder)])
    assert len(names) >= 3, "the condition is too rare for this test"
    assert names == [[signature]] * len(names)


BY_ROWS_OR_COLUMNS = pytest.param(
    "a product of rows and columns",
    marks=pytest.mark.xfail(strict=True, reason="a row that says many rows is about several rows, and the product fails with one as well"),
)


@pytest.mark.parametrize("name", [BY_ROWS_OR_COLUMNS if "columns" in name else name for name in SINGLE])
def test_a_defect_whose_name_is_in_the_file_is_not_new(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """A signature tells less than the run knew that printed it: one value of each field, and no number."""
    plant, signature = SINGLE[name]
    surface = OTHER_PATHS[signature.partition(" | ")[0]]
    for seed in range(5):
        suspects = Suspects(known(tmp_path, f"{surface} | {signature}"))
        _, recorder, _ = search(monkeypatch, [plant], drawn(seed, FEW_CASES), suspects)
        assert found(recorder) == []
        assert bool(suspects.rows[0].observed) is bool(shown([plant], drawn(seed, FEW_CASES)))


def test_two_defects_in_one_field_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Plant("odd", lambda case: case.weight.in_features % 2 == 1)
    stored = Plant("stored", lambda case: case.weight.in_features % 32 != 0 and case.quantization.storage is StorageDType.FLOAT32)
    searched = [case for seed in range(5) for case in drawn(seed, FEW_CASES)]
    _, recorder, _ = search(monkeypatch, [odd, stored], searched)
    assert found(recorder) == [
        f"{SURFACE} | wrong value | triggers: quantization.storage=float32, weight.in_features=unaligned",
        f"{SURFACE} | wrong value | triggers: weight.in_features=odd",
    ]


@pytest.mark.xfail(
    strict=True, reason="a rule about one size of an [in, out] weight is taken back for both, because kernels may mean either"
)
def test_a_defect_of_transposed_weights_shows_beside_a_rule_about_the_other_size(monkeypatch: pytest.MonkeyPatch) -> None:
    loud = Plant("loud", lambda case: case.weight.out_features % 2 == 1)
    quiet = Plant("quiet", lambda case: case.weight.layout is Layout.IN_OUT and case.weight.in_features % 2 == 1)
    _, recorder, _ = search(monkeypatch, [loud, quiet], drawn(0, CASES))
    assert found(recorder) == [
        f"{SURFACE} | wrong value | triggers: weight.in_features=odd, weight.layout=in_out",
        f"{SURFACE} | wrong value | triggers: weight.out_features=odd",
    ]


def test_a_loud_defect_about_choices_hides_no_quiet_one(monkeypatch: pytest.MonkeyPatch) -> None:
    loud = Plant("loud", lambda case: case.activation_dtype is not FloatDType.FLOAT32)
    _, recorder, _ = search(monkeypatch, [loud, *QUIET[2:]], drawn(0, CASES))
    # The last one needs a float16 weight and is seen with a float32 activation only.
    assert found(recorder) == sorted(
        [f"{SURFACE} | wrong value | triggers: activation.dtype=float16", *(NAMES[plant.name] for plant in QUIET[2:])]
    )


def always(changes: dict[str, Any]) -> Callable[[Case], Case]:
    def changed(case: Case) -> Case:
        for name, value in changes.items():
            case = fields.replace(case, name, value)
        return case

    return changed


OTHER_WAYS = [Symptom.WRONG_SHAPE, Symptom.UNEXPECTED_EXCEPTION, Symptom.CONTEXT_LOST, Symptom.PROCESS_DIED, Symptom.HANG]


@pytest.mark.parametrize("symptom", OTHER_WAYS)
@a_seed
def test_a_defect_that_fails_in_another_way_hides_no_other(monkeypatch: pytest.MonkeyPatch, symptom: Symptom, seed: int) -> None:
    """On half of the Cases the path fails in another way first, and only where it does not the other one shows: that is in its name."""
    mask = Plant("mask", lambda case: case.weight.stored_shape[1] % 64 != 0, symptom=symptom)
    masked = Plant("masked", lambda case: case.bias and case.activation.rows >= 33)
    _, recorder, _ = search(monkeypatch, [mask, masked], drawn(seed, FEW_CASES))
    assert found(recorder) == sorted(
        [
            f"{SURFACE} | {symptom.value} | triggers: weight.in_features=unaligned",
            f"{SURFACE} | wrong value | triggers: activation.rows=large, bias=True, weight.in_features=aligned",
        ]
    )


@pytest.mark.parametrize("symptom", OTHER_WAYS)
def test_a_defect_that_every_case_hides_is_seen_when_the_other_one_is_taken_back(monkeypatch: pytest.MonkeyPatch, symptom: Symptom) -> None:
    mask = Plant("mask", lambda case: case.bias, symptom=symptom)
    masked = Plant("masked", lambda case: case.activation.rows >= 33 and case.quantization.quant_type is QuantType.FP4)
    searched = list(map(always({"bias": True}), drawn(0, FEW_CASES)))
    _, recorder, _ = search(monkeypatch, [mask, masked], searched)
    assert found(recorder) == sorted(
        [
            f"{SURFACE} | {symptom.value} | triggers: bias=True",
            f"{SURFACE} | wrong value | triggers: activation.rows=large, quantization.quant_type=fp4",
        ]
    )


def test_three_defects_behind_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is seen only when the one before it is taken back."""
    plants = [
        Plant("first", lambda case: case.bias, symptom=Symptom.PROCESS_DIED),
        Plant("second", lambda case: case.execution.grad, symptom=Symptom.WRONG_SHAPE),
        Plant("third", lambda case: case.quantization.compress_statistics),
    ]
    flags = {"bias": True, "execution.grad": True, "quantization.compress_statistics": True}
    _, recorder, _ = search(monkeypatch, plants, list(map(always(flags), drawn(0, FEW_CASES))))
    assert found(recorder) == sorted(
        [
            f"{SURFACE} | process died | triggers: bias=True",
            f"{SURFACE} | wrong shape | triggers: execution.grad=True",
            f"{SURFACE} | wrong value | triggers: quantization.compress_statistics=True",
        ]
    )


def test_a_path_that_ends_the_child_hides_no_path_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plants = [
        Plant("first", lambda case: case.weight.stored_shape[0] % 2 == 1, paths=("dequantize_4bit",), symptom=Symptom.PROCESS_DIED),
        Plant("last", lambda case: case.quantization.storage is StorageDType.FLOAT16, paths=("gemv_4bit_out",)),
    ]
    _, recorder, _ = search(monkeypatch, plants, drawn(0, FEW_CASES))
    assert found(recorder) == [
        "functional.dequantize_4bit | dequantize_4bit | process died | triggers: weight.out_features=odd",
        "ops.gemv_4bit | gemv_4bit_out | wrong value | triggers: quantization.storage=float16",
    ]


def test_failures_of_one_defect_are_counted_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant("a", lambda case: case.weight.stored_shape[0] % 4 != 0)
    searched = drawn(0, FEW_CASES)
    ran, recorder, _ = search(monkeypatch, [plant], searched)
    (candidate,) = recorder.candidates
    assert candidate.bug.observed == sum(ran.progress.failures.values()) == sum(map(plant.condition, searched))


def test_a_candidate_fails_and_its_case_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    _, recorder, _ = search(monkeypatch, FIVE, drawn(0, CASES))
    assert len(recorder.candidates) == len(FIVE)
    for candidate in recorder.candidates:
        assert candidate.reduction.finished
        assert candidate.reduction.case == candidate.bug.minimal
        (plant,) = [plant for plant in FIVE if plant.condition(candidate.bug.minimal)]
        assert candidate.bug.signature == NAMES[plant.name]
        assert plant.condition(candidate.failure.drawn)


def test_where_nothing_is_wrong_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, recorder, executor = search(monkeypatch, [], drawn(0, FEW_CASES))
    assert (recorder.candidates, recorder.failures, recorder.late) == ([], [], [])
    assert executor.runs == ran.progress.cases == FEW_CASES


def related(relation: Relation, case: Case) -> bool:
    return case.execution.relation is relation


def test_each_relation_is_a_defect_of_its_own() -> None:
    plants = [
        Plant("sign", lambda case: related(Relation.SIGN, case), symptom=Symptom.BROKEN_RELATION, how="sign"),
        Plant("rerun", lambda case: related(Relation.RERUN, case) and case.bias, symptom=Symptom.BROKEN_RELATION, how="rerun"),
    ]
    relations: SearchStrategy[Case] = cases().map(always({"execution.relation": Relation.SIGN})) | cases().map(
        always({"execution.relation": Relation.RERUN})
    )
    ran, recorder, _ = campaign(plants)
    ran.explore([Property("a property", relations)], seed=0, until=3600.0, most_cases=FEW_CASES)
    assert ran.progress.cases < FEW_CASES + 100
    assert found(recorder) == [
        f"{SURFACE} | broken relation (rerun) | triggers: bias=True, execution.relation=rerun",
        f"{SURFACE} | broken relation (sign) | triggers: execution.relation=sign",
    ]

"""The plain test, how it is counted, and what is made of its reports."""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import strategies as st

from benchmarks import plain
from benchmarks.plain import Judged, Tried, case_of, judge, read
from benchmarks.plain_counted import _Counted, search
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling, Symptom
from strategies.case import Case, PackedView

LONGEST = 60


def test_it_is_as_short_as_is_claimed() -> None:
    text = (Path(plain.__file__).parent / "plain_test.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST


class Product(NamedTuple):
    number: int
    dtype: torch.dtype = torch.float16


PRODUCTS = st.integers(0, 1000).map(Product)


def counted(*failing: range, seconds: float = 60.0) -> tuple[_Counted, io.StringIO]:
    """A check that fails in another way for each range of numbers."""

    def check(product: Product) -> None:
        assert not failing or product.number not in failing[0]
        if len(failing) > 1 and product.number in failing[1]:
            raise ValueError(product.number)

    file = io.StringIO()
    return _Counted(check, seconds, file), file


def test_the_smallest_product_that_fails_is_reported() -> None:
    check, file = counted(range(17, 1001))
    assert search(check, PRODUCTS, seed=1, first_only=True) == [Product(17)]
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert {"number": 17, "dtype": "float16"} in [line["tried"] for line in lines]


def test_several_failures_are_reported_where_that_is_asked_for() -> None:
    ranges = range(17, 500), range(500, 1001)
    assert len(search(counted(*ranges)[0], PRODUCTS, seed=1, first_only=True)) == 1
    assert set(search(counted(*ranges)[0], PRODUCTS, seed=1, first_only=False)) == {Product(17), Product(500)}


def test_when_the_time_is_over_nothing_is_reported() -> None:
    assert search(counted(range(17, 1001), seconds=-1.0)[0], PRODUCTS, seed=1, first_only=True) == []


def test_a_product_is_the_same_call_as_a_case() -> None:
    product = {"outputs": 3, "terms": 64, "rows": 2, "dtype": "bfloat16", "quant_type": "fp4", "blocksize": 32, "seed": 9}
    case = case_of(product)
    assert (case.weight.out_features, case.weight.in_features, case.activation.leading) == (3, 64, (2,))
    assert (case.weight.dtype.value, case.activation_dtype.value) == ("bfloat16", "bfloat16")
    assert (case.quantization.quant_type.value, case.quantization.blocksize) == ("fp4", 32)
    assert case.packed is PackedView.TRANSPOSED
    assert case_of({**product, "rows": None}).activation.rank == 1


PRODUCT = {"outputs": 3, "terms": 64, "rows": 2, "dtype": "float32", "quant_type": "nf4", "blocksize": 64, "seed": 0}


def test_a_process_that_ended_without_a_word_died_of_what_it_tried_last() -> None:
    text = "".join(json.dumps({"tried": {**PRODUCT, "seed": seed}, "seconds": seed / 2}) + "\n" for seed in (1, 2)) + '{"tried"'
    done = read(text)
    assert (done.seconds, done.cases, done.died, [case.seed for case in done.reported]) == (1.0, 2, True, [2])


@pytest.mark.parametrize("reported", [[], [PRODUCT]])
def test_what_it_says_at_last_is_what_it_reports(reported: list[dict[str, object]]) -> None:
    done = read(json.dumps({"tried": PRODUCT, "seconds": 0.1}) + "\n" + json.dumps({"reported": reported, "seconds": 3.0}) + "\n")
    assert (done.died, len(done.reported)) == (False, len(reported))


@dataclass
class Executor:
    """Fails on a path, by the seed of a Case."""

    failing: dict[int, str]
    asked: list[Collection[str]] = field(default_factory=list)

    def run(self, case: Case, only: Collection[str]) -> CaseResult:
        self.asked.append(only)
        path = self.failing.get(case.seed)
        symptom = None if path is None else Symptom.WRONG_VALUE
        return CaseResult((PathVerdict(path=path or "matmul_4bit", surface="s", ruling=Ruling.VALID, source="", symptom=symptom),))


def test_one_path_with_one_symptom_is_one_defect_and_what_is_right_a_false_alarm() -> None:
    executor = Executor({1: "matmul_4bit", 2: "matmul_4bit", 3: "gemv_4bit", 5: "gemv_4bit_op"})
    done = Tried(1.0, 9, tuple(Case(seed=seed) for seed in range(1, 6)), died=False)
    assert judge(executor, done) == Judged(defects=2, false_alarms=2)  # type: ignore[arg-type]
    assert set(executor.asked[0]) == {"dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit"}


def test_a_process_that_died_is_a_defect() -> None:
    done = Tried(1.0, 9, (Case(),), died=True)
    assert judge(Executor({}), done) == Judged(defects=1, false_alarms=0)  # type: ignore[arg-type]

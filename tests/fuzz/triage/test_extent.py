"""What a finding says it affects beside its minimal Case: only what was seen."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

import pytest

from fuzz.engine.verdict import FailureKey, PathVerdict, Symptom
from fuzz.triage import extent as module
from fuzz.triage.bug import Bug
from fuzz.triage.condition import parse_triggers
from fuzz.triage.extent import SIZES, measure
from fuzz.triage.verify import QUANTIZE, QUANTIZE_SURFACE
from reports.extent import Extent, FieldExtent
from strategies import fields
from strategies.case import (
    Activation,
    Case,
    CudaStream,
    Execution,
    Fill,
    FloatDType,
    Layout,
    Memory,
    Mode,
    PackedView,
    Quantization,
    Relation,
    Weight,
)
from strategies.misuse import Misuse
from tests.fuzz.triage.planted import Plant, PlantedExecutor
from tests.fuzz.triage.suspecting import LINEAR, MATMUL, key

WIDE: Final = Case(weight=Weight(in_features=65), bias=True)


@dataclasses.dataclass
class OwnExecutor(PlantedExecutor):
    """An executor that is started for one measurement."""

    asked: list[tuple[Case, tuple[str, ...]]] = dataclasses.field(default_factory=list)
    started: tuple[Any, ...] = ()
    slow: float = 0.0

    def start(self, device: str, watchdog: float, *, spares: int) -> Self:
        self.started = (device, watchdog, spares)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.started = ()

    def run(self, case: Case, only: Sequence[str] | None = None) -> Any:
        assert self.started == ("cpu", 5.0, 0)
        self.asked.append((case, tuple(only or ())))
        time.sleep(self.slow)
        return super().run(case, only)


def defect(minimal: Case = WIDE, triggers: dict[str, Any] | None = None, of: FailureKey | None = None, rule: str = "") -> Bug:
    """A defect of this run; `rule` is that of in_features, where it tells more than the words."""
    triggers = {"bias": True, "weight.in_features": "large"} if triggers is None else triggers
    region = parse_triggers(triggers | ({"weight.in_features": rule} if rule else {}))
    found = of or key()
    return Bug(found, minimal, triggers, [region], {found.path})


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> OwnExecutor:
    executor = OwnExecutor([Plant("wide", lambda case: case.bias and case.weight.in_features >= 65)])
    monkeypatch.setattr(module, "Executor", executor.start)
    return executor


def measured(bug: Bug, seconds: float = 60.0) -> Extent:
    return measure(bug, "cpu", 5.0, seconds)


def by_name(extent: Extent) -> dict[str, FieldExtent]:
    return {item.name: item for item in extent.fields}


def test_every_field_is_varied_and_its_triggers_come_first(executor: OwnExecutor) -> None:
    extent = measured(defect())
    assert extent.complete
    assert [item.name for item in extent.fields][:2] == ["bias", "weight.in_features"]
    expected = {*fields.CHOICES, *fields.SIZES} - set(fields.QUESTIONS) - {"execution.stream"}  # a CPU has but one
    assert {item.name for item in extent.fields} == expected
    assert {case.execution.stream for case, _ in executor.asked} == {CudaStream.DEFAULT}
    assert [item.name for item in extent.fields if item.trigger] == ["bias", "weight.in_features"]
    assert executor.started == (), "its executor is closed"


@pytest.mark.usefixtures("executor")
def test_what_a_choice_does() -> None:
    records = by_name(measured(defect()))
    assert records["bias"] == FieldExtent(name="bias", trigger=True, fails=(True,), passes=(False,))
    assert records["weight.dtype"].fails == ("float32", "float16", "bfloat16"), "as JSON has them, the minimal Case's own first"
    assert records["weight.dtype"].passes == ()
    assert set(records["quantization.blocksize"].fails) == set(fields.CHOICES["quantization.blocksize"])


@pytest.mark.usefixtures("executor")
def test_what_a_size_does() -> None:
    record = by_name(measured(defect()))["weight.in_features"]
    assert record.fails == tuple(size for size in SIZES if size >= 65)
    assert record.passes == tuple(size for size in SIZES if size < 65)
    assert record.rule == ">= 65"
    other = by_name(measured(defect()))["weight.out_features"]
    assert (other.fails, other.passes, other.rule) == (SIZES, (), "")


@pytest.mark.usefixtures("executor")
def test_the_minimal_size_itself_is_among_those_that_fail() -> None:
    minimal = Case(weight=Weight(in_features=77), bias=True)
    assert 77 in by_name(measured(defect(minimal)))["weight.in_features"].fails


def test_the_rule_that_follows_the_blocksize_is_told_where_it_agrees(executor: OwnExecutor) -> None:
    executor.plants = [Plant("part", lambda case: case.bias and case.weight.in_features % case.quantization.blocksize != 0)]
    minimal = Case(bias=True)
    words = {"bias": True, "weight.in_features": "unaligned"}
    assert by_name(measured(defect(minimal, words, rule="% blocksize != 0")))["weight.in_features"].rule == "% blocksize != 0"
    assert by_name(measured(defect(minimal, words, rule="% 128 != 0")))["weight.in_features"].rule == "% 64 != 0", "what was seen"


def test_a_rule_that_only_a_row_had_words_for_is_learned(executor: OwnExecutor) -> None:
    executor.plants = [Plant("odd", lambda case: case.bias and case.weight.in_features % 2 == 1)]
    record = by_name(measured(defect(Case(bias=True), {"bias": True, "weight.in_features": "unaligned"})))["weight.in_features"]
    assert record.rule == "% 2 != 0"


def test_rows_are_a_size_like_any_other(executor: OwnExecutor) -> None:
    executor.plants = [Plant("rows", lambda case: 3 <= case.activation.rows <= 32)]
    minimal = Case(activation=Activation(leading=(3,)))
    record = by_name(measured(defect(minimal, {"activation.rows": "large+small"})))["activation.rows"]
    assert record.trigger
    assert record.fails == tuple(size for size in SIZES if 3 <= size <= 32)
    assert record.rule == ">= 3, <= 32"


@dataclasses.dataclass
class Refusing(OwnExecutor):
    """Its paths take no [in, out] weight."""

    def _verdicts(self, case: Case, only: Sequence[str] | None) -> Iterator[PathVerdict]:
        if case.weight.layout is Layout.OUT_IN:
            yield from super()._verdicts(case, only)


def test_nothing_is_said_of_values_with_which_the_path_does_not_run(monkeypatch: pytest.MonkeyPatch, executor: OwnExecutor) -> None:
    refusing = Refusing(executor.plants)
    monkeypatch.setattr(module, "Executor", refusing.start)
    assert "weight.layout" not in by_name(measured(defect()))


def test_nothing_is_said_of_values_with_which_it_fails_otherwise(executor: OwnExecutor) -> None:
    dies = Plant("dies", lambda case: case.weight.dtype is FloatDType.FLOAT16, symptom=Symptom.PROCESS_DIED)
    executor.plants = [dies, *executor.plants]
    record = by_name(measured(defect()))["weight.dtype"]
    assert (record.fails, record.passes) == (("float32", "bfloat16"), ())


def test_a_trigger_of_which_nothing_else_can_be_told_is_there_with_its_value(executor: OwnExecutor) -> None:
    executor.plants = [
        Plant("bias", lambda case: case.bias),
        Plant("none", lambda case: not case.bias, symptom=Symptom.UNEXPECTED_EXCEPTION, how="TypeError"),
    ]
    record = by_name(measured(defect(Case(bias=True), {"bias": True})))["bias"]
    assert record == FieldExtent(name="bias", trigger=True, fails=(True,), passes=())


def test_sizes_that_make_no_case_are_left_out(executor: OwnExecutor) -> None:
    executor.plants = [Plant("any", lambda _: True)]
    minimal = Case(weight=Weight(out_features=2**13))
    record = by_name(measured(defect(minimal, {})))["weight.in_features"]
    assert record.fails == tuple(size for size in SIZES if size * 2**13 <= 2**25)
    assert "activation.rank" in by_name(measured(defect(minimal, {})))


def test_a_relation_is_varied_only_against_none_and_only_where_it_is_broken(executor: OwnExecutor) -> None:
    relation = Plant("sign", lambda case: case.execution.relation is Relation.SIGN, symptom=Symptom.BROKEN_RELATION, how="sign")
    executor.plants = [relation]
    minimal = Case(execution=Execution(relation=Relation.SIGN))
    of = key(MATMUL, Symptom.BROKEN_RELATION, "sign")
    record = by_name(measured(defect(minimal, {"execution.relation": "sign"}, of)))["execution.relation"]
    assert (record.fails, record.passes) == (("sign",), ("none",))


def test_wrong_calls_are_varied_where_one_check_may_be_missing_for_all(executor: OwnExecutor) -> None:
    executor.plants = [Plant("out", lambda case: case.execution.misuse in {Misuse.DEEP_OUT, Misuse.META_OUT})]
    minimal = Case(execution=Execution(misuse=Misuse.DEEP_OUT))
    record = by_name(measured(defect(minimal, {"execution.misuse": "deep_out"})))["execution.misuse"]
    assert record.fails == ("deep_out", "meta_out")
    assert record.passes == ("none", "other_out", "cpu_out", "short_out", "long_out")


def test_the_paths_are_those_of_the_defect(executor: OwnExecutor) -> None:
    found = defect()
    found.link(key(LINEAR))
    found.link(key("gemm_4bit_op"))
    assert measured(found).paths == ("gemm_4bit_op", "linear4bit", "matmul_4bit")
    assert {only for _, only in executor.asked} == {(MATMUL,), (LINEAR,)}, "no other path is run again"


def test_users_of_the_module_can_reach_it(executor: OwnExecutor) -> None:
    executor.plants = [dataclasses.replace(executor.plants[0], paths=(MATMUL, LINEAR))]
    assert measured(defect()).linear4bit == "yes"
    assert measured(defect(of=key(LINEAR))).linear4bit == "yes"


@pytest.mark.usefixtures("executor")
def test_users_of_the_module_do_not_see_it() -> None:
    assert measured(defect()).linear4bit == "no: it does not fail there with this input"


def test_another_failure_of_the_module_is_not_this_one(executor: OwnExecutor) -> None:
    executor.plants = [*executor.plants, Plant("other", lambda case: case.bias, paths=(LINEAR,), symptom=Symptom.WRONG_SHAPE)]
    assert measured(defect()).linear4bit == "no: it does not fail there with this input"


def test_what_the_module_cannot_be_given(executor: OwnExecutor) -> None:
    executor.plants = [Plant("any", lambda _: True, paths=(MATMUL, LINEAR))]
    minimal = Case(weight=Weight(layout=Layout.IN_OUT))
    reason = "no: the module quantizes its weight as [out_features, in_features]"
    assert measured(defect(minimal, fields.triggers(minimal))).linear4bit == reason
    assert all(LINEAR not in only for _, only in executor.asked)


@pytest.mark.parametrize(("fails", "reach"), [(True, "yes"), (False, "no: it does not fail there with this input")])
def test_the_module_has_a_view_of_its_own(executor: OwnExecutor, fails: bool, reach: str) -> None:  # noqa: FBT001
    """Before 0.50 it hands on the transposed one, which `matmul_4bit` is then called with too."""
    executor.views = {MATMUL: PackedView.TRANSPOSED, LINEAR: PackedView.RETURNED}
    executor.plants = [Plant("any", lambda _: True, paths=(MATMUL, LINEAR) if fails else (MATMUL,))]
    minimal = Case(packed=PackedView.TRANSPOSED)
    assert measured(defect(minimal, fields.triggers(minimal))).linear4bit == reach


def test_an_exception_where_it_is_allowed_is_not_among_what_passes(executor: OwnExecutor) -> None:
    of = key(MATMUL, Symptom.UNEXPECTED_EXCEPTION, "ValueError")
    executor.plants = [Plant("raises", lambda case: case.memory.absmax is Memory.CONTIGUOUS, symptom=of.symptom, how=of.how)]
    executor.allowed = lambda case: case.memory.absmax is Memory.STRIDED
    record = by_name(measured(defect(Case(), {}, of)))["memory.absmax"]
    assert record.fails == ("contiguous",)
    assert set(record.passes) == {"guarded", "offset"}


@pytest.mark.parametrize("path", ["triton_quantize_4bit", "triton_gemv_4bit"])
def test_nothing_leads_from_the_module_to_triton_s_functions(executor: OwnExecutor, path: str) -> None:
    minimal = Case(execution=Execution(mode=Mode.TRITON))
    executor.plants = [Plant("any", lambda _: True, paths=(path, LINEAR))]
    found = measured(defect(minimal, fields.triggers(minimal), key(path)))
    assert found.linear4bit == "no: nothing calls the Triton functions on this device but those who import them"
    assert all(LINEAR not in only for _, only in executor.asked)


def test_the_module_calls_quantize_4bit_with_the_same_arguments(executor: OwnExecutor) -> None:
    minimal = Case(quantization=Quantization(compress_statistics=True), weight=Weight(fill=Fill.ONE_HOT))
    of = FailureKey(QUANTIZE_SURFACE, QUANTIZE, Symptom.WRONG_VALUE, "")
    assert measured(defect(minimal, fields.triggers(minimal), of)).linear4bit == "yes"
    assert {only for _, only in executor.asked} == {()}, "quantizing needs no selecting"


def test_without_time_there_is_what_there_was_time_for(executor: OwnExecutor) -> None:
    executor.slow = 0.01
    extent = measured(defect(), seconds=0.5)
    assert not extent.complete
    assert 1 <= len(extent.fields) < len(fields.CHOICES)
    assert extent.fields[0].name == "bias"
    assert all(len(item.fails) + len(item.passes) > 1 for item in extent.fields), "a record is whole or not there"


@pytest.mark.usefixtures("executor")
def test_without_any_time_there_is_no_record() -> None:
    extent = measured(defect(), seconds=-1.0)
    assert (extent.fields, extent.complete) == ((), False)
    assert extent.linear4bit == "no: it does not fail there with this input"
    assert extent.paths == (MATMUL,)


@pytest.mark.usefixtures("executor")
def test_it_can_be_written_and_read() -> None:
    extent = measured(defect())
    assert Extent.from_json(extent.to_json()) == extent


def test_of_a_graph_the_graph_of_the_module_is_asked(executor: OwnExecutor) -> None:
    minimal = dataclasses.replace(WIDE, execution=Execution(mode=Mode.GRAPH))
    replayed, layer = "matmul_4bit_replayed", "linear4bit_replayed"
    executor.plants = [dataclasses.replace(executor.plants[0], paths=(replayed, layer))]
    assert measured(defect(minimal, of=key(replayed))).linear4bit == "yes"
    executor.plants = [dataclasses.replace(executor.plants[0], paths=(replayed, LINEAR))]
    assert measured(defect(minimal, of=key(replayed))).linear4bit == "no: it does not fail there with this input"

"""Right and wrong kernels for the tests of relations: emulated on the CPU, on weights that bitsandbytes has quantized."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from fuzz.engine.calls import Prepared, prepare
from fuzz.engine.contract import Row
from fuzz.engine.judge import Finished, Question
from fuzz.engine.library import Library
from fuzz.engine.path import Path
from fuzz.engine.relations import RULES
from fuzz.engine.tensors import build
from fuzz.engine.verdict import Ruling
from fuzz.oracle.arms import Arm
from fuzz.selfcheck.subject import emulated, path_of
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Quantization, QuantType, Relation, Weight
from tests.fuzz.engine.helpers import library

CPU = library()
ON_ONE_DEVICE = [relation for relation in RULES if relation is not Relation.SECOND_GPU]
"""The relations that can be shown on a CPU."""
EMULATED = (Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR, Arm.DEQUANTIZE)

Kernel = Callable[[Prepared], torch.Tensor]


def related_case(  # noqa: PLR0913 - one argument for each thing that a relation may depend on
    relation: Relation,
    *,
    outputs: int = 6,
    terms: int = 128,
    leading: tuple[int, ...] = (3,),
    dtype: FloatDType = FloatDType.FLOAT16,
    bias: bool = False,
    quantization: Quantization | None = None,
    seed: int = 5,
) -> Case:
    """A Case in which every relation can hold: whole blocks, plain statistics, numbers far from the ends of the range."""
    return Case(
        weight=Weight(out_features=outputs, in_features=terms, dtype=dtype, fill=Fill.NORMAL),
        quantization=quantization or Quantization(quant_type=QuantType.NF4, blocksize=64),
        activation=Activation(leading=leading, fill=Fill.INTEGERS),
        bias=bias,
        execution=Execution(relation=relation),
        seed=seed,
    )


def prepared_of(case: Case, loaded: Library = CPU) -> Prepared:
    """The tensors of a Case, quantized by the CPU backend; `loaded` is what the dispatch rules are asked about."""
    return dataclasses.replace(prepare(case, build(case), CPU), library=loaded)


def path_with(arm: Arm) -> Path:
    """The path that `arm` is judged as, sure to run this kernel for every Case."""
    return dataclasses.replace(path_of(arm), arms=lambda case, library: (arm,))  # noqa: ARG005


def question_on(path: Path, prepared: Prepared, ruling: Ruling = Ruling.VALID) -> Question:
    """What is being judged."""
    return Question(prepared.case, path, prepared.library, Row(ruling=ruling, source="a document", when=lambda *_: True))


def right(arm: Arm) -> Kernel:
    """The emulated kernel."""
    return lambda prepared: emulated(arm, prepared)


def returning(kernel: Kernel) -> Callable[[Prepared], Finished]:
    """Makes the second call with `kernel`."""
    return lambda prepared: Finished(kernel(prepared), None)


def raising(error: Exception) -> Callable[[Prepared], Finished]:
    """A second call that raises."""
    return lambda _: Finished(None, error)


def one_changed(result: torch.Tensor) -> torch.Tensor:
    """With the last element one unit in the last place larger."""
    changed = result.clone()
    flat = changed.view(-1)
    flat[-1] = torch.nextafter(flat[-1], torch.tensor(torch.inf, dtype=flat.dtype))
    return changed

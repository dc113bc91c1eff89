"""Runs one Case in this process: build, quantize, every path, judge. This is what the child does."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import torch

from fuzz.engine import contract, paths
from fuzz.engine.bounds import Arm
from fuzz.engine.calls import Prepared, prepare
from fuzz.engine.codebooks import dynamic_map
from fuzz.engine.judge import Finished, Question, context_lost, is_device_error, judge, judge_error, product_of_weight
from fuzz.engine.library import Library
from fuzz.engine.reference import DecodedWeight, Product, decode, multiply
from fuzz.engine.tensors import STORAGE_DTYPES, Inputs, build
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from strategies.case import Case

Announce = Callable[[PathVerdict], None]
"""Called with a pending verdict before a path runs, so that the parent knows where a process died."""

DEQUANTIZE: Final = "dequantize_4bit"

_MAP_TOLERANCE: Final = 22 * 2.0**-24
"""Upstream computes the 8-bit map with float32 linspace: two roundings at magnitude 1 (20 v relative to the smallest
value 0.1), one of the midpoint, one of the product. Neighbours of the map differ by more than 10**-3."""


def run_case(
    case: Case, library: Library, announce: Announce, only: Collection[str] | None = None, skip: Collection[str] = ()
) -> Iterator[PathVerdict]:
    """Run `case` on every path that applies; verdicts come as they are reached.

    Args:
        case: the input.
        library: the features of the bitsandbytes that is loaded.
        announce: told of each path before it runs.
        only: names of paths; None for all. `quantize_4bit` and what a path requires always run.
        skip: names of paths that are not run, nor what requires them.

    Yields:
        Verdicts of the quantization and of each path. After a lost context nothing more is run.
    """
    inputs = build(case)
    prepared, verdict = _quantize(case, inputs, library, announce)
    yield verdict
    if prepared is None or verdict.symptom:
        return
    weight = decode(case, prepared.packed, prepared.state)
    products = _Products(case, inputs, weight)
    failed: dict[str, Symptom | None] = dict.fromkeys(skip)
    for path in _selected(case, library, only):
        if path.name in failed or _explained(path, case, library, failed):
            failed.setdefault(path.name, None)
            continue
        question = Question(case, path, library, contract.rule(case, path.surface, library))
        announce(question.answer())
        verdict = judge(question, _run(path, prepared), products.of(path))
        yield verdict
        if verdict.symptom:
            failed[path.name] = verdict.symptom
        if verdict.symptom is Symptom.CONTEXT_LOST:
            return


def _selected(case: Case, library: Library, only: Collection[str] | None) -> Iterator[paths.Path]:
    wanted = set(paths.BY_NAME) if only is None else set(only)
    for name in list(wanted):
        while required := required_by(paths.BY_NAME[name], case, library):
            wanted.add(required)
            name = required  # noqa: PLW2901 - follows the chain of requirements
    return (path for path in paths.PATHS if path.name in wanted and path.applies(case, library))


def _explained(path: paths.Path, case: Case, library: Library, failed: dict[str, Symptom | None]) -> bool:
    """Whether a failure of `path` would only repeat one that was seen: nothing is learned from running it."""
    if path.requires is not None:
        return path.requires in failed
    # A path that can only be dense multiplies by the numbers that `dequantize_4bit` returns.
    dense = not path.yields_weight and path.arms(case, library) == (Arm.DENSE,)
    return dense and failed.get(DEQUANTIZE) is Symptom.WRONG_VALUE


def required_by(path: paths.Path, case: Case, library: Library) -> str | None:
    """The path that has to run before `path`, if there is one."""
    dense = not path.yields_weight and path.arms(case, library) == (Arm.DENSE,)
    return path.requires or (DEQUANTIZE if dense else None)


class _Products:
    """References of one Case, computed once each."""

    def __init__(self, case: Case, inputs: Inputs, weight: DecodedWeight) -> None:
        self._case, self._inputs, self._weight = case, inputs, weight
        self._known: dict[tuple[bool, bool], Product] = {}

    def of(self, path: paths.Path) -> Product:
        """The reference for what `path` yields."""
        key = (path.yields_weight, path.adds_bias)
        if key not in self._known:
            if path.yields_weight:
                self._known[key] = product_of_weight(self._case, self._weight)
            else:
                bias = self._inputs.bias if path.adds_bias else None
                self._known[key] = multiply(self._inputs.activation, self._weight, bias)
        return self._known[key]


def _run(path: paths.Path, prepared: Prepared) -> Finished:
    with torch.set_grad_enabled(prepared.case.execution.grad):
        try:
            result = path.run(prepared)
            _synchronize(prepared.library)
        except Exception as error:  # noqa: BLE001 - any exception is an outcome to be judged
            return Finished(None, error)
    return Finished(result, None)


def _synchronize(library: Library) -> None:
    # An asynchronous CUDA error must surface in the path that caused it.
    if library.device == "cuda":
        torch.cuda.synchronize()


_QUANTIZE_PATH: Final = paths.Path(
    name=paths.QUANTIZE,
    surface=paths.QUANTIZE_SURFACE,
    applies=lambda case, library: True,  # noqa: ARG005
    run=lambda prepared: prepared.packed,
    arms=lambda case, library: (),  # noqa: ARG005
    stored=lambda case, library: case.weight.dtype,  # noqa: ARG005
)


def _quantize(case: Case, inputs: Inputs, library: Library, announce: Announce) -> tuple[Prepared | None, PathVerdict]:
    row = contract.rule(case, paths.QUANTIZE_SURFACE, library)
    question = Question(case, _QUANTIZE_PATH, library, row)
    announce(question.answer())
    try:
        prepared = prepare(case, inputs, library)
        _synchronize(library)
    except Exception as error:  # noqa: BLE001
        return None, judge_error(question, error)
    if row.ruling is Ruling.INVALID:
        got = f"a packed weight of shape {tuple(prepared.packed.shape)}"
        return None, question.answer(Symptom.MISSING_ERROR, expected="a Python exception that names the problem", got=got)
    return prepared, _judge_packed(question, prepared)


def _judge_packed(question: Question, prepared: Prepared) -> PathVerdict:
    """Whether packed weight and statistics have room for every element. Their values are judged through the product."""
    case, state = question.case, prepared.state
    needed = math.ceil(case.weight.elements / 2)
    blocks = math.ceil(case.weight.elements / case.quantization.blocksize)
    storage = STORAGE_DTYPES[case.quantization.storage]
    checks: list[tuple[Symptom, str, Any, Any]] = [
        (Symptom.WRONG_DTYPE, "dtype of the packed weight", storage, prepared.packed.dtype),
        (Symptom.WRONG_SHAPE, "blocks of statistics", blocks, state.absmax.numel()),
        (Symptom.WRONG_SHAPE, "shape of the state", case.weight.stored_shape, tuple(state.shape)),
    ]
    held = prepared.packed.numel() * prepared.packed.element_size()
    if held < needed:
        expected, got = f"room for {case.weight.elements} elements: {needed} bytes", f"{held} bytes"
        return question.answer(Symptom.WRONG_SHAPE, "packed weight too short", expected=expected, got=got)
    for symptom, name, expected, got in checks:
        if expected != got:
            return question.answer(symptom, name, expected=f"{name}: {expected}", got=str(got))
    if state.state2 is not None and not _is_dynamic_map(state.state2.code):
        return question.answer(Symptom.WRONG_VALUE, "8-bit map", expected="the 8-bit dynamic map of arXiv 1511.04561", got="another table")
    return question.answer()


def _is_dynamic_map(code: torch.Tensor) -> bool:
    ours = torch.tensor(dynamic_map(), dtype=torch.float64)
    theirs = code.detach().cpu().double()
    # The CPU quantizer replaces the lowest value by -1 ("can cause an error in the binary search", csrc/cpu_ops.cpp).
    ours[0] = theirs[0] if float(theirs[0]) == -1.0 else ours[0]
    return bool(((theirs - ours).abs() <= _MAP_TOLERANCE * ours.abs()).all())


def quiet() -> None:
    """Silence what upstream logs and warns, once a layer or a call: slow paths and deprecations are no verdicts."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


__all__ = ["context_lost", "is_device_error", "quiet", "run_case"]

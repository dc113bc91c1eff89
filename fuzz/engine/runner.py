"""Runs one Case in this process: build, quantize, every path, judge. This is what the child does."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import torch

from fuzz.engine import contract, paths
from fuzz.engine.allocations import Allocations
from fuzz.engine.ambient import ambient, forget, own_tables
from fuzz.engine.calls import Prepared, place, prepare, quantize, with_layer
from fuzz.engine.desk import desk_for
from fuzz.engine.judge import (
    Finished,
    Question,
    RefusedLaunchError,
    context_lost,
    is_device_error,
    judge_error,
    judge_memory,
    judge_outcome,
)
from fuzz.engine.judge_inputs import judge_inputs
from fuzz.engine.judge_quantize import CODE_TABLE, OF_TABLES, judge_quantized, with_the_published_table
from fuzz.engine.judge_relation import judge_relation
from fuzz.engine.judge_values import judge_values
from fuzz.engine.launches import launched
from fuzz.engine.library import Library
from fuzz.engine.misuses import MAY_BE_RIGHT, concerns, misused
from fuzz.engine.path import Path, Yields
from fuzz.engine.pending import PENDING_CYCLES, SIDE_CYCLES, call_on_side_stream, call_while_pending, read_by_calls
from fuzz.engine.provocation import Provocation
from fuzz.engine.references import References
from fuzz.engine.tensors import Inputs, build
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from fuzz.engine.watch import Watch, before_multiplying, before_quantizing
from fuzz.oracle.arms import Arm
from strategies.case import Case, CudaStream, FloatDType, Mode, Relation

Announce = Callable[[PathVerdict], None]
"""Called with a pending verdict before a path runs, so that the parent knows where a process died."""

Judging = Callable[[], None]
"""Called when a path has run and its result is going to be judged: how long that takes says nothing about the library."""

_WRONG_NUMBERS: Final = frozenset({Symptom.WRONG_VALUE, Symptom.RANGE_DIVERGENCE, Symptom.BROKEN_RELATION})

DEQUANTIZE: Final = "dequantize_4bit"

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a Case is run.

    Attributes:
        only: names of paths; None for all. `quantize_4bit` and what a path requires always run.
        skip: names of paths that are not run, nor what requires them.
        profile: run a path that fails with wrong numbers once more under the profiler, for the names of its kernels.
        survey: run every path that is right once more under the profiler, and the quantization.
        provocation: how the calls are made that are asked for.
    """

    only: Collection[str] | None = None
    skip: Collection[str] = ()
    profile: bool = False
    survey: bool = False
    provocation: Provocation = Provocation.NONE

    def provocation_of(self, path: str) -> Provocation:
        """How `path` is called. What runs only because another requires it is not provoked: if it failed, that would hide the other."""
        return self.provocation if not self.only or path in self.only else Provocation.NONE


EVERYTHING: Final = Selection()

_ALLOCATING: Final = frozenset({None, Mode.CALL, Mode.OUT, Mode.BACKWARD, Mode.KEPT, Mode.TRITON})
"""Modes of paths, None for those that run in every mode: not where torch's compiler, a graph's memory or fake tensors come between."""


def run_case(
    case: Case, library: Library, announce: Announce, selection: Selection = EVERYTHING, judging: Judging = lambda: None
) -> Iterator[PathVerdict]:
    """Run `case` on every path that applies; verdicts come as they are reached.

    Args:
        case: the input.
        library: the features of the bitsandbytes that is loaded.
        announce: told of each path before it runs, and again before it is repeated.
        selection: the paths to run, and how.
        judging: told when a path has run.

    Yields:
        Verdicts of the quantization and of each path. After a lost context nothing more is run.
    """
    with own_tables(case):
        yield from _verdicts(case, library, _Told(announce, judging), selection)


@dataclass(frozen=True, slots=True)
class _Told:
    """Who is told before a path runs, and when it has run."""

    announce: Announce
    judging: Judging


def _verdicts(case: Case, library: Library, told: _Told, selection: Selection) -> Iterator[PathVerdict]:
    inputs = build(case)
    prepared, verdict = _quantize(case, inputs, library, told, selection.provocation_of(paths.QUANTIZE))
    if selection.survey and prepared is not None and library.device == "cuda":
        verdict = dataclasses.replace(verdict, kernels=launched(lambda: prepare(case, inputs, library)))
    yield verdict
    # Wrong numbers can still be decoded and multiplied: what comes after is judged by what is stored.
    if prepared is None or verdict.symptom not in (None, Symptom.WRONG_VALUE):
        return
    if verdict.how == CODE_TABLE:
        prepared = with_the_published_table(prepared)
    prepared = misused(prepared)
    desk = desk_for(case, prepared.activation.device)
    subject = _Subject(prepared, References(inputs, prepared, desk), before_multiplying(prepared))
    failed: dict[str, Symptom | None] = dict.fromkeys(selection.skip)
    for path in _selected(case, library, selection.only):
        if path.name in failed or _explained(path, case, library, failed):
            failed.setdefault(path.name, None)
            continue
        question = Question(case, path, library, contract.rule(case, path.surface, library))
        verdict = _judge_path(question, subject, told, selection.provocation_of(path.name))
        yield _with_kernels(verdict, path, prepared, selection)
        if verdict.symptom:
            failed[path.name] = verdict.symptom
        if verdict.ends_child:
            return


def _with_kernels(verdict: PathVerdict, path: Path, prepared: Prepared, selection: Selection) -> PathVerdict:
    asked = (selection.profile and verdict.symptom in _WRONG_NUMBERS) or (selection.survey and verdict.symptom is None and not verdict.got)
    if not asked or prepared.library.device != "cuda" or path.mode is Mode.GRAPH:  # whose kernels no call launches
        return verdict
    return dataclasses.replace(verdict, kernels=launched(lambda: path.run(prepared)))


@dataclass(frozen=True, slots=True)
class _Subject:
    """A quantized Case, what its results are compared with, and what its inputs were."""

    prepared: Prepared
    references: References
    watch: Watch


def _judge_path(question: Question, subject: _Subject, told: _Told, provocation: Provocation) -> PathVerdict:
    """The first failing verdict of as many calls as `provocation` asks for, or the last one."""
    if question.path.quantizes is not None:
        return _quantize_again(question, subject.prepared, told, provocation)[1]

    def run(prepared: Prepared) -> Finished:
        told.announce(question.answer())
        finished = _run(question, prepared, provocation)
        told.judging()
        return finished

    for _ in range(provocation.calls):
        finished = run(subject.prepared)
        verdict = _judge_call(question, finished, subject.watch) or _judge_numbers(question, finished, subject, run)
        verdict = verdict if verdict.symptom else judge_memory(question, finished.overrun) or verdict
        if verdict.symptom or verdict.ends_child:
            break
    return verdict


def _judge_call(question: Question, finished: Finished, watch: Watch) -> PathVerdict | None:
    """The verdict on everything but the numbers of a result; None if all that is right."""
    verdict = judge_outcome(question, finished)
    if verdict is not None and verdict.symptom is Symptom.CONTEXT_LOST:
        return verdict
    changed = judge_inputs(question, watch)
    return verdict if verdict is not None and verdict.symptom else changed or verdict


def _judge_numbers(question: Question, finished: Finished, subject: _Subject, run: Callable[[Prepared], Finished]) -> PathVerdict:
    verdict = judge_values(question, finished.tensor, subject.references)
    if verdict.symptom or question.case.execution.relation is Relation.NONE:
        return verdict
    related = judge_relation(question, finished.tensor, subject.prepared, run)
    return related or judge_inputs(question, subject.watch) or verdict


def _selected(case: Case, library: Library, only: Collection[str] | None) -> Iterator[Path]:
    asked = set(paths.BY_NAME) if only is None else set(only)
    concerned = {path.name for path in paths.PATHS if path.takes(case, library) and concerns(case, path, library)}
    if case.execution.misuse in MAY_BE_RIGHT:  # then numbers are judged, which may be wrong for a reason of another path
        concerned |= _with_required(concerned & asked, case, library)
    wanted = concerned & _with_required(asked, case, library)
    return (path for path in paths.PATHS if path.name in wanted and path.takes(case, library))


def _with_required(names: Collection[str], case: Case, library: Library) -> set[str]:
    """The same, and what has to run before them."""
    found = set(names)
    for name in names:
        while required := required_by(paths.BY_NAME[name], case, library):
            found.add(required)
            name = required  # noqa: PLW2901 - follows the chain of requirements
    return found


def _explained(path: Path, case: Case, library: Library, failed: dict[str, Symptom | None]) -> bool:
    """Whether a failure of `path` would only repeat one that was seen: nothing is learned from running it."""
    if path.requires in failed:
        return True
    # A path that can only be dense multiplies by the numbers that `dequantize_4bit` returns.
    return _is_dense(path, case, library) and failed.get(DEQUANTIZE) is Symptom.WRONG_VALUE


def required_by(path: Path, case: Case, library: Library) -> str | None:
    """The path that has to run before `path`, if there is one."""
    return path.requires or (DEQUANTIZE if _is_dense(path, case, library) else None)


def _is_dense(path: Path, case: Case, library: Library) -> bool:
    return path.yields in {Yields.PRODUCT, Yields.INPUT_GRADIENT} and path.arms(case, library) == (Arm.LINEAR,)


def _run(question: Question, prepared: Prepared, provocation: Provocation) -> Finished:
    returned, allocations = False, Allocations()
    with torch.set_grad_enabled(prepared.case.execution.grad), ambient(prepared.case), _guards(question, allocations):
        try:
            if question.path.calls_layer and _is_on_side_stream(question):
                prepared = with_layer(prepared)
            result = _called(question, partial(read_by_calls, prepared), partial(question.path.run, prepared), provocation)
            returned = True
            _synchronize(prepared.library, result.device)
        except Exception as error:  # noqa: BLE001 - any exception is an outcome to be judged
            return Finished(None, _as_it_is(error, prepared.library, left=returned))
    return Finished(result, None, allocations.overrun())


def _guards(question: Question, allocations: Allocations) -> contextlib.AbstractContextManager[None]:
    """Guards around what the library allocates, in the modes in which it is the library that does."""
    return allocations.guarded() if question.path.mode in _ALLOCATING else contextlib.nullcontext()


def _called(question: Question, read: Callable[[], list[torch.Tensor]], call: Callable[[], _Result], provocation: Provocation) -> _Result:
    """What `call` returns, which reads what `read` gives, on the stream of the Case and provoked."""
    is_pending = provocation is Provocation.PENDING_PRODUCER and question.library.device == "cuda"
    if _is_on_side_stream(question):
        return call_on_side_stream(read(), call, PENDING_CYCLES if is_pending else SIDE_CYCLES)
    return call_while_pending(read(), call) if is_pending else call()


def _is_on_side_stream(question: Question) -> bool:
    """Whether the call is a plain one, made on a side stream: most modes synchronize, or have a stream of their own."""
    execution = question.case.execution
    return question.library.device == "cuda" and execution.stream is CudaStream.SIDE and execution.mode is Mode.CALL


def _synchronize(library: Library, device: torch.device | None = None) -> None:
    """Have every CUDA error surface in the path that caused it, also where its result is on another GPU than the first."""
    if library.device != "cuda":
        return
    torch.cuda.synchronize(device if device is not None and device.type == "cuda" else None)
    # A launch that was refused leaves an error that nothing but the next launch looks at.
    torch.ones((), device="cuda")


def _as_it_is(error: Exception, library: Library, *, left: bool) -> Exception:
    """The exception, or that a launch was refused if the device works on after a CUDA error. `left`: the call had returned."""
    return RefusedLaunchError(str(error), left=left) if is_device_error(error) and _is_usable(library) else error


def _is_usable(library: Library) -> bool:
    """Whether the device works on after a CUDA error. A launch that was refused is reported once; a lost context for good."""
    if library.device != "cuda":
        return False
    try:
        torch.cuda.synchronize()
        return bool(torch.ones((), device="cuda").item())
    except Exception:  # noqa: BLE001 - it fails in many ways
        return False


QUANTIZE_PATH: Final = Path(
    name=paths.QUANTIZE,
    surface=paths.QUANTIZE_SURFACE,
    applies=lambda case, library: True,  # noqa: ARG005
    run=lambda prepared: prepared.packed,
    arms=lambda case, library: (),  # noqa: ARG005
    stored=lambda case, library: case.weight.dtype,  # noqa: ARG005
)


_Quantized = tuple[Prepared | None, PathVerdict]


def _quantize(case: Case, inputs: Inputs, library: Library, told: _Told, provocation: Provocation) -> _Quantized:
    """The first quantization that fails of as many as `provocation` asks for, or the last one."""
    question = Question(case, QUANTIZE_PATH, library, contract.rule(case, paths.QUANTIZE_SURFACE, library))
    for _ in range(provocation.calls):
        told.announce(question.answer())
        placed = place(case, inputs, library)
        call = partial(quantize, case, placed, library)
        prepared, verdict = _quantize_once(question, placed.weight, call, provocation, told.judging)
        if verdict.how in OF_TABLES and case.execution.default_dtype is FloatDType.FLOAT32:
            # The library keeps its tables, and a call of an earlier Case that wrote beyond its memory may have spoilt them.
            forget()
            told.announce(question.answer())
            prepared, verdict = _quantize_once(question, placed.weight, call, provocation, told.judging)
        if verdict.symptom:
            break
    return prepared, verdict


def _quantize_again(question: Question, prepared: Prepared, told: _Told, provocation: Provocation) -> _Quantized:
    """The same by another way to quantize: the path's own.

    Raises:
        ValueError: the path does not quantize.
    """
    if question.path.quantizes is None:
        raise ValueError(f"{question.path.name} does not quantize")
    call = partial(question.path.quantizes, prepared)
    for _ in range(provocation.calls):
        told.announce(question.answer())
        quantized, verdict = _quantize_once(question, prepared.weight, call, provocation, told.judging)
        if verdict.symptom:
            break
    return quantized, verdict


def _quantize_once(
    question: Question, weight: torch.Tensor, call: Callable[[], Prepared], provocation: Provocation, judging: Judging
) -> _Quantized:
    watch, returned, allocations = before_quantizing(weight), False, Allocations()
    try:
        with ambient(question.case), _guards(question, allocations):
            prepared = _called(question, lambda: [weight], call, provocation)
            returned = True
        _synchronize(question.library)
    except Exception as error:  # noqa: BLE001
        return None, judge_error(question, _as_it_is(error, question.library, left=returned))
    judging()
    if (changed := judge_inputs(question, watch)) is not None:
        return None, changed
    if question.row.ruling is Ruling.INVALID:
        got = f"a packed weight of shape {tuple(prepared.packed.shape)}"
        return None, question.answer(Symptom.MISSING_ERROR, expected="a Python exception that names the problem", got=got)
    verdict = judge_quantized(question, prepared)
    verdict = verdict if verdict.symptom else judge_memory(question, allocations.overrun()) or verdict
    if verdict.symptom in {None, Symptom.WRONG_VALUE} and _is_on_side_stream(question):
        # Which number is wrong first where poison was quantized is chance. The code table is not made of any.
        verdict = verdict if verdict.how == CODE_TABLE else dataclasses.replace(verdict, how="")
        # What may have been made of poison says nothing about the calls that read it.
        with ambient(question.case):
            prepared = call()
    return prepared, verdict


def quiet() -> None:
    """Silence what upstream logs and warns, once a layer or a call: slow paths and deprecations are no verdicts."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


__all__ = ["context_lost", "is_device_error", "quiet", "run_case"]

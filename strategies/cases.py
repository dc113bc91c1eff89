"""Composes the dimensions into Cases."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st

from strategies import fields
from strategies.activations import activations
from strategies.case import OUT_MEMORIES, Case, CudaStream, Execution, Fill, FloatDType, Layout, Layouts, Memory, Mode, Relation, Weight
from strategies.layouts import layouts
from strategies.misuse import OF_OUT, OF_SHAPE_OR_DTYPE, Misuse
from strategies.quantization import packed_views, quantizations
from strategies.shapes import weight_sizes

MAX_DRAWN_SEED = 2**16 - 1


_LAYOUTS = st.sampled_from(Layout)
_DTYPES = st.sampled_from(FloatDType)
_FILLS = st.sampled_from(Fill)
_DEFAULT_DTYPES = st.sampled_from([*([FloatDType.FLOAT32] * 8), FloatDType.FLOAT16, FloatDType.BFLOAT16])
# Each call on a side stream waits for what keeps that stream busy.
_STREAMS = st.sampled_from([*([CudaStream.DEFAULT] * 15), CudaStream.SIDE])
_FLAGS = st.booleans()
_RELATIONS = st.sampled_from([relation for relation in Relation if relation is not Relation.NONE])
_MISUSES = st.sampled_from([misuse for misuse in Misuse if misuse is not Misuse.NONE and misuse not in OF_OUT])
_MISUSES_OF_OUT = st.sampled_from([misuse for misuse in Misuse if misuse in OF_OUT])
_MISUSES_OF_TRITON = st.sampled_from([*([Misuse.NONE] * 28), *(misuse for misuse in Misuse if misuse in OF_SHAPE_OR_DTYPE)])
_OUT_MEMORIES = st.sampled_from([*([Memory.CONTIGUOUS] * 3), *OUT_MEMORIES])
_SEEDS = st.integers(0, MAX_DRAWN_SEED)
_EMPTY = st.sampled_from([None] * 29 + list(fields.SIZES))


@st.composite
def _filled(draw: st.DrawFn) -> Case:
    """Cases without a size of zero."""
    quantization = draw(quantizations())
    out_features, in_features = draw(weight_sizes(quantization.blocksize))
    weight = Weight(
        out_features=out_features,
        in_features=in_features,
        layout=draw(_LAYOUTS),
        dtype=draw(_DTYPES),
        fill=draw(_FILLS),
    )
    activation = draw(activations())
    # Every second time the same numbers on both sides: it takes two tiny factors, or two huge ones, to leave a range, and
    # numbers that say much about a sum say little beside zeros.
    if draw(_FLAGS):
        activation = dataclasses.replace(activation, fill=weight.fill)
    return Case(
        weight=weight,
        quantization=quantization,
        packed=draw(packed_views()),
        activation=activation,
        bias=draw(_FLAGS),
        memory=draw(layouts()),
        execution=Execution(grad=draw(_FLAGS), default_dtype=draw(_DEFAULT_DTYPES)),
        seed=draw(_SEEDS),
    )


_FILLED = _filled()


def cases() -> st.SearchStrategy[Case]:
    """Any Case: legal and not, since the contract decides what is expected of it.

    Draws a dozen small choices and builds tensors nowhere; shrinks towards `Case()`. One in ten has a size of zero, one in
    sixteen is called on a side stream.
    """
    return st.builds(_on_stream, st.builds(_emptied, _FILLED, _EMPTY), _STREAMS)


def _on_stream(case: Case, stream: CudaStream) -> Case:
    return case if stream is CudaStream.DEFAULT else fields.replace(case, "execution.stream", stream)


def _emptied(case: Case, name: str | None) -> Case:
    """The Case with a size of zero: there is nothing to lay out in memory."""
    return case if name is None else fields.replace(dataclasses.replace(case, memory=Layouts()), name, 0)


def cases_in(mode: Mode) -> st.SearchStrategy[Case]:
    """Any Case with something in its tensors, run in a mode."""
    if mode is Mode.CALL:
        return cases()
    asked = _FILLED.map(lambda case: fields.replace(case, "execution.mode", mode))
    if mode is not Mode.OUT:
        return asked
    return st.builds(lambda case, memory: fields.replace(case, "memory.out", memory), asked, _OUT_MEMORIES)


def misused_cases() -> st.SearchStrategy[Case]:
    """Calls that cannot be right, and where everything else is: dull memory, and the layout that all paths take."""
    return st.builds(lambda case, misuse: _wrong(case, Execution(misuse=misuse)), _FILLED, _MISUSES)


def wrong_out_cases() -> st.SearchStrategy[Case]:
    """Calls that are right but for the tensor that they are to write to."""
    return st.builds(lambda case, misuse: _wrong(case, Execution(mode=Mode.OUT, misuse=misuse)), _FILLED, _MISUSES_OF_OUT)


def triton_cases() -> st.SearchStrategy[Case]:
    """Any Case for Triton's functions. One in eight hands one of them a tensor of another shape or dtype than it is to write."""
    return st.builds(_wrong_out_of_triton, cases_in(Mode.TRITON), _MISUSES_OF_TRITON)


def _wrong_out_of_triton(case: Case, misuse: Misuse) -> Case:
    return case if misuse is Misuse.NONE else _wrong(case, Execution(mode=Mode.TRITON, misuse=misuse))


def _wrong(case: Case, execution: Execution) -> Case:
    weight = dataclasses.replace(case.weight, layout=Layout.OUT_IN)
    return dataclasses.replace(case, weight=weight, memory=Layouts(), execution=execution)


@st.composite
def related_cases(draw: st.DrawFn) -> Case:
    """Cases with a relation that is to hold, in the layouts in which every path takes them."""
    case = draw(_FILLED)
    weight = dataclasses.replace(case.weight, layout=Layout.OUT_IN)
    return dataclasses.replace(case, weight=weight, memory=Layouts(), execution=Execution(relation=draw(_RELATIONS)))

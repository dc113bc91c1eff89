"""The Cases that planted faults are shown in: the fuzzer's own strategy, kept small where kernels are emulated."""

from __future__ import annotations

import dataclasses
from typing import Final

from fuzz.campaign.explore import explore
from strategies.case import Activation, Case, Execution, Layout, PackedView, StorageDType
from strategies.cases import cases

EMULATED_TERMS: Final = 2**19
"""Terms of a product that is emulated on a CPU in some ten milliseconds."""

MOST_ROWS: Final = 8
_WIDE_BLOCKSIZE: Final = 256


def drawn(seed: int, count: int, *, small: bool) -> list[Case]:
    """The first `count` Cases of a search, in the layout that every kernel takes, and in bytes.

    Args:
        seed: of the search.
        count: Cases.
        small: cut them down to what can be emulated on a CPU.
    """
    found: list[Case] = []

    def visit(case: Case) -> bool:
        if not case.is_empty:  # of nothing no number can be wrong
            found.append(_plain(_cut(case) if small else case))
        return len(found) < count

    explore(cases(), seed, visit)
    return found


def _plain(case: Case) -> Case:
    weight = dataclasses.replace(case.weight, layout=Layout.OUT_IN)
    quantization = dataclasses.replace(case.quantization, storage=StorageDType.UINT8)
    return dataclasses.replace(case, weight=weight, quantization=quantization, packed=PackedView.RETURNED, execution=Execution())


def wide(case: Case) -> Case:
    """A Case like `case` that takes the tensor cores of a large GPU: some tens of rows, terms few beside outputs.

    By the dispatch rule of 0.50 (`fuzz.engine.dispatch`): more than 32 rows, terms a multiple of 64 and less than half of
    the outputs, which are even, because an odd number of them loses the CUDA context.
    """
    blocksize = min(case.quantization.blocksize, _WIDE_BLOCKSIZE)
    terms = max(64, blocksize) * (1 + case.weight.in_features % 2)
    quantization = dataclasses.replace(case.quantization, blocksize=blocksize)
    weight = dataclasses.replace(case.weight, in_features=terms, out_features=2 * terms + 66)
    return dataclasses.replace(case, weight=weight, quantization=quantization, activation=_with_rows(case.activation, 40))


def _cut(case: Case) -> Case:
    rows = min(case.activation.rows, MOST_ROWS)
    activation = case.activation if rows == case.activation.rows else _with_rows(case.activation, rows)
    outputs = max(1, min(case.weight.out_features, EMULATED_TERMS // (rows * case.weight.in_features)))
    return dataclasses.replace(case, weight=dataclasses.replace(case.weight, out_features=outputs), activation=activation)


def _with_rows(activation: Activation, rows: int) -> Activation:
    return dataclasses.replace(activation, leading=(rows,))

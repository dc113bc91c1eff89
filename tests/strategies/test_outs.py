"""Shapes and dtypes of what cannot take a result."""

from __future__ import annotations

import pytest

from strategies.case import FloatDType
from strategies.misuse import OF_OUT, Misuse
from strategies.outs import Shape, can_be_spoilt, dtype_of_out, shape_of_out

SHAPED = {Misuse.SHORT_OUT: (3, 5), Misuse.LONG_OUT: (3, 7), Misuse.DEEP_OUT: (2, 3, 6)}


@pytest.mark.parametrize("misuse", Misuse)
def test_a_shape_is_wrong_in_one_way_or_right(misuse: Misuse) -> None:
    assert shape_of_out(misuse, (3, 6)) == SHAPED.get(misuse, (3, 6))


@pytest.mark.parametrize("dtype", FloatDType)
def test_another_dtype_is_another_one(dtype: FloatDType) -> None:
    assert dtype_of_out(Misuse.OTHER_OUT, dtype) is not dtype
    assert {dtype_of_out(misuse, dtype) for misuse in OF_OUT - {Misuse.OTHER_OUT}} == {dtype}


@pytest.mark.parametrize(
    ("misuse", "shape", "possible"),
    [
        (Misuse.SHORT_OUT, (3, 1), False),
        (Misuse.SHORT_OUT, (1, 2), True),
        (Misuse.LONG_OUT, (1,), True),
        (Misuse.DEEP_OUT, (1,), True),
        (Misuse.OTHER_OUT, (1,), True),
        (Misuse.EXPANDED_OUT, (1, 1), False),
        (Misuse.EXPANDED_OUT, (2, 1), True),
    ],
)
def test_a_tensor_can_be_wrong_where_another_one_would_be_right(misuse: Misuse, shape: Shape, possible: bool) -> None:  # noqa: FBT001
    assert can_be_spoilt(misuse, shape) is possible


@pytest.mark.parametrize("misuse", sorted(OF_OUT, key=str))
def test_a_tensor_without_elements_is_never_wrong(misuse: Misuse) -> None:
    assert not can_be_spoilt(misuse, (0, 4))

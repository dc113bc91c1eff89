"""The union of error models."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from fuzz.oracle.model import ErrorModel

coefficients = st.floats(min_value=0, max_value=1e30)
models = st.builds(ErrorModel, **{item.name: coefficients for item in dataclasses.fields(ErrorModel)})


def test_the_union_of_models_is_the_larger_of_each_coefficient() -> None:
    first = ErrorModel(product=1, code=2, activation=3, constant=4, late_rounding=5, late_underflow=6)
    second = ErrorModel(product=6, code=5, activation=4, constant=3, late_rounding=2, late_underflow=1)
    assert first.union(second) == ErrorModel(product=6, code=5, activation=4, constant=4, late_rounding=5, late_underflow=6)


@given(models, models)
def test_the_union_is_no_tighter_than_either_and_no_wider_than_needed(first: ErrorModel, second: ErrorModel) -> None:
    union = dataclasses.asdict(first.union(second))
    for name, value in union.items():
        assert value in {getattr(first, name), getattr(second, name)}
        assert value >= getattr(first, name)
        assert value >= getattr(second, name)
    assert first.union(second) == second.union(first)
    assert first.union(first) == first

"""Checks of JSON that comes from a file: one sentence about what is wrong, and where."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

Check = Callable[[Any, str], None]
"""Takes a value and the words for its place; raises RecordError if it is not of the form."""


class RecordError(ValueError):
    """A file that is not a finding of this format."""


def check(data: object, place: str, required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> None:
    """See that `data` is an object with these members and no others.

    Raises:
        RecordError: it is not.
    """
    members = {**required, **(optional or {})}
    if not isinstance(data, dict):
        raise RecordError(f"{place} is not a JSON object")
    if missing := [name for name in required if name not in data]:
        raise RecordError(f"{place} lacks {missing[0]!r}")
    if unknown := sorted(set(data) - set(members)):
        raise RecordError(f"{place} has an unknown member {unknown[0]!r}")
    for name, value in data.items():
        members[name](value, f"{name!r} of {place}")


def text(value: Any, place: str) -> None:
    """A JSON string."""
    _require(isinstance(value, str), place, "text")


def flag(value: Any, place: str) -> None:
    """True or false."""
    _require(isinstance(value, bool), place, "true or false")


def count(value: Any, place: str) -> None:
    """An integer that is not negative."""
    _require(type(value) is int and value >= 0, place, "a count")


def integer(value: Any, place: str) -> None:
    """An integer."""
    _require(type(value) is int, place, "an integer")


def number(value: Any, place: str) -> None:
    """A finite number: other ones could not be written again."""
    _require(type(value) in (int, float) and abs(value) <= sys.float_info.max, place, "a finite number")


def scalar(value: Any, place: str) -> None:
    """The value of a field: text, an integer, true or false."""
    _require(isinstance(value, str | int), place, "the value of a field")


def json_object(value: Any, place: str) -> None:
    """An object, whatever is in it; its own `from_json` has words about that."""
    _require(isinstance(value, dict), place, "a JSON object")


def one_of(choices: Collection[str]) -> Check:
    """One of these texts."""
    return lambda value, place: _require(isinstance(value, str) and value in choices, place, f"one of {', '.join(choices)}")


def nothing_or(form: Check) -> Check:
    """Null, or what `form` checks."""
    return lambda value, place: None if value is None else form(value, place)


def array(form: Check) -> Check:
    """A JSON array of such values."""

    def check_array(value: Any, place: str) -> None:
        _require(isinstance(value, list), place, "a JSON array")
        for item in value:
            form(item, f"an item of {place}")

    return check_array


def mapping(form: Check) -> Check:
    """A JSON object with any names and such values."""

    def check_mapping(value: Any, place: str) -> None:
        _require(isinstance(value, dict), place, "a JSON object")
        for name, item in value.items():
            form(item, f"{name!r} of {place}")

    return check_mapping


def entry(members: Mapping[str, Check]) -> Check:
    """An entry of a list: words and numbers by name, these among them."""

    def check_entry(value: Any, place: str) -> None:
        mapping(scalar)(value, place)
        check({name: item for name, item in value.items() if name in members}, place, members)

    return check_entry


def _require(holds: bool, place: str, form: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not holds:
        raise RecordError(f"{place} is not {form}")

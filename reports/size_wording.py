"""Rules about sizes, such as "% 64 != 0, >= 65", as people say them."""

from __future__ import annotations

import re
from typing import Final

from reports.wording import label, listing
from strategies.fields import ROWS

_PART: Final = re.compile(r"(>=|<=|==|%) (\d+|blocksize)(?: (==|!=) 0)?")
_PARITY: Final = {("2", "!="): "odd", ("2", "=="): "even"}


def sizes(name: str, rule: str) -> str:
    """The sizes for which `rule` holds, such as "odd out_features from 129 on"; empty if it is not a rule."""
    found = [_PART.fullmatch(part.strip()) for part in rule.split(",")]
    if not all(found):
        return f"certain {_noun(name)}" if rule == "irregular" else ""
    parts = [(match[1], match[2], match[3] or "") for match in found if match]
    if any((sign == "%") != bool(equals) for sign, _, equals in parts):
        return ""
    moduli = [(number, equals) for sign, number, equals in parts if sign == "%"]
    adjectives = [_PARITY[modulus] for modulus in moduli if modulus in _PARITY]
    that_are = [_multiple(*modulus) for modulus in moduli if modulus not in _PARITY]
    words = [*adjectives, _noun(name), f"that are {listing(that_are)}" if that_are else "", _range(dict(part[:2] for part in parts))]
    return " ".join(word for word in words if word)


def _noun(name: str) -> str:
    return "row counts" if name == ROWS else label(name)


def _multiple(number: str, equals: str) -> str:
    modulus = "the blocksize" if number == "blocksize" else number
    return f"no multiples of {modulus}" if equals == "!=" else f"multiples of {modulus}"


def _range(bounds: dict[str, str]) -> str:
    if "==" in bounds:
        return bounds["=="]
    if ">=" in bounds and "<=" in bounds:
        return f"from {bounds['>=']} to {bounds['<=']}"
    if ">=" in bounds:
        return f"from {bounds['>=']} on"
    return f"up to {bounds['<=']}" if "<=" in bounds else ""

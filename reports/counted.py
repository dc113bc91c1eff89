"""Numbers of things, as people write them."""

from __future__ import annotations


def counted(number: int, thing: str, several: str = "", *, none: str = "0") -> str:
    """A number of things, such as "1 case" and "2 cases".

    Args:
        number: how many.
        thing: one of them.
        several: more than one of them, where that is not one with an "s".
        none: what is written for zero.
    """
    return f"{number or none} {thing if number == 1 else several or f'{thing}s'}"

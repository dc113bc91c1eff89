"""The code tables, written down here so that a wrong table in bitsandbytes is seen.

NF4: the sixteen values of appendix E of QLoRA (https://arxiv.org/abs/2305.14314), to float32 precision.
FP4: sign, two exponent bits, one mantissa bit, divided by the largest value 12 (docstring of upstream's
`functional.get_4bit_type`). 8-bit dynamic map: "8-Bit Approximations for Parallelism in Deep Learning",
https://arxiv.org/abs/1511.04561.
"""

from __future__ import annotations

from typing import Final

from strategies.case import QuantType

NF4: Final = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
_FP4_TWELFTHS: Final = (0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0)
FP4: Final = tuple(sign * value / 12.0 for sign in (1.0, -1.0) for value in _FP4_TWELFTHS)

CODES: Final[dict[QuantType, tuple[float, ...]]] = {QuantType.NF4: NF4, QuantType.FP4: FP4}


def dynamic_map() -> tuple[float, ...]:
    """The 256 values of the signed 8-bit dynamic type, ascending.

    For each of seven decades, the midpoints of 1, 2, 4, ... 64 equal parts of [0.1, 1], times 10**(decade - 6), with
    both signs; and 0 and 1.
    """
    values = [0.0, 1.0]
    for decade in range(7):
        parts = 2**decade
        for part in range(parts):
            value = (0.1 + 0.9 * (part + 0.5) / parts) * 10.0 ** (decade - 6)
            values += [value, -value]
    return tuple(sorted(values))

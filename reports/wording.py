"""Words for the fields of a Case and for their values: what people call them, near to upstream's own names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from strategies.fields import FILLS, ROWS

LABELS: Final = {
    "execution.grad": "requires_grad",
    "execution.mode": "mode",
    "execution.relation": "relation",
    "execution.misuse": "the call",
    "execution.default_dtype": "torch's default dtype",
    "execution.stream": "the stream",
    "bias": "bias",
    "quantization.compress_statistics": "compress_statistics",
    "quantization.storage": "quant_storage",
    "packed": "packed weight",
    "memory.weight": "weight in memory",
    "memory.packed": "packed weight in memory",
    "memory.absmax": "scales in memory",
    "memory.activation": "activation in memory",
    "memory.bias": "bias in memory",
    "memory.out": "out in memory",
    "weight.layout": "weight layout",
    "weight.dtype": "weight dtype",
    "activation.dtype": "activation dtype",
    "activation.rank": "activation rank",
    "quantization.quant_type": "quant_type",
    "quantization.blocksize": "blocksize",
    "activation.fill": "activation values",
    "weight.fill": "weight values",
    "weight.out_features": "out_features",
    "weight.in_features": "in_features",
    "activation.rows": "row count",
}
_VALUES: Final = {
    ("execution.misuse", "none"): "as it should be",
    ("execution.misuse", "short_activation"): "given an activation of one feature less than the weight has",
    ("execution.misuse", "long_activation"): "given an activation of one feature more than the weight has",
    ("execution.misuse", "integer_activation"): "given an activation of integers",
    ("execution.misuse", "double_activation"): "given an activation of float64",
    ("execution.misuse", "cpu_activation"): "given an activation in the memory of the CPU",
    ("execution.misuse", "short_bias"): "given a bias of one output less than the weight has",
    ("execution.misuse", "long_bias"): "given a bias of one output more than the weight has",
    ("execution.misuse", "other_bias"): "given a bias of another dtype",
    ("execution.misuse", "short_packed"): "given half of the packed weight",
    ("execution.misuse", "short_absmax"): "given one scale less than there are blocks",
    ("execution.misuse", "half_absmax"): "given scales of float16",
    ("execution.misuse", "foreign_state"): "given the state of another weight",
    ("execution.misuse", "short_out"): "given an out whose last dimension is too small",
    ("execution.misuse", "long_out"): "given an out whose last dimension is too large",
    ("execution.misuse", "deep_out"): "given an out of one dimension more, of two",
    ("execution.misuse", "other_out"): "given an out of another dtype",
    ("execution.misuse", "meta_out"): "given an out on the device meta",
    ("execution.misuse", "cpu_out"): "given an out in the memory of the CPU",
    ("execution.misuse", "expanded_out"): "given an out that is expanded from one element",
    ("execution.misuse", "shared_out"): "given an out in the memory of the activation",
    ("execution.stream", "default"): "the default stream",
    ("execution.stream", "side"): "a side stream that has yet to write what is read",
    ("weight.layout", "out_in"): "(out_features, in_features)",
    ("weight.layout", "in_out"): "(in_features, out_features)",
    ("packed", "returned"): "as returned",
    ("packed", "transposed"): "its transposed view",
    ("activation.fill", "ones"): "all ones",
    ("weight.fill", "ones"): "all ones",
}
_FLAGS: Final = {
    "execution.grad": ("the activation requires grad", "an activation that requires grad"),
    "bias": ("a bias is added", "a bias"),
    "quantization.compress_statistics": ("compress_statistics=True", "compress_statistics=True"),
}
"""What it means that a flag is set, behind "when" and behind "with"."""

_SIZE_WORDS: Final = {
    "zero": "zero",
    "odd": "odd",
    "even": "even",
    "unaligned": "unaligned",
    "aligned": "aligned",
    "large": "large",
    "small": "small",
    "irregular": "certain",
    "any": "any",
}
_ROW_WORDS: Final = {"zero": "no rows", "large": "many rows", "small": "few rows"}


def label(name: str) -> str:
    """What people call the field `name`."""
    return LABELS.get(name, name)


def value(name: str, json_value: Any) -> str:
    """What people call a value of the field `name`, which is given as JSON has it."""
    return _VALUES.get((name, json_value), str(json_value))


def trigger(name: str, json_value: Any) -> str:
    """A trigger that is no size, behind "when", such as "activation dtype is bfloat16"."""
    if name in FILLS:
        return f"{label(name)} are not all ones ({value(name, json_value)})"
    if json_value is True and name in _FLAGS:
        return _FLAGS[name][0]
    return f"{label(name)} is {value(name, json_value)}"


def flag(name: str, fails: Sequence[Any]) -> str:
    """The words for a flag that fails if it is set and not otherwise, behind "with"; empty for everything else."""
    return _FLAGS[name][1] if name in _FLAGS and list(fails) == [True] else ""


def size(name: str, words: Any) -> str:
    """A size by the words that say which sizes fail, behind "for", such as "odd and large in_features"."""
    known = [_SIZE_WORDS.get(word) for word in str(words).split("+")]
    if name == ROWS and words in _ROW_WORDS:
        return _ROW_WORDS[words]
    if not all(known):
        return f"{label(name)} {words}"
    if {"large", "small"} <= set(str(words).split("+")):  # neither the small ones nor the large ones
        return f"certain {label(name)}"
    return f"{' and '.join(word for word in known if word)} {label(name)}"


def listing(items: Sequence[str], last: str = "and") -> str:
    """Items as a sentence has them: "a, b and c"."""
    if len(items) < 2:  # noqa: PLR2004
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"

"""The lines of a script that call with a weight whose rows are there many times over (`strategies.giant`)."""

from __future__ import annotations

import textwrap
from typing import Final

from strategies.case import Case, PackedView
from strategies.giant import BEYOND

_POWERS: Final = ", ".join(f"2**{elements.bit_length() - 1}" for elements in BEYOND)


def giant_weight(case: Case, call: str) -> list[str]:
    """Lines that dequantize a giant by `call`, which has places for "packed" and "state"."""
    return [f"small = {_small(case, call)}", *_repeated([*_state(case), f"many = {_giant(case, call)}.unflatten(0, (times, -1))"])]


def giant_product(case: Case, call: str) -> list[str]:
    """Lines that multiply by a giant by `call`, which has places for "packed", "state" and perhaps "bias"."""
    many = f"many = {_giant(case, call)}.unflatten(-1, (times, -1)).movedim(-2, 0)"
    return [f"small = {_small(case, call)}", *_repeated([*_state(case), many])]


def giant_quantized(call: str) -> list[str]:
    """Lines that quantize a giant by `call`, which reads `weight`, and dequantize one repetition of what comes back."""
    calls = call.replace("(weight", "(weight.repeat(times, 1)", 1)
    return [
        "small = torch.cat((packed.view(torch.uint8).flatten(), state.absmax.view(torch.uint8)))",
        *_repeated(
            [
                f"codes, statistics = {calls}",
                "codes, scales = (part.view(torch.uint8).reshape(times, -1) for part in (codes, statistics.absmax))",
                "many = torch.cat((codes, scales), dim=1)",
            ]
        ),
        "state.absmax = result[packed.nbytes :].clone().view(torch.float32)",
        "result = F.dequantize_4bit(result[: packed.nbytes].view(packed.dtype).reshape(-1, 1), state)",
    ]


def _small(case: Case, call: str) -> str:
    return call.format(packed=f"packed{_view(case)}", state="state", bias="bias")


def _giant(case: Case, call: str) -> str:
    return call.format(packed=f"packed.repeat(times, 1){_view(case)}", state="giant", bias="bias.repeat(times)")


def _view(case: Case) -> str:
    return ".t()" if case.packed is PackedView.TRANSPOSED else ""


def _state(case: Case) -> list[str]:
    shape = f"(times * {case.weight.out_features}, {case.weight.in_features})"
    return ["giant = copy.copy(state)", f"giant.absmax, giant.shape = state.absmax.repeat(times), torch.Size({shape})"]


def _repeated(makes: list[str]) -> list[str]:
    """Makes giants; `result` is the repetition of what they give that is least like what the small weight gives."""
    body = [
        "times = elements // weight.numel() + 1  # so often are the rows there",
        *makes,
        "far = [(part.float() - small.float()).abs().nan_to_num(nan=torch.inf).flatten(1).amax(dim=1) for part in many.split(2**14)]",
        "far = torch.cat(far)",
        "if float(far.max()) > worst:  # the repetition that is least like the small one's",
        "    worst, result = float(far.max()), many[int(far.argmax())].clone()",
    ]
    return ["worst = -1.0", f"for elements in ({_POWERS}):", *textwrap.indent("\n".join(body), "    ").splitlines()]

"""Writes `repro.py`: the minimal Case as a script that needs torch and bitsandbytes only.

The script builds the Case's tensors in plain code, makes one call, prints what it expected and what it got, and exits
with 1 while the defect is there and with 0 once it is gone.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Final

from reports.finding import LEFT_ERROR, Finding
from reports.script_allocations import allocations_check, allocations_imports, allocations_source, is_about_allocations
from reports.script_arithmetic import GRADES, arithmetic_check
from reports.script_calls import CALLS, GRADIENTS, MAY_RECORD, MISUSES, QUANTIZING, WEIGHT_ONLY, quantize_lines, result_shape
from reports.script_outs import OUTS, WRITING
from reports.script_quantize import quantize_check
from reports.script_range import range_check
from reports.script_reference import value_check
from reports.script_relation import relation_check
from reports.script_stream import (
    REPLAY,
    called_on_stream,
    is_on_side_stream,
    quantized_on_stream,
    replay_check,
    stream_imports,
    stream_sources,
)
from reports.text import one_line
from strategies.case import Fill, FloatDType, Layout, Memory, Stream

HANG_TIMEOUT: Final = 30
"""Seconds after which a script calls a hang a hang; the call takes milliseconds, a cold start about ten seconds."""


_TRITON: Final = "triton_ops."
"""How a call of Triton's functions begins."""


def write_script(finding: Finding) -> str:
    """The text of `repro.py` for a finding."""
    device = finding.system["device"]
    dies = finding.symptom in _IN_CHILD
    multiplies = finding.symptom in {"wrong value", "broken relation", "range divergence"} and finding.path not in WEIGHT_ONLY
    parts = [
        _docstring(finding),
        _imports(finding, dies=dies),
        _default_dtype(finding),
        _filled_memory(finding),
        _sources(finding),
        allocations_source(finding),
        stream_sources(finding),
        _switches() if multiplies and device == "cuda" else "",
    ]
    if dies:
        parts += [_in_child(finding, _inputs(finding, device))]
    else:
        parts += [_inputs(finding, device), _check(finding)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _docstring(finding: Finding) -> str:
    system = finding.system
    where = system.get("gpu") or system.get("cpu", "")
    sentence = f"{finding.surface}: {finding.symptom}{f' ({finding.how})' if finding.how else ''}"
    text = one_line(f"{sentence}. Seen with bitsandbytes {system['bitsandbytes']}, torch {system['torch']} on {where}.")
    lines = [*textwrap.wrap(text, 100), "", "Exit status: 1 while the defect is there, 0 once it is gone."]
    body = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{body}\n"""'


def _imports(finding: Finding, *, dies: bool) -> str:
    call = "\n".join(CALLS[finding.path](finding.case))
    needed = {
        "contextlib": is_on_side_stream(finding),
        "functools": bool(stream_imports(finding)),
        "copy": (finding.symptom == "broken relation" and finding.how != REPLAY) or "copy." in call,
        "io": "io." in call,
        "subprocess": dies,
        "sys": True,
    }
    libraries = ["import torch"] + (["import bitsandbytes as bnb"] if "bnb." in call else [])
    triton = ["from bitsandbytes.backends.triton import ops as triton_ops"] if _TRITON in call else []
    modules = [f"import {name}" for name, here in needed.items() if here]
    standard = dict.fromkeys((*modules, *allocations_imports(finding), *stream_imports(finding)))
    return "\n".join([*standard, "", *libraries, "import bitsandbytes.functional as F", *triton])


def _default_dtype(finding: Finding) -> str:
    dtype = finding.case.execution.default_dtype
    return "" if dtype is FloatDType.FLOAT32 else f"torch.set_default_dtype({_dtype(dtype.value)})"


def _filled_memory(finding: Finding) -> str:
    if not finding.case.is_empty:
        return ""
    return (
        "# torch fills what it allocates with NaN (torch.utils.deterministic.fill_uninitialized_memory), so that what is\n"
        "# never written does not look right by chance.\n"
        "torch.use_deterministic_algorithms(True, warn_only=True)"
    )


def _switches() -> str:
    return (
        "# cuBLAS shall keep float32 accumulation, so that the bound below holds for a correct kernel.\n"
        "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False\n"
        "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False"
    )


def _multiplies(finding: Finding) -> bool:
    """Whether the script needs an activation; those of relations hand it on whatever the path."""
    return finding.path not in WEIGHT_ONLY or finding.symptom == "broken relation" or finding.how in {"activation", "bias"}


def _sources(finding: Finding) -> str:
    """The functions that fill the Case's tensors and lay them out."""
    from strategies.fills import FILLS  # noqa: PLC0415 - imports torch, which a run without findings does not need
    from strategies.memory import LAYOUTS  # noqa: PLC0415

    fills, memories = _used(finding)
    functions = [FILLS[fill] for fill in Fill if fill in fills] + [LAYOUTS[memory] for memory in Memory if memory in memories]
    return "\n" + "\n\n\n".join(inspect.getsource(function).strip() for function in functions) + "\n" if functions else ""


def _used(finding: Finding) -> tuple[set[Fill], set[Memory]]:
    """The fills and memory layouts that need a function."""
    case, memory = finding.case, finding.case.memory
    fills, memories = {case.weight.fill}, {memory.weight, memory.packed, memory.absmax}
    if finding.path in WRITING:
        memories |= {memory.out} | (
            {Memory.GUARDED} if finding.symptom == "written out of bounds" and not is_about_allocations(finding) else set()
        )
    if _multiplies(finding):
        fills |= {case.activation.fill} | ({Fill.INTEGERS} if case.bias or finding.path in GRADIENTS else set())
        memories |= {memory.activation} | ({memory.bias} if case.bias else set())
    return fills - {Fill.ONES}, memories - {Memory.CONTIGUOUS}


def _fill(fill: Fill, shape: tuple[int, ...], seed: int) -> str:
    return f"torch.ones({shape})" if fill is Fill.ONES else f"{fill.value}({shape}, seed={seed})"


def _inputs(finding: Finding, device: str) -> str:
    """The lines that build weight, packed weight, activation and bias."""
    case = finding.case
    shape = (case.weight.out_features, case.weight.in_features)
    weight = _fill(case.weight.fill, shape, case.seed_of(Stream.WEIGHT))
    orientation = "[out_features, in_features]"
    if case.weight.layout is Layout.IN_OUT:
        weight, orientation = f"{weight}.t().contiguous()", "[in_features, out_features]"
    lines = [f"weight = {weight}.to({_dtype(case.weight.dtype.value)}).to({device!r})  # {orientation}"]
    lines += _laid_out("weight", case.memory.weight)
    if _multiplies(finding):
        lines += _activation_and_bias(finding, device)
    return "\n".join(lines)


def _activation_and_bias(finding: Finding, device: str) -> list[str]:
    case = finding.case
    shape = (*case.activation.leading, case.weight.in_features)
    x = _fill(case.activation.fill, shape, case.seed_of(Stream.ACTIVATION))
    lines = [f"x = {x}.to({_dtype(case.activation_dtype.value)}).to({device!r})", *_laid_out("x", case.memory.activation)]
    if case.bias:
        bias = _fill(Fill.INTEGERS, (case.weight.out_features,), case.seed_of(Stream.BIAS))
        lines += [f"bias = {bias}.to(x.dtype).to({device!r})", *_laid_out("bias", case.memory.bias)]
    if case.execution.grad and finding.path in MAY_RECORD:
        lines.append("x.requires_grad_(True)")
    if case.execution.misuse in MISUSES:
        lines.append(MISUSES[case.execution.misuse])
    return lines


def _laid_out(name: str, memory: Memory) -> list[str]:
    return [] if memory is Memory.CONTIGUOUS else [f"{name} = {memory.value}({name})"]


def _dtype(name: str) -> str:
    return f"torch.{name}"


def _call(finding: Finding) -> list[str]:
    """Quantization and the call that is wrong."""
    if finding.path in QUANTIZING:
        return quantized_on_stream(finding)
    return [*quantize_lines(finding.case), *called_on_stream(finding)]


def _guarded(finding: Finding, on_error: int | None = None) -> list[str]:
    """The call, and an exit with `on_error` if it raises: by default 0, mended, where an exception is allowed."""
    status = (1 if finding.ruling == "valid" else 0) if on_error is None else on_error
    return [
        "try:",
        *(f"    {line}" for line in _call(finding)),
        "except Exception as error:",
        '    print(f"got:      {type(error).__name__}: {error}")',
        f"    sys.exit({status})",
    ]


def _check(finding: Finding) -> str:
    if finding.symptom == "broken relation":
        return replay_check(_guarded(finding)) if finding.how == REPLAY else relation_check(finding)
    if finding.symptom == "wrong value" and finding.grade in GRADES:
        return arithmetic_check(finding, _guarded(finding))
    if finding.path in QUANTIZING and finding.symptom in {"wrong shape", "wrong dtype", "wrong value"}:
        return quantize_check(finding, _guarded(finding))
    return _CHECKS[finding.symptom](finding)


def _check_shape(finding: Finding) -> str:
    expected = result_shape(finding.path, finding.case)
    return "\n".join(
        [
            f'print("expected: shape {expected}")',
            *_guarded(finding),
            'print(f"got:      shape {tuple(result.shape)}")',
            f"sys.exit(tuple(result.shape) != {expected})",
        ]
    )


def _check_dtype(finding: Finding) -> str:
    return "\n".join(
        [
            f'print("expected: {finding.expected}")',
            *_guarded(finding),
            'print(f"got:      {result.dtype}")',
            f"sys.exit(str(result.dtype) != {finding.expected!r})",
        ]
    )


def _check_exception(finding: Finding) -> str:
    if finding.how == LEFT_ERROR:
        return _check_next_call(finding)
    return "\n".join(['print("expected: a result")', *_guarded(finding, 1), 'print("got:      a result")', "sys.exit(0)"])


def _check_next_call(finding: Finding) -> str:
    return "\n".join(
        [
            'print("expected: a result, or an exception of this call")',
            *_guarded(finding, 0),
            "torch.cuda.synchronize()",
            "try:",
            '    torch.ones((), device="cuda")  # a call that has nothing to do with it',
            "except Exception as error:",
            '    print(f"got:      torch.ones raises {type(error).__name__}: {error}")',
            "    sys.exit(1)",
            'print("got:      a result")',
            "sys.exit(0)",
        ]
    )


def _check_missing_error(finding: Finding) -> str:
    shape = "packed.shape" if finding.path in QUANTIZING else "result.shape"
    return "\n".join(
        [
            'print("expected: a Python exception that names the problem")',
            *_guarded(finding, 0),
            f'print(f"got:      a tensor of shape {{tuple({shape})}}")',
            "sys.exit(1)",
        ]
    )


def _check_inputs(finding: Finding) -> str:
    """The memory of one input, with what lies around it, before and after the call."""
    quantizes = finding.path in QUANTIZING
    prepare, tensor = ([], "weight") if quantizes else (quantize_lines(finding.case), INPUTS[finding.how])
    call = [f"    {line}" for line in (quantized_on_stream(finding) if quantizes else called_on_stream(finding))]
    return "\n".join(
        [
            *prepare,
            f"memory = torch.empty(0, dtype=torch.uint8, device={tensor}.device).set_({tensor}.untyped_storage())",
            "before = memory.clone()",
            "try:",
            *call,
            "except Exception as error:",
            '    print(f"raised:   {type(error).__name__}: {error}")',
            "changed = int((memory != before).sum())",
            f'print("expected: {finding.expected}")',
            'print(f"got:      {changed} bytes changed")',
            "sys.exit(changed > 0)",
        ]
    )


def _check_bounds(finding: Finding) -> str:
    if is_about_allocations(finding):
        return allocations_check(finding, _call(finding))
    return _check_inputs(finding) if finding.how else _check_guard(finding)


def _check_guard(finding: Finding) -> str:
    """What lies around the tensor that is written to, and between its elements, before and after the call."""
    made, case = OUTS.get(finding.path, lambda *_, **__: []), finding.case
    lines = CALLS[finding.path](case)
    at = next(number for number, line in enumerate(lines) if "out=" in line)
    plain = made(case, guard=False)
    name = "result" if plain else "absmax"
    return "\n".join(
        [
            *quantize_lines(case),
            *[line for line in lines[:at] if line not in plain],
            *(made(case, guard=True) or ["absmax = guarded(absmax)"]),
            f"memory = torch.empty(0, dtype={name}.dtype, device={name}.device).set_({name}.untyped_storage())",
            "before = memory.clone()",
            "try:",
            f"    {lines[at]}",
            "except Exception as error:",
            '    print(f"raised:   {type(error).__name__}: {error}")',
            "# Bytes, because NaN is not equal to itself.",
            "outside = (memory.view(torch.uint8) != before.view(torch.uint8)).view(len(memory), -1).any(dim=1)",
            f"places = torch.arange(len(memory)).as_strided({name}.shape, {name}.stride(), {name}.storage_offset())",
            "outside[places.flatten()] = False",
            'print("expected: nothing written outside of the output")',
            'print(f"got:      {int(outside.sum())} elements")',
            "sys.exit(bool(outside.any()))",
        ]
    )


def _in_child(finding: Finding, inputs: str) -> str:
    """The call in a second process, because it ends the process that makes it."""
    synchronize = ["    torch.cuda.synchronize()"] if finding.system["device"] == "cuda" else []
    body = textwrap.indent("\n".join([inputs, *_call(finding)]), "    ")
    lost = '"CUDA error" in str(error)' + (' or "Triton Error [CUDA]" in str(error)' if _TRITON in body else "")
    return "\n".join(
        [
            "",
            "def call():",
            body,
            *synchronize,
            "",
            "",
            'if "--call" in sys.argv:',
            "    try:",
            "        call()",
            "    except Exception as error:",
            '        print(f"{type(error).__name__}: {error}")',
            f"        sys.exit(3 if {lost} else 0)",
            "    sys.exit(0)",
            "",
            'print("expected: a result or a Python exception, and a process that lives on", flush=True)',
            "try:",
            f'    status = subprocess.run([sys.executable, __file__, "--call"], timeout={HANG_TIMEOUT}).returncode',
            "except subprocess.TimeoutExpired:",
            f'    print("got:      no answer within {HANG_TIMEOUT} seconds")',
            "    sys.exit(1)",
            'print("got:      " + ("a CUDA error" if status == 3 else f"exit status {status}"))',
            "sys.exit(status != 0)",
        ]
    )


INPUTS: Final = {
    "weight": "weight",
    "activation": "x",
    "bias": "bias",
    "packed weight": "packed",
    "absmax": "state.absmax",
    "code table": "state.code",
    "outer absmax": "state.state2.absmax",
    "outer code table": "state.state2.code",
    "offset": "state.offset",
}
"""What a script calls the inputs that can be found changed (`fuzz.engine.watch`)."""

_IN_CHILD: Final = frozenset({"process died", "hang", "context lost"})
_CHECKS: Final[dict[str, Callable[[Finding], str]]] = {
    "wrong shape": _check_shape,
    "wrong dtype": _check_dtype,
    "wrong value": lambda finding: value_check(finding, _guarded(finding)),
    "unexpected exception": _check_exception,
    "missing error": _check_missing_error,
    "range divergence": lambda finding: range_check(finding, _guarded(finding)),
    "written out of bounds": _check_bounds,
    "input changed": _check_inputs,
}

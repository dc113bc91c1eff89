"""What compute-sanitizer prints, read.

Its lines begin with a prefix. One blank after that begins a message, more of them go on with it. Formats are those of
https://docs.nvidia.com/compute-sanitizer/ComputeSanitizer/index.html (2025.2 to 2026.4), and of reports by its users where that
page has none. A message that is none of them and names a place in a kernel counts as an error under its own words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reports.sanitizer import ReportedError
from reports.text import short

PREFIX: Final = "========="

Message = tuple[str, ...]
"""The first line and what belongs to it, without prefix and indentation."""

_ERRORS: Final = re.compile(r"^ERROR SUMMARY: (\d[\d,]*) errors?$")
"""Not the line that says how many errors were not printed, which begins alike."""
_HAZARDS: Final = re.compile(r"^RACECHECK SUMMARY: \d[\d,]* hazards? displayed \((\d[\d,]*) errors?, (\d[\d,]*) warnings?\)$")
_RACE: Final = re.compile(r"^(\w+): Race reported between (Read|Write) access at (.+)$")
_OTHER_ACCESS: Final = re.compile(r"^and (Read|Write) access at ")
_API: Final = re.compile(r"^(?:Program hit .* on CUDA API call to |CUDA API (?:Error|Warning): )")
"""A failed call of the CUDA API, which a tool counts as an error, and which is none of memory."""
_HOST: Final = "Host API"
"""A copy from memory that nothing has written: a message of initcheck without a kernel,
https://github.com/NVIDIA/compute-sanitizer-samples/issues/14"""
_FAULT: Final = re.compile(r"^(?:Address|Access (?:at|to)) 0x\w+ is (out of bounds|misaligned|potentially .+|located .+?)\.?$")
_FRAME: Final = "Device Frame:"
_AT: Final = re.compile(r"^(?P<name>.+?)(?:\+|:)0x[0-9a-f]+(?: in .+)?$")
"""A function and the place in it: "kernel(int *)+0x90 in file.cu:41"; ":" in place of "+" is in the manual too."""
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_FAILED: Final = ("Target application returned an error", "Error: process didn't terminate successfully")
_INTERNAL: Final = "Internal Sanitizer"
"""Begins what it says when it did not check a launch."""
_BANNER: Final = "COMPUTE-SANITIZER"
_NO_ERRORS: Final = (_INTERNAL, "Warning: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What was printed.

    Attributes:
        errors: by the summary, without failed calls of the CUDA API; None if there is no summary, so that it did not come to its end.
        warnings: races that are no errors.
        reported: each kind of error once.
        failed: whether the program ended with an error status.
        problem: why something was not checked; empty if everything was, as far as it says.
    """

    errors: int | None
    warnings: int
    reported: tuple[ReportedError, ...]
    failed: bool
    problem: str


def read(output: str) -> Output:
    """What a tool printed, among it the output of the program that it ran."""
    messages = list(_messages(output))
    heads = [message[0] for message in messages]
    errors, warnings = _summary(heads)
    if errors is not None:
        errors = max(0, errors - sum(bool(_API.match(head)) for head in heads))
    counts = Counter(kind for message in messages if (kind := _error(message)) is not None)
    return Output(
        errors=errors,
        warnings=warnings,
        reported=tuple(ReportedError(kind=kind, kernel=kernel, count=count) for (kind, kernel), count in counts.items()),
        failed=any(head in _FAILED for head in heads),
        problem=_problem(heads, output) if errors is None else next((head for head in heads if head.startswith(_INTERNAL)), ""),
    )


def _messages(output: str) -> Iterator[Message]:
    message: list[str] = []
    for line in output.splitlines():
        if not line.startswith(PREFIX) or not (text := line.removeprefix(PREFIX)).strip():
            continue
        if not text.startswith("  ") and message:
            yield tuple(message)
            message = []
        message.append(text.strip())
    if message:
        yield tuple(message)


def _summary(heads: Sequence[str]) -> tuple[int | None, int]:
    """Errors and warnings of the last summary."""
    for head in reversed(heads):
        if found := _HAZARDS.match(head):
            return _number(found[1]), _number(found[2])
        if found := _ERRORS.match(head):
            return _number(found[1]), 0
    return None, 0


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _error(message: Message) -> tuple[str, str] | None:
    """Kind and kernel of an error or a race; None for any other message."""
    head, *details = message
    if race := _RACE.match(head):
        return _race(race[1], [race[2], *(other[1] for line in details if (other := _OTHER_ACCESS.match(line)))]), _kernel(race[3])
    places = [line.removeprefix("at ") for line in details if line.startswith("at ")]
    if _API.match(head) or head.startswith(_NO_ERRORS) or not (places or head.startswith(_HOST)):
        return None
    faults = [fault[1] for line in details if (fault := _FAULT.match(line))]
    kind = ", ".join([_ADDRESS.sub("0x...", head).rstrip(" ."), *faults[:1]])
    # The last frame is the kernel itself; the others, and the place of the error, are functions that were compiled into it.
    frames = [line.removeprefix(_FRAME).strip() for line in details if line.startswith(_FRAME)]
    return kind, next((kernel for place in [*frames[::-1], *places] if (kernel := _kernel(place))), "")


def _race(severity: str, accesses: Sequence[str]) -> str:
    kinds = " and ".join(sorted({access.lower() for access in accesses}))
    return f"race between {kinds} accesses{'' if severity.lower() == 'error' else ' (warning)'}"


def _kernel(place: str) -> str:
    """The function in a line about a place; empty if it names none."""
    found = _AT.match(place)
    return "" if found is None else function_name(found["name"])


def function_name(signature: str) -> str:
    """A demangled function without its return type and parameters: "gemv<float, (int)64>" of "void gemv<float, (int)64>(int *)"."""
    plain = signature.replace("(anonymous namespace)::", "")
    depth = start = 0
    for place, char in enumerate(plain):
        depth += (char in "<[") - (char in ">]")
        if depth == 0 and char == " ":
            start = place + 1
        elif depth == 0 and char == "(":
            return plain[start:place]
    return plain[start:]


def _problem(heads: Sequence[str], output: str) -> str:
    """Why there is no summary: what it says itself, and the last thing that the program said."""
    own = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(PREFIX)]
    said = short("; ".join(head for head in heads if head != _BANNER)) or "it printed no summary"
    return f"{said}; last line of the script: {short(own[-1])}" if own else said

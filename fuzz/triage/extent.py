"""What else a defect affects: every other value of every field, sizes over a wide range, the other paths."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CaseResult, Outcome, Symptom
from fuzz.triage.bug import Bug
from fuzz.triage.sizes import learn
from fuzz.triage.verify import QUANTIZE, paths_only_in, selection
from reports.extent import Extent, FieldExtent
from strategies import fields
from strategies.case import Case, CaseError, Layout, Mode, PackedView
from strategies.reach import UNREACHABLE

SIZES: Final = (
    *(1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65),
    *(96, 127, 128, 129, 192, 256, 257, 512, 513, 1024, 2049, 4096, 4097),
)
"""Sizes that are tried: small ones, and both sides of what kernels are built around."""

LINEAR: Final = "linear4bit"
IN_MODES: Final = {Mode.BACKWARD: "linear4bit_input_gradient", Mode.GRAPH: "linear4bit_replayed"}
"""The module's path in a mode, where it has one that does the same as another path of that mode."""


def measure(bug: Bug, device: str, watchdog: float, seconds: float) -> Extent:
    """What `bug` affects beside its minimal Case, in a child of its own.

    Args:
        bug: with its minimal Case.
        device: "cpu" or "cuda".
        watchdog: seconds of silence that make a hang.
        seconds: time after which it ends with what it has.
    """
    with Executor(device, watchdog, spares=0) as executor:
        return _Measurement(bug, executor, device, time.monotonic() + seconds).measure()


class _Measurement:
    def __init__(self, bug: Bug, executor: Executor, device: str, deadline: float) -> None:
        self._bug, self._executor, self._device, self._deadline = bug, executor, device, deadline

    def measure(self) -> Extent:
        linear = self._linear4bit()
        records = [record for name in (*self._bug.triggers, *_others(self._bug)) if (record := self._field(name)) is not None]
        return Extent(fields=tuple(records), paths=tuple(sorted(self._bug.paths)), linear4bit=linear, complete=not self._late)

    @property
    def _late(self) -> bool:
        return time.monotonic() > self._deadline

    def _field(self, name: str) -> FieldExtent | None:
        """One record; None if time is up or nothing else can be told. Where the path does not run, nothing is told."""
        trigger = name in self._bug.triggers
        outcomes = {fields.get(self._bug.minimal, name): True}
        for value, case in _variants(self._bug.minimal, name):
            if (name, value) in UNREACHABLE[self._device]:
                continue
            if self._late:
                return None
            result = self._executor.run(case, selection(self._bug.key))
            outcome = result.outcome(self._bug.key)
            if outcome in {Outcome.FAILS, Outcome.PASSES} and not self._is_allowed_to_raise(result):
                outcomes[value] = outcome is Outcome.FAILS
        if len(outcomes) == 1 and not trigger:
            return None
        failing = tuple(fields.json_value(value) for value, fails in outcomes.items() if fails)
        passing = tuple(fields.json_value(value) for value, fails in outcomes.items() if not fails)
        if name in fields.SIZES:
            failing, passing = tuple(sorted(failing)), tuple(sorted(passing))
        return FieldExtent(name=name, trigger=trigger, fails=failing, passes=passing, rule=self._rule(name, outcomes))

    def _is_allowed_to_raise(self, result: CaseResult) -> bool:
        """Whether the path raises where it may: that says nothing about an exception where it may not."""
        if self._bug.key.symptom is not Symptom.UNEXPECTED_EXCEPTION:
            return False
        return any(verdict.path == self._bug.key.path and verdict.symptom is None and verdict.got for verdict in result.verdicts)

    def _rule(self, name: str, outcomes: dict[Any, bool]) -> str:
        if name not in self._bug.triggers or name not in fields.SIZES:
            return ""
        found = learn(outcomes)
        # Where the modulus was seen to follow the blocksize, that is the rule; this table has one blocksize only.
        known, blocksize = self._bug.regions[0].sizes.get(name, found), self._bug.minimal.quantization.blocksize
        agrees = known is not None and all(known.holds(size, blocksize) == fails for size, fails in outcomes.items())
        rule = known if agrees else found
        return rule.text if rule is not None else ""

    def _fails_in_linear4bit(self, case: Case) -> bool:
        path = IN_MODES.get(case.execution.mode, LINEAR)
        result = self._executor.run(case, [path])
        return any(verdict.path == path and verdict.symptom is self._bug.key.symptom for verdict in result.failures)

    def _linear4bit(self) -> str:
        """Whether users of the module can reach the defect."""
        case = self._bug.minimal
        if self._bug.key.path in paths_only_in(Mode.TRITON):
            return "no: nothing calls the Triton functions on this device but those who import them"
        if case.weight.layout is not Layout.OUT_IN:
            return "no: the module quantizes its weight as [out_features, in_features]"
        if self._bug.key.path == QUANTIZE or self._bug.key.path.startswith(LINEAR):
            return "yes"  # it calls quantize_4bit with the same arguments, or is the module itself
        # It has a packed weight of its own, and hands it on in the view that the release's functions take.
        asked = fields.replace(case, "packed", PackedView.RETURNED)
        return "yes" if self._fails_in_linear4bit(asked) else "no: it does not fail there with this input"


def _others(bug: Bug) -> Iterator[str]:
    """The fields that are no triggers, nor questions of their own."""
    return (name for name in (*fields.CHOICES, *fields.SIZES) if name not in bug.triggers and name not in fields.QUESTIONS)


def _variants(case: Case, name: str) -> Iterator[tuple[Any, Case]]:
    value = fields.get(case, name)
    values = SIZES if name in fields.SIZES else fields.CHOICES[name]
    if name in fields.QUESTIONS:
        values = (fields.neutral(name), *fields.alike(name, value))
    for other in values:
        if other == value:
            continue
        try:
            yield other, fields.replace(case, name, other)
        except CaseError:
            continue

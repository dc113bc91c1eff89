"""What a defect needs where certain kernels run, whatever makes them run.

Rules of dispatch weigh several sizes and the dtype against one another: a fused kernel takes 7 rows of float32, or 32 of
float16, or 512 if the weight has many outputs. Where the sizes of a defect only decide that its kernel runs, rules about
sizes would tell it in pieces, and the kernel tells it whole.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType

from fuzz.engine.verdict import CaseResult, FailureKey, Outcome
from fuzz.triage.condition import Condition
from fuzz.triage.examine import Run
from strategies import fields
from strategies.case import Case


@dataclass(slots=True)
class InKernels:
    """What a defect needs there.

    Attributes:
        needed: the choices but for fills, which only show it, and the sizes that make a difference to the kernel itself.
        arms: the kernels.
    """

    needed: Condition
    arms: set[str]

    def holds(self, case: Case, arms: Collection[str]) -> bool:
        """Whether the defect may act on `case`, which may run these kernels and no others, and can be taken back."""
        return bool(arms) and not self.always and self.arms.issuperset(arms) and self.needed.holds(case)

    @property
    def always(self) -> bool:
        """Whether it needs nothing but its kernels."""
        return self.needed == Condition()


def in_kernels(case: Case, condition: Condition, key: FailureKey, run: Run) -> InKernels | None:
    """What the defect behind a minimal Case needs in its kernels; None if no size decides what runs."""
    arms = arms_of(run(case, key), key)
    choices = {name: values for name, values in condition.choices.items() if name not in fields.FILLS}
    if not arms:
        return None
    sizes = {name: rule for name, rule in condition.sizes.items() if not _decides(Condition(sizes={name: rule}), case, key, run)}
    if len(sizes) == len(condition.sizes):
        return None
    return InKernels(Condition(MappingProxyType(choices), MappingProxyType(sizes)), set(arms))


def _decides(size: Condition, case: Case, key: FailureKey, run: Run) -> bool:
    """Whether the Case always passes with a harmless size, and in other kernels."""
    arms, beside = arms_of(run(case, key), key), list(size.harmless_sizes(case))
    passes = all(run(other, key).outcome(key) is Outcome.PASSES for other in beside)
    apart = all(theirs and not theirs & arms for theirs in (arms_of(run(other, key), key) for other in beside))
    return bool(beside) and passes and apart


def arms_of(result: CaseResult, key: FailureKey) -> frozenset[str]:
    """The kernels that the key's path may have run, by the rule of dispatch."""
    return frozenset(arm for verdict in result.verdicts if verdict.path == key.path for arm in verdict.arms)

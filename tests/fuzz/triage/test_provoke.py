"""How often a failure shows, in fresh processes: with children that are fakes, and with a fault of the stand-in that comes and goes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from fuzz.engine.executor import Executor
from fuzz.engine.provocation import Provocation
from fuzz.engine.verdict import CaseResult, FailureKey, Symptom
from fuzz.triage import provoke as module
from fuzz.triage.provoke import RACE_LIKE, conditions, provoke
from strategies.case import Case
from tests.end_to_end.commands import python
from tests.fuzz.engine.fake_child import Do, serve

AS_IT_IS, REPEATED, PENDING = (provocation.value for provocation in Provocation)
WRONG = FailureKey("functional.matmul_4bit", "matmul_4bit", Symptom.WRONG_VALUE, "")


@dataclasses.dataclass
class Watch:
    """Starts executors with fake children and remembers which processes answered under which condition."""

    answers: list[tuple[Provocation, str]] = dataclasses.field(default_factory=list)

    def start(self, device: str, watchdog: float, *, spares: int) -> Executor:
        watch = self

        class Watched(Executor):
            def run(self, case: Case, only: Sequence[str] | None = None, **how: Any) -> CaseResult:
                result = super().run(case, only, **how)
                watch.answers.append((how["provocation"], result.verdicts[0].got))
                return result

        return Watched(device, watchdog, spares=spares, serve=serve)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(module, "Executor", watch.start)
    return watch


def test_every_attempt_is_a_process_of_its_own_and_the_conditions_take_turns(watch: Watch) -> None:
    assert provoke(Case(seed=int(Do.FAIL_REPEATED)), WRONG, "cpu", 5.0, attempts=3) == {AS_IT_IS: "0 of 3", REPEATED: "3 of 3"}
    assert [provocation for provocation, _ in watch.answers] == [Provocation.NONE, Provocation.REPETITION] * 3
    assert len({process for _, process in watch.answers}) == 6


def test_on_a_gpu_the_inputs_are_also_written_late(watch: Watch) -> None:
    rates = provoke(Case(seed=int(Do.FAIL_REPEATED)), WRONG, "cuda", 5.0, attempts=1)
    assert rates == {AS_IT_IS: "0 of 1", REPEATED: "1 of 1", PENDING: "0 of 1"}
    assert len(watch.answers) == 3


@pytest.mark.usefixtures("watch")
def test_another_failure_does_not_count() -> None:
    elsewhere = dataclasses.replace(WRONG, how="codes")
    assert provoke(Case(seed=int(Do.FAIL_REPEATED)), elsewhere, "cpu", 5.0, attempts=1) == {AS_IT_IS: "0 of 1", REPEATED: "0 of 1"}


@pytest.mark.usefixtures("watch")
def test_what_no_race_explains_is_tried_as_it_is() -> None:
    shape = dataclasses.replace(WRONG, symptom=Symptom.WRONG_SHAPE)
    assert provoke(Case(seed=int(Do.FAIL)), shape, "cpu", 5.0, attempts=2) == {AS_IT_IS: "2 of 2"}


def test_nothing_is_started_when_time_is_up(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 2.0, 3.0, 4.0])  # the beginning, then before each attempt
    monkeypatch.setattr(module, "now", partial(next, clock))
    rates = provoke(Case(seed=int(Do.FAIL_REPEATED)), WRONG, "cpu", 5.0, seconds=3.5)
    assert rates == {AS_IT_IS: "0 of 2", REPEATED: "1 of 1"}
    assert len(watch.answers) == 3


@pytest.mark.usefixtures("watch")
def test_a_condition_without_an_attempt_is_left_out() -> None:
    assert provoke(Case(), WRONG, "cpu", 5.0, seconds=0.0) == {}


@pytest.mark.parametrize("symptom", Symptom)
def test_a_race_is_provoked_where_it_can_be_the_cause(symptom: Symptom) -> None:
    tried = conditions(dataclasses.replace(WRONG, symptom=symptom), "cuda")
    assert tried == (tuple(Provocation) if symptom in RACE_LIKE else (Provocation.NONE,))


def test_a_path_that_waits_for_its_inputs_is_not_said_to_have_had_them_late() -> None:
    assert conditions(dataclasses.replace(WRONG, path="linear4bit"), "cuda") == (Provocation.NONE, Provocation.REPETITION)


PROVOKE_FLAKY = """
import json
from fuzz.engine.verdict import FailureKey, Symptom
from fuzz.triage.provoke import provoke
from strategies.case import Activation, Case

key = FailureKey("nn.Linear4bit", "linear4bit", Symptom.WRONG_VALUE, "")
print(json.dumps(provoke(Case(activation=Activation(leading=(2,))), key, "cpu", 20.0, attempts=3)))
"""


@pytest.mark.parametrize(("faults", "repeated"), [(("flaky",), "3 of 3"), ((), "0 of 3")], ids=["with the fault", "without it"])
def test_a_fault_that_comes_and_goes_shows_when_the_call_is_repeated(faults: tuple[str, ...], repeated: str) -> None:
    """20 calls that all happen to be right have a probability of one in a million; how often one call is right is left to chance."""
    ended = python("-c", PROVOKE_FLAKY, faults=faults)
    assert ended.status == 0, ended.output
    rates = json.loads(ended.output.splitlines()[-1])
    assert rates.keys() == {AS_IT_IS, REPEATED}
    assert rates[REPEATED] == repeated
    assert rates[AS_IT_IS] in ({f"{shown} of 3" for shown in range(4)} if faults else {"0 of 3"})

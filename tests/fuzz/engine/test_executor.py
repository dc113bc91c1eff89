"""Whatever a child does becomes a result, in order, and the executor goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fuzz.engine.executor import PIPELINE, Executor, HarnessError
from fuzz.engine.provocation import Provocation
from fuzz.engine.verdict import CaseResult, Symptom
from strategies.case import Case
from tests.fuzz.engine.fake_child import Do, serve, serve_cold, serve_dead, serve_nothing


def case(what: Do) -> Case:
    return Case(seed=int(what))


@pytest.fixture
def executor() -> Iterator[Executor]:
    with Executor("cpu", watchdog=1.0, spares=1, serve=serve) as started:
        yield started


def test_a_case_gets_its_verdicts(executor: Executor) -> None:
    (verdict,) = executor.run(case(Do.ANSWER)).verdicts
    assert (verdict.path, verdict.symptom) == ("matmul_4bit", None)


def test_a_provocation_reaches_the_child_and_none_is_the_default(executor: Executor) -> None:
    assert executor.run(case(Do.FAIL_REPEATED)).failures == ()
    assert executor.run(case(Do.FAIL_REPEATED), provocation=Provocation.PENDING_PRODUCER).failures == ()
    (failure,) = executor.run(case(Do.FAIL_REPEATED), provocation=Provocation.REPETITION).failures
    assert failure.symptom is Symptom.WRONG_VALUE


@pytest.mark.parametrize(
    ("what", "symptom", "how"),
    [
        (Do.EXIT, Symptom.PROCESS_DIED, "exit status 1"),
        (Do.KILL, Symptom.PROCESS_DIED, "SIGKILL"),
        (Do.HANG, Symptom.HANG, ""),
        (Do.LOSE_CONTEXT, Symptom.CONTEXT_LOST, ""),
    ],
)
def test_the_end_of_a_child_is_a_verdict_and_another_child_takes_over(executor: Executor, what: Do, symptom: Symptom, how: str) -> None:
    before = executor.run(case(Do.ANSWER)).verdicts[0].got
    (verdict,) = executor.run(case(what)).verdicts
    assert (verdict.path, verdict.symptom, verdict.how) == ("matmul_4bit", symptom, how)
    assert executor.replaced == 1
    after = executor.run(case(Do.ANSWER)).verdicts[0]
    assert after.symptom is None
    assert after.got != before, "the same process answered"


def test_the_library_s_last_words_are_evidence(executor: Executor) -> None:
    assert "a line that the library printed" in executor.run(case(Do.EXIT)).verdicts[0].got


def test_results_come_in_order_whatever_happens_between(executor: Executor) -> None:
    plan = [Do.ANSWER, Do.EXIT, Do.FAIL, Do.KILL, Do.ANSWER, Do.LOSE_CONTEXT, Do.FAIL, Do.HANG, Do.ANSWER] * 2
    seen: list[tuple[int, Symptom | None]] = []

    def collector(number: int) -> None:
        def collect(result: CaseResult) -> None:
            seen.append((number, result.verdicts[-1].symptom))

        executor.submit(case(plan[number]), collect)

    for number in range(len(plan)):
        collector(number)
    executor.drain()
    symptoms = {
        Do.ANSWER: None,
        Do.FAIL: Symptom.WRONG_SHAPE,
        Do.EXIT: Symptom.PROCESS_DIED,
        Do.KILL: Symptom.PROCESS_DIED,
        Do.LOSE_CONTEXT: Symptom.CONTEXT_LOST,
        Do.HANG: Symptom.HANG,
    }
    assert seen == [(number, symptoms[what]) for number, what in enumerate(plan)]


def test_cases_are_sent_ahead_of_their_answers(executor: Executor) -> None:
    results: list[CaseResult] = []
    for _ in range(PIPELINE - 1):
        executor.submit(case(Do.HANG), results.append)
    assert results == [], "submit waited although the pipeline had room"
    executor.close()


def test_a_hang_costs_the_watchdog_and_not_more(executor: Executor) -> None:
    began = time.monotonic()
    executor.run(case(Do.HANG))
    assert 0.9 < time.monotonic() - began < 4.0


def test_a_mistake_of_the_harness_is_not_a_verdict(executor: Executor) -> None:
    with pytest.raises(HarnessError, match="our own mistake"):
        executor.run(case(Do.BREAK))


def test_a_child_that_cannot_start_says_why() -> None:
    executor = Executor("cuda", serve=serve_nothing, spares=0)
    with pytest.raises(HarnessError, match=r"^no usable GPU: there is none$"):
        executor.start()
    executor.close()


def test_a_child_that_dies_while_it_starts_leaves_its_words() -> None:
    executor = Executor("cpu", serve=serve_dead, spares=0)
    with pytest.raises(HarnessError, match=r"exit status 127.*undefined symbol"):
        executor.start()
    executor.close()


def test_where_no_child_survives_to_warm_up_children_start_cold() -> None:
    with Executor("cpu", serve=serve_cold, spares=2) as executor:
        assert not executor.run(case(Do.ANSWER)).failures
        executor.run(case(Do.EXIT))
        assert not executor.run(case(Do.ANSWER)).failures
        assert executor.replaced == 2, "one that warmed up, and the one that the Case ended"


def test_a_child_that_dies_again_and_again_between_cases_ends_the_run(executor: Executor) -> None:
    with pytest.raises(HarnessError, match="between"):
        executor.run(case(Do.DIE_BEFORE))

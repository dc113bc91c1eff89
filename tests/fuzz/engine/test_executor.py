"""Whatever a child does becomes a result, in order, and the executor goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fuzz.engine import turn
from fuzz.engine.executor import PIPELINE, Executor, HarnessError
from fuzz.engine.provocation import Provocation
from fuzz.engine.turn import GPU
from fuzz.engine.verdict import CaseResult, Symptom
from strategies.case import Case
from tests.fuzz.engine.fake_child import Do, serve, serve_dead, serve_nothing


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


def test_after_a_capture_that_failed_another_child_takes_over_and_nothing_is_wrong(executor: Executor) -> None:
    before = executor.run(case(Do.ANSWER)).verdicts[0].got
    assert executor.run(case(Do.FAIL_CAPTURE)).failures == ()
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


def test_a_judgement_may_take_longer_than_a_call(executor: Executor) -> None:
    results = [executor.run(case(what)) for what in (Do.JUDGE, Do.ANSWER)]
    assert [result.failures for result in results] == [(), ()]
    assert executor.replaced == 0
    (hang,) = executor.run(case(Do.HANG)).failures  # the next call has no more time than any other
    assert hang.symptom is Symptom.HANG


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


@pytest.fixture
def in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GPU, "needed", True)


@pytest.mark.usefixtures("in_turns")
def test_children_on_the_gpu_wait_for_their_turn_and_give_it_back() -> None:
    with Executor("cuda", serve=serve, spares=0) as executor, ThreadPoolExecutor() as pool:
        executor.start()
        ticket = GPU.take()
        answer = pool.submit(executor.run, case(Do.ANSWER))
        time.sleep(0.3)
        assert not answer.done()
        GPU.give_back(ticket)
        assert not answer.result(timeout=5).failures
        GPU.give_back(GPU.take())


@pytest.mark.usefixtures("in_turns")
def test_a_search_on_the_gpu_lets_others_have_their_turn() -> None:
    seen: list[str] = []

    def other() -> None:
        ticket = GPU.take()
        seen.append("other")
        GPU.give_back(ticket)

    with Executor("cuda", serve=serve, spares=0) as executor, ThreadPoolExecutor() as pool:
        executor.submit(case(Do.ANSWER), lambda result: seen.append("first"))  # noqa: ARG005
        waiting = pool.submit(other)
        while not GPU.wanted:
            time.sleep(0.01)
        executor.submit(case(Do.ANSWER), lambda result: seen.append("second"))  # noqa: ARG005
        executor.drain()
        waiting.result(timeout=5)
    assert seen == ["first", "other", "second"], "what was queued is finished first"


@pytest.mark.usefixtures("in_turns")
def test_others_have_their_turn_while_a_child_starts_in_place_of_one_that_ended() -> None:
    seen: list[str] = []

    def other() -> None:
        ticket = GPU.take()
        seen.append("other")
        GPU.give_back(ticket)

    with Executor("cuda", serve=serve, spares=0) as executor, ThreadPoolExecutor() as pool:
        executor.submit(case(Do.LOSE_CONTEXT), lambda result: seen.append("lost"))  # noqa: ARG005
        executor.submit(case(Do.ANSWER), lambda result: seen.append("answered"))  # noqa: ARG005
        waiting = pool.submit(other)
        executor.drain()
        waiting.result(timeout=5)
    assert sorted(seen) == ["answered", "lost", "other"]
    assert seen.index("other") < seen.index("answered")


def test_the_first_answer_of_a_child_that_took_over_is_a_part_of_what_the_end_of_the_last_one_cost(executor: Executor) -> None:
    executor.run(case(Do.LOSE_CONTEXT))
    time.sleep(0.5)  # nobody asks it, which is no recovery
    before = executor.recovery_seconds
    executor.run(case(Do.ANSWER))
    first = executor.recovery_seconds
    assert before < first < before + 0.5
    executor.run(case(Do.ANSWER))
    assert executor.recovery_seconds == first
    executor.submit(case(Do.LOSE_CONTEXT), lambda result: None)  # noqa: ARG005
    executor.submit(case(Do.JUDGE), lambda result: None)  # noqa: ARG005
    executor.drain()
    assert executor.recovery_seconds >= first + 1.5


@pytest.mark.usefixtures("in_turns")
def test_children_on_the_cpu_take_no_turns(executor: Executor) -> None:
    ticket = GPU.take()
    assert not executor.run(case(Do.ANSWER)).failures
    GPU.give_back(ticket)


@pytest.mark.usefixtures("in_turns")
def test_an_executor_that_is_closed_in_the_middle_gives_its_turn_back() -> None:
    executor = Executor("cuda", serve=serve, spares=0)
    executor.submit(case(Do.HANG), lambda result: None)  # noqa: ARG005
    executor.close()
    GPU.give_back(GPU.take())


def test_children_are_made_to_take_turns_when_one_was_halted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "HALT", 0.5)
    monkeypatch.setattr(GPU, "needed", False)
    with Executor("cuda", serve=serve, spares=0) as halted, Executor("cuda", serve=serve, spares=0) as other, ThreadPoolExecutor() as pool:
        halted.start(), other.start()
        answer = pool.submit(halted.run, case(Do.JUDGE))
        time.sleep(0.3)
        assert not answer.done()
        other.run(case(Do.LOSE_CONTEXT))
        answer.result(timeout=10)
        assert GPU.needed


def test_a_child_that_dies_again_and_again_between_cases_ends_the_run(executor: Executor) -> None:
    with pytest.raises(HarnessError, match="between"):
        executor.run(case(Do.DIE_BEFORE))

"""`python -m fuzz replay`: exit statuses and sentences. The end-to-end tests replay real findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import pytest

from fuzz.__main__ import main
from fuzz.commands import replay as command
from fuzz.commands.replay import Outcome, load, why_not_run
from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Ruling, Symptom
from reports.files import write_json
from reports.finding import RecordError
from strategies.case import Case
from tests.reports.helpers import finding


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ('{"format_version": 9}', "Case format_version is 9, this program reads 1"),
        ('{"format_version": 2, "signature": ""}', "the finding lacks"),
        ('{"format_version": 1, "signature": ""}', "finding format_version is 1, this program reads 2"),
        ('{"format_version": 1, "quantization": {"blocksize": 48}}', "blocksize 48 is not one of"),
        ('{"format_version": 1, "wight": {}}', "unknown field wight"),
        ("[]", "a Case is a JSON object"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, sentence: str
) -> None:
    file = tmp_path / "case.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert main(["replay", str(file)]) == Outcome.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not run: " in line
    assert sentence in line


def test_an_empty_folder_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"cannot read .*finding\.json"):
        load(tmp_path)


def test_a_bare_case_is_replayed_on_every_path(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(Case(seed=3).to_json()), encoding="utf-8")
    item = load(file)
    assert (item.case, item.key, item.device) == (Case(seed=3), None, "auto")


def verdict(path: str, symptom: Symptom | None = None, how: str = "", ruling: Ruling = Ruling.VALID, got: str = "") -> PathVerdict:
    return PathVerdict(path=path, surface=f"functional.{path}", ruling=ruling, source="", symptom=symptom, how=how, got=got)


def key(path: str, symptom: Symptom = Symptom.WRONG_VALUE) -> FailureKey:
    return FailureKey(f"functional.{path}", path, symptom, "")


QUANTIZED = verdict("quantize_4bit")
NO_WAY = "this release has no way to run this Case on gemv_4bit"


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        ([QUANTIZED], NO_WAY),
        ([QUANTIZED, verdict("dequantize_4bit")], NO_WAY),
        ([], NO_WAY),
        # A weight that is stored wrongly is still used, so that this is not why the path was left out.
        ([verdict("quantize_4bit", Symptom.WRONG_VALUE, got="3")], NO_WAY),
        ([verdict("quantize_4bit", Symptom.WRONG_SHAPE, got="0 bytes")], "not run after quantize_4bit failed (wrong shape): 0 bytes"),
        (
            [verdict("quantize_4bit", Symptom.PROCESS_DIED, got="SIGABRT\nlast words")],
            "quantize_4bit failed (process died): SIGABRT last words",
        ),
        ([verdict("quantize_4bit", Symptom.HANG, got="silent")], "quantize_4bit failed (hang): silent"),
        (
            [verdict("quantize_4bit", ruling=Ruling.INVALID, got="ValueError: blocksize")],
            "after quantize_4bit raised ValueError: blocksize",
        ),
        (
            [QUANTIZED, verdict("dequantize_4bit", Symptom.WRONG_VALUE, got="3")],
            "gemv_4bit was not run after dequantize_4bit failed (wrong value): 3",
        ),
        (
            [QUANTIZED, verdict("gemv_4bit", got="OutOfMemoryError: CUDA out of memory")],
            "gemv_4bit raised OutOfMemoryError: CUDA out of memory",
        ),
        ([QUANTIZED, verdict("gemv_4bit")], ""),
        ([QUANTIZED, verdict("gemv_4bit", Symptom.WRONG_VALUE, got="3")], ""),
        ([QUANTIZED, verdict("gemv_4bit", Symptom.HANG, got="silent")], ""),
        ([QUANTIZED, verdict("gemv_4bit", ruling=Ruling.UNSPECIFIED, got="ValueError: refused")], ""),
        ([QUANTIZED, verdict("dequantize_4bit", Symptom.WRONG_SHAPE), verdict("gemv_4bit")], ""),
    ],
)
def test_a_path_without_a_verdict_is_not_gone(verdicts: Sequence[PathVerdict], reason: str) -> None:
    why = why_not_run(key("gemv_4bit"), CaseResult(tuple(verdicts)))
    assert reason in why
    assert bool(why) == bool(reason)


def test_what_quantize_4bit_itself_did_is_always_a_verdict() -> None:
    failing = CaseResult((verdict("quantize_4bit", Symptom.WRONG_SHAPE, got="0 bytes"),))
    assert why_not_run(key("quantize_4bit", Symptom.WRONG_VALUE), failing) == ""
    refused = CaseResult((verdict("quantize_4bit", ruling=Ruling.INVALID, got="ValueError: no"),))
    assert why_not_run(key("quantize_4bit", Symptom.MISSING_ERROR), refused) == ""
    no_memory = CaseResult((verdict("quantize_4bit", got="MemoryError: "),))
    assert why_not_run(key("quantize_4bit", Symptom.MISSING_ERROR), no_memory) == "quantize_4bit raised MemoryError:"


class FakeExecutor:
    """Answers with the same verdicts whatever it is asked."""

    answer: tuple[PathVerdict, ...] = ()

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, case: Case, only: object) -> CaseResult:  # noqa: ARG002 - as the real one
        return CaseResult(self.answer)


Answer = Callable[..., None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Makes `replay` get these verdicts."""

    def set_answer(*verdicts: PathVerdict) -> None:
        monkeypatch.setattr(FakeExecutor, "answer", verdicts)
        monkeypatch.setattr(command, "Executor", FakeExecutor)

    return set_answer


@pytest.mark.parametrize(
    ("verdict_of_path", "said"),
    [
        (None, (Outcome.COULD_NOT_RUN, "could not run: this release has no way to run this Case on gemm_4bit_op")),
        (verdict("gemm_4bit_op"), (Outcome.GONE, "gone")),
        (
            verdict("gemm_4bit_op", Symptom.WRONG_VALUE, got="3"),
            (Outcome.STILL_THERE, "still there: functional.gemm_4bit_op, gemm_4bit_op: wrong value: expected , got 3"),
        ),
        (
            verdict("gemm_4bit_op", Symptom.WRONG_SHAPE, got="shape (1,)"),
            (Outcome.GONE, "gone, but now gemm_4bit_op failed (wrong shape): shape (1,)"),
        ),
        (
            verdict("gemm_4bit_op", ruling=Ruling.UNSPECIFIED, got="ValueError: no\nmore"),
            (Outcome.GONE, "gone, but now gemm_4bit_op raised ValueError: no more"),
        ),
    ],
)
def test_what_is_said_of_a_finding(
    tmp_path: Path, answer: Answer, capsys: pytest.CaptureFixture[str], verdict_of_path: PathVerdict | None, said: tuple[Outcome, str]
) -> None:
    answer(QUANTIZED, *([] if verdict_of_path is None else [verdict_of_path]))
    write_json(tmp_path / "finding.json", finding("gemm_4bit_op").to_json())
    outcome, line = said
    assert main(["replay", str(tmp_path)]) == outcome
    captured = capsys.readouterr()
    assert captured.out + captured.err == f"{tmp_path}: {line}\n"


def test_a_bare_case_that_runs_on_few_paths_is_no_failure(tmp_path: Path, answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer(QUANTIZED)
    write_json(tmp_path / "case.json", Case().to_json())
    assert main(["replay", str(tmp_path / "case.json")]) == Outcome.GONE
    assert capsys.readouterr().out == f"{tmp_path / 'case.json'}: gone\n"


def test_another_signal_is_the_same_death(tmp_path: Path, answer: Answer) -> None:
    died = verdict("gemv_4bit", Symptom.PROCESS_DIED, "SIGSEGV")
    answer(QUANTIZED, died)
    write_json(tmp_path / "finding.json", finding("gemv_4bit", "process died", how="SIGABRT", model=None).to_json())
    assert load(tmp_path).key == FailureKey.of(died)
    assert main(["replay", str(tmp_path)]) == Outcome.STILL_THERE


def test_a_symptom_that_this_program_does_not_know_is_one_sentence_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "finding.json", finding(symptom="wrong colour").to_json())
    assert main(["replay", str(tmp_path)]) == Outcome.COULD_NOT_RUN
    assert capsys.readouterr().err == f"{tmp_path}: could not run: the finding cannot be used: 'wrong colour' is not a valid Symptom\n"

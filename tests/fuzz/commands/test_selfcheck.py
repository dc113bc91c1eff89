"""`python -m fuzz selfcheck`: its lines and exit statuses, with two faults instead of all."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import pytest
import torch

from fuzz.__main__ import main
from fuzz.commands import selfcheck
from fuzz.engine import devices
from fuzz.engine.calls import Prepared
from fuzz.oracle.arms import Arm
from fuzz.selfcheck import check, search, subject
from fuzz.selfcheck.fault import Fault, Step

pytest.importorskip("bitsandbytes")


def _doubled(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001 - one signature
    return result * 2 + 1


def _unchanged(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    return result


SEEN = Fault(name="twice as much", step=Step.DEQUANTIZE, spoil=_doubled)
UNSEEN = Fault(name="no fault at all", step=Step.PRODUCT, arms=(Arm.LINEAR,), spoil=_unchanged)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few Cases; what the command switches off is switched on again."""
    monkeypatch.setattr(selfcheck, "RIGHT_CASES", 3)
    monkeypatch.setattr(search, "MOST_CASES", 12)
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    with warnings.catch_warnings():
        yield
    logger.setLevel(level)


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_fault_that_cannot_be_seen_is_named_and_the_status_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "FAULTS", (SEEN, UNSEEN))
    assert main(["selfcheck", "--seeds", "2"]) == 1
    first, seen, unseen, missed, last = lines_of(capsys)
    assert first.startswith("nothing planted: ")
    assert first.endswith(" right results, 0 flagged")
    assert seen.split() == ["dequantize:", "twice", "as", "much", "1", "cases", "wrong", "value,", "definitely", "wrong"]
    assert unseen.split() == ["product", "linear:", "no", "fault", "at", "all", "inf", "cases"]
    assert missed == "not found: product linear: no fault at all"
    assert last == "1 of 2 planted faults found"


def test_all_found_is_status_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check, "FAULTS", (SEEN,))
    assert main(["selfcheck", "--seeds", "1"]) == 0
    lines = lines_of(capsys)
    assert lines[-1] == "1 of 1 planted faults found"
    assert not any(line.startswith("not found") for line in lines)


def test_only_those_that_are_asked_for_are_searched(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check, "FAULTS", (SEEN, UNSEEN))
    assert main(["selfcheck", "--seeds", "1", "--only", "twice"]) == 0
    assert lines_of(capsys)[-1] == "1 of 1 planted faults found"
    assert main(["selfcheck", "--seeds", "1", "--only", "product linear"]) == 1
    assert lines_of(capsys)[-1] == "0 of 1 planted faults found"


def test_finding_none_of_none_is_no_success(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check, "FAULTS", (SEEN,))
    assert main(["selfcheck", "--seeds", "1", "--only", "no such fault"]) == 1
    assert lines_of(capsys)[-1] == "0 of 0 planted faults found"


def test_a_right_result_that_is_flagged_is_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    right = subject.emulated

    def wrong(arm: Arm, prepared: Prepared) -> torch.Tensor:
        return right(arm, prepared) * 2 + 1 if arm is Arm.DEQUANTIZE else right(arm, prepared)

    monkeypatch.setattr(subject, "emulated", wrong)
    monkeypatch.setattr(check, "FAULTS", (SEEN,))
    assert main(["selfcheck", "--seeds", "1"]) == 1
    lines = lines_of(capsys)
    alarms = [line for line in lines if line.startswith("false alarm: dequantize: nothing: ")]
    assert len(alarms) == 3
    assert all(", got " in line and "Case(" in line for line in alarms)
    assert f" right results, {len(alarms)} flagged" in next(line for line in lines if line.startswith("nothing planted"))
    assert lines[-1] == "1 of 1 planted faults found"


def test_without_a_gpu_its_kernels_cannot_be_checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(devices, "_why_no_cuda", lambda: "torch sees no CUDA device")
    assert main(["selfcheck", "--device", "cuda"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["could not run: no usable GPU: torch sees no CUDA device"]


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_number_of_searches_that_is_none_is_refused_in_one_sentence(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["selfcheck", f"--seeds={number}"])
    assert ended.value.code == 2
    assert f"argument --seeds: {number!r} is not a whole number above 0" in capsys.readouterr().err

"""The floor makes the calls of a Case, and no others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks import floor
from fuzz.engine import paths
from fuzz.engine.calls import Prepared
from strategies.case import Activation, Case, Execution, Relation, Weight

LIBRARY = pytest.importorskip("fuzz.engine.library").inspect_library("cpu")
PLAIN = Case(weight=Weight(out_features=64, in_features=64), activation=Activation(leading=(3,)))


def test_each_path_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def spied(name: str) -> None:
        path = paths.BY_NAME[name]

        def run(prepared: Prepared) -> object:
            called.append(name)
            return path.run(prepared)

        monkeypatch.setitem(paths.BY_NAME, name, dataclasses.replace(path, run=run))  # type: ignore[arg-type]

    for name in ("dequantize_4bit", "dequantize_linear", "matmul_4bit"):
        spied(name)
    assert floor.call(PLAIN, ["dequantize_4bit", "matmul_4bit"], LIBRARY) == (2, 64 * 64 + 3 * 64)
    assert called == ["dequantize_4bit", "matmul_4bit"]


def test_a_relation_is_a_second_call() -> None:
    related = dataclasses.replace(PLAIN, execution=Execution(relation=Relation.RERUN))
    assert floor.call(related, ["dequantize_linear"], LIBRARY)[0] == 2


def test_an_exception_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(prepared: Prepared) -> object:
        raise RuntimeError(prepared)

    broken = dataclasses.replace(paths.BY_NAME["matmul_4bit"], run=fails)  # type: ignore[arg-type]
    monkeypatch.setitem(paths.BY_NAME, "matmul_4bit", broken)
    assert floor.call(PLAIN, ["matmul_4bit", "dequantize_linear"], LIBRARY) == (1, 3 * 64)


def test_it_reads_cases_and_prints_what_they_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([[PLAIN.to_json(), ["matmul_4bit"]]] * 3), encoding="utf-8")
    assert floor.main([str(file), "--device", "cpu"]) == 0
    *rehearsed, measured = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rehearsed == [{"at": 0}, {"at": 1}, {"at": 2}, {"rehearsed": 3}]
    assert (measured["calls"], measured["outputs"]) == (3, 3 * 3 * 64)
    assert measured["seconds"] > 0

"""Judges what a call left of its inputs."""

from __future__ import annotations

from fuzz.engine.judge import Question
from fuzz.engine.verdict import PathVerdict, Symptom
from fuzz.engine.watch import Watch


def judge_inputs(question: Question, watch: Watch) -> PathVerdict | None:
    """The verdict on a call that wrote to an input, or around it; None if it left all as it was."""
    change = watch.changed()
    if change is None:
        return None
    symptom, what = (Symptom.INPUT_CHANGED, "") if change.inside else (Symptom.OUT_OF_BOUNDS, "what lies around ")
    return question.answer(symptom, change.name, expected=f"{what}the {change.name} as before", got=f"{change.count} bytes of it changed")

"""Which of several Cases of one defect is the smallest."""

from __future__ import annotations

import json

from strategies.case import Case


def size(case: Case) -> tuple[int, int, str]:
    """Orders Cases: elements of weight and activation, then the length of the JSON, then its text so that no two are equal."""
    text = json.dumps(case.to_json(), sort_keys=True)
    return case.weight.elements + case.activation.rows * case.weight.in_features, len(text), text

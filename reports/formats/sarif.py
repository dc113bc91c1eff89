"""SARIF 2.1.0, the format of static analysers, which code-scanning pages show.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from reports.marker import digest_of
from reports.outcomes import Outcome, Outcomes, State
from reports.text import excerpt, short

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_BASE: Final = "REPORTS"
"""What addresses of files are relative to: the reports directory."""

_UNNAMED: Final = "known issue"
"""The rule of rows that do not name a symptom."""

_CUT_SHORT: Final = frozenset({"running", "interrupted", "killed"})


def sarif(outcomes: Outcomes) -> str:
    """The file's text."""
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(outcomes)]}, indent=2, ensure_ascii=False) + "\n"


def _run(outcomes: Outcomes) -> dict[str, Any]:
    record = outcomes.record
    rules = sorted({_rule(entry) for entry in outcomes.entries})
    return {
        "tool": {"driver": {"name": "bnb4-fuzz", "rules": [{"id": _id(rule), "shortDescription": _message(rule)} for rule in rules]}},
        "invocations": [{"executionSuccessful": record.stop_reason not in _CUT_SHORT, "exitCodeDescription": short(record.stop_reason)}],
        "originalUriBaseIds": {_BASE: {"description": _message("The reports directory.")}},
        "results": [_result(entry, rules.index(_rule(entry))) for entry in outcomes.entries],
        "properties": {"seed": record.seed, "cases": record.cases, "system": {key: short(value) for key, value in record.system.items()}},
    }


def _rule(entry: Outcome) -> str:
    return short(entry.symptom) or _UNNAMED


def _id(rule: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", rule.lower()).strip("-") or "other"


def _result(entry: Outcome, index: int) -> dict[str, Any]:
    confirmed = entry.state in {State.NEW, State.KNOWN}
    result: dict[str, Any] = {
        "ruleId": _id(_rule(entry)),
        "ruleIndex": index,
        "kind": "fail" if confirmed else "review",
        "level": "error" if confirmed else "none",  # anything else is not allowed where nothing has failed
        "message": _message(f"{entry.title}\n{entry.details}"),
        "locations": [_location(entry)],
        "partialFingerprints": {"bnb4FuzzSignature/v1": digest_of(entry.name)},
        "properties": {"state": entry.state.value, "signature": short(entry.name)},
    }
    if entry.state is State.KNOWN:
        result["suppressions"] = [{"kind": "external", "justification": short(entry.link) or "known"}]
    return result


def _location(entry: Outcome) -> dict[str, Any]:
    """The script, which is all the source that a finding has; the run's record for what has no script."""
    file = f"findings/{entry.slug}/repro.py" if re.fullmatch(r"[a-z0-9-]+", entry.slug) else "run.json"
    place: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": file, "uriBaseId": _BASE}, "region": {"startLine": 1}},
    }
    if surface := short(entry.surface):
        place["logicalLocations"] = [{"fullyQualifiedName": surface, "kind": "function"}]
    return place


def _message(text: str) -> dict[str, str]:
    """Plain text. A closing bracket before an opening parenthesis would make a link of it (3.11.6)."""
    return {"text": excerpt(text).replace("](", "] (") or "(nothing)"}

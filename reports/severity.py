"""How bad a finding is for people who use the library: what sorts a page, and the sentence that explains each sort."""

from __future__ import annotations

import enum
from typing import Final

from reports.finding import Finding


class Severity(enum.Enum):
    """The worst first: nobody is told of a wrong number, whereas a dead process speaks for itself."""

    SILENT = "wrong without an error"
    FATAL = "ends the process"
    REFUSED = "raises where a result is due"
    SLIGHT = "slightly off"


SENTENCES: Final = {
    Severity.SILENT: "The call returns, or writes, something wrong, and nobody is told.",
    Severity.FATAL: "The process dies or hangs, or its CUDA context is lost with everything in it.",
    Severity.REFUSED: "An exception is raised where the documents promise a result.",
    Severity.SLIGHT: "The numbers are within the bound for any kernel of this kind, but are not what this kernel's own arithmetic gives.",
}

_SLIGHT: Final = frozenset({"arithmetic drift", "other bits"})
_OF_SYMPTOM: Final = {
    "process died": Severity.FATAL,
    "hang": Severity.FATAL,
    "context lost": Severity.FATAL,
    "unexpected exception": Severity.REFUSED,
}


def severity(finding: Finding) -> Severity:
    """The severity of a finding, by its symptom and grade."""
    if finding.grade in _SLIGHT:
        return Severity.SLIGHT
    return _OF_SYMPTOM.get(finding.symptom, Severity.SILENT)


def worst_first(finding: Finding) -> tuple[int, bool, int]:
    """Sorts findings: by severity, then those that users of `Linear4bit` reach, then those of many Cases."""
    reached = finding.extent is not None and finding.extent.linear4bit == "yes"
    return list(Severity).index(severity(finding)), not reached, -finding.observed

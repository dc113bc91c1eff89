"""Writes a gallery: for each release a folder that anybody can look through, with what a run on it has found."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from reports.affected import sentence
from reports.counted import counted
from reports.files import write_json, write_text
from reports.finding import Finding
from reports.issue import title, write_issue
from reports.page.finding_pictures import pictures
from reports.page.load import Shown, load
from reports.run import ReportsError
from reports.severity import SENTENCES, Severity, severity, worst_first
from reports.stored import StoredFinding
from reports.summary import where
from reports.text import cell, prose

INDEX: Final = "README.md"
_WRITTEN: Final = "<!-- Written by `python -m reports gallery`. -->"
"""Last line of an index: a folder with it may be written again."""


def write_exhibits(root: Path, into: Path) -> Path:
    """Write the findings of the run in `root` to a folder in `into` that is named after the release; returns the folder.

    What an earlier call has written there is replaced.

    Args:
        root: a reports directory.
        into: the gallery.

    Raises:
        ReportsError: there is no run, one of its findings cannot be read, the folder holds something else, or it cannot be
            written; one sentence.
    """
    shown = load(root)
    if shown.unread:
        raise ReportsError(shown.unread[0])
    folder = into / Path(shown.record.system.get("bitsandbytes", "unknown")).name
    try:
        _clear(folder)
        for item in shown.findings:
            _write(item, folder / item.finding.slug)
        write_text(folder / INDEX, _index(shown))
    except OSError as error:
        raise ReportsError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return folder


def _clear(folder: Path) -> None:
    if not folder.exists():
        return
    index = folder / INDEX
    if not index.exists() or _WRITTEN not in index.read_text(encoding="utf-8"):
        raise ReportsError(f"{folder} was not written by this command, and is left as it is")
    shutil.rmtree(folder)


def _write(item: StoredFinding, folder: Path) -> None:
    folder.mkdir(parents=True)
    finding, script = item.finding, item.script or ""
    write_text(folder / "issue.md", write_issue(finding, script))
    write_text(folder / "repro.py", script)
    write_json(folder / "case.json", finding.case.to_json())
    for number, picture in enumerate(pictures(finding)):
        encoded = str(picture.source).partition("base64,")[2]
        (folder / _plot(number)).write_bytes(base64.b64decode(encoded))


def _plot(number: int) -> str:
    return f"plot{number + 1 if number else ''}.svg"


def _index(shown: Shown) -> str:
    record, findings = shown.record, sorted((item.finding for item in shown.findings), key=worst_first)
    lines = [
        f"# bitsandbytes {prose(record.system.get('bitsandbytes', ''))}",
        "",
        f"{record.cases} cases in {record.seconds:.0f} s, {prose(where(record.system))}, seed {record.seed}, {prose(record.date)}:",
        f"{counted(len(findings), 'finding')}. Each was reduced, failed in fresh processes, and its script was executed and failed alone.",
        *(line for kind in Severity for line in _table(kind, [one for one in findings if severity(one) is kind])),
        "",
        _WRITTEN,
        "",
    ]
    return "\n".join(lines)


def _table(kind: Severity, findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        return
    yield from ("", f"## {kind.value[0].upper()}{kind.value[1:]}", "", SENTENCES[kind], "", "| | when | |", "| --- | --- | --- |")
    for finding in findings:
        links = [f"[issue]({finding.slug}/issue.md)", f"[script]({finding.slug}/repro.py)", f"[case]({finding.slug}/case.json)"]
        links += [f"[plot]({finding.slug}/{_plot(number)})" for number, _ in enumerate(pictures(finding))]
        yield f"| {cell(title(finding))} | {sentence(finding)} | {', '.join(links)} |"

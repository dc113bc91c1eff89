"""The files that a run reads and writes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fuzz.campaign.corpus import CorpusError
from fuzz.campaign.corpus import load as load_corpus
from fuzz.campaign.knowledge import Knowledge
from fuzz.doctor.line import Line, no, ok, warn
from fuzz.doctor.machine import gibibytes
from fuzz.triage.known import KnownIssue, KnownIssuesError, load
from reports.run import ReportsError, RunDirectory


def reports_directory(path: Path) -> Line:
    """Whether reports can be written to `path`, which is left as it was."""
    made = [folder for folder in (path.absolute(), *path.absolute().parents) if not folder.exists()]
    try:
        RunDirectory(path).prepare()
        free = shutil.disk_usage(path).free
    except ReportsError as error:
        return no("reports", str(error), stops=True)
    finally:
        _remove(made)
    return ok("reports", f"{path} can be written, {gibibytes(free)} free")


def _remove(folders: Sequence[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # it was not made after all, or another process has put something there
            folder.rmdir()


def known_files(known: Path, corpus: Path, system: Mapping[str, str] | None) -> Iterator[Line]:
    """The known-issues file and the corpus.

    Args:
        known: the file.
        corpus: the folder.
        system: release and device, as a child told them; None if no child could start.
    """
    try:
        issues = load(known)
    except KnownIssuesError as error:
        yield no("known issues", str(error), stops=True)
        issues = ()
    else:
        yield _rows(issues, system)
    yield _cases(corpus, issues, system)


def _rows(issues: Sequence[KnownIssue], system: Mapping[str, str] | None) -> Line:
    if system is None:
        return ok("known issues", f"{len(issues)} rows")
    here = Knowledge(issues, system)
    text = f"{len(issues)} rows, {len(here.suspects.rows)} of them in force for this release and device"
    if here.expired:
        return warn("known issues", f"{text}, and {len(here.expired)} expired: each makes a run red")
    return ok("known issues", text)


def _cases(corpus: Path, issues: Sequence[KnownIssue], system: Mapping[str, str] | None) -> Line:
    if not corpus.is_dir():
        return warn("corpus", f"there is no folder {corpus}: a run begins with what it draws")
    try:
        cases = load_corpus(corpus)
    except CorpusError as error:
        return no("corpus", str(error), stops=True)
    if system is None:
        return ok("corpus", f"{len(cases)} Cases")
    return ok("corpus", f"{len(cases)} Cases, {len(Knowledge(issues, system).of_interest(cases))} of them for this release and device")

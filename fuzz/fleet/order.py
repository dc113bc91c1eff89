"""What a shard is sent, and what it sends back. Both cross the network, so that they hold texts and no paths of a machine."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fuzz.campaign.corpus import load as load_corpus
from fuzz.triage.known import load as load_known
from strategies.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Known issues and corpus.

    Attributes:
        files: texts by relative name. The folders are those of the sender, since rows name their Cases relative to themselves.
        known, corpus: the known-issues file and the folder of the corpus among them.
    """

    files: Mapping[str, str]
    known: str
    corpus: str

    @classmethod
    def packed(cls, known: Path, corpus: Path) -> Self:
        """What a run with these options would read.

        Raises:
            KnownIssuesError: the known-issues file cannot be used; one sentence.
            CorpusError: a file of the corpus is not a Case; one sentence.
        """
        known, corpus = known.resolve(), corpus.resolve()
        cases = {path.resolve() for issue in load_known(known) for path in issue.cases}
        paths = [known, *load_corpus(corpus), *sorted(path for path in cases if path.is_file())]
        base = os.path.commonpath([known.parent, corpus, *(path.parent for path in paths)])
        files = {os.path.relpath(path, base): path.read_text(encoding="utf-8") for path in paths}
        return cls(files=files, known=os.path.relpath(known, base), corpus=os.path.relpath(corpus, base))

    def with_cases(self, cases: Sequence[Case]) -> Inputs:
        """The same with more Cases in the corpus, which a run begins with."""
        more = {
            os.path.normpath(f"{self.corpus}/left-open-{number}.json"): json.dumps(case.to_json())
            for number, case in enumerate(cases, start=1)
        }
        return dataclasses.replace(self, files={**self.files, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a shard is to do.

    Attributes:
        device: its --fuzz-device.
        seed: its --fuzz-seed.
        budget: seconds.
        inputs: known issues and corpus.
        arguments: further options of pytest.
    """

    device: str
    seed: int
    budget: float
    inputs: Inputs
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a shard sends back, each time that it is asked.

    Attributes:
        place: the machine that it runs on, for people.
        files: texts by name in its reports directory, of files that have changed since it was asked before.
        status: exit status of its pytest, negative for a signal; None while it runs, and while there is more to send.
    """

    place: str
    files: Mapping[str, str]
    status: int | None = None

"""Issues on GitHub through its own command line, `gh`: it has the user's login, and this program never sees it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reports.text import short

TIMEOUT: Final = 120.0
"""Seconds after which one call of `gh` is given up; it waits for the network."""

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_MOST_HITS: Final = 50
"""Issues that one search returns; a digest is in one, or in the few that quote it."""


class GitHubUnusableError(RuntimeError):
    """Nothing can be asked or sent: no `gh`, or nobody logged in. One sentence."""


class GitHubError(RuntimeError):
    """One call of `gh` failed. One sentence, with its last words."""


@dataclass(frozen=True, slots=True)
class Issue:
    """An open issue, and the texts of its body and of its comments."""

    number: int
    url: str
    body: str
    comments: tuple[str, ...]

    def says(self, text: str) -> bool:
        """Whether the body or a comment contains `text`."""
        return any(text in part for part in (self.body, *self.comments))


@dataclass(frozen=True, slots=True)
class Change:
    """Something to be sent: the arguments of `gh`, less the file with the text, and the text."""

    arguments: tuple[str, ...]
    body: str


def is_repository(name: str) -> bool:
    """Whether `name` is of the form OWNER/NAME."""
    return _REPOSITORY.fullmatch(name) is not None


class GitHub:
    """The issues of one repository.

    Args:
        repository: OWNER/NAME.
    """

    def __init__(self, repository: str) -> None:
        self._repository = repository

    def check(self) -> None:
        """See that there is a `gh` and that somebody is logged in.

        Raises:
            GitHubUnusableError: it is not so.
        """
        if shutil.which("gh") is None:
            raise GitHubUnusableError("there is no gh on PATH: install GitHub's command line, https://cli.github.com")
        host = os.environ.get("GH_HOST") or "github.com"  # others, which gh would look at too, may be out of order
        try:
            _gh("auth", "status", "--hostname", host)
        except GitHubError as error:
            raise GitHubUnusableError(f"gh is not logged in to {host}: run `gh auth login`, or set GH_TOKEN ({error})") from None

    def find(self, digest: str, mark: str) -> Issue | None:
        """The oldest open issue whose body contains `mark`, of those that a search for `digest` finds.

        Raises:
            GitHubError: `gh` failed, or answered something else than issues.
        """
        search = ("--state", "open", "--search", f"{digest} in:body", "--limit", str(_MOST_HITS))
        answer = _gh("issue", "list", "--repo", self._repository, *search, "--json", "number,url,body,comments")
        try:
            issues = [_issue(item) for item in json.loads(answer)]
        except (ValueError, KeyError, TypeError):
            raise GitHubError("gh issue list answered something else than a list of issues") from None
        return min((issue for issue in issues if mark in issue.body), key=lambda issue: issue.number, default=None)

    def creating(self, title: str, labels: Sequence[str], body: str) -> Change:
        """A new issue."""
        labelled = [part for label in labels for part in ("--label", label)]
        return Change(("issue", "create", "--repo", self._repository, "--title", title, *labelled), body)

    def commenting(self, issue: Issue, body: str) -> Change:
        """A comment on an issue."""
        return Change(("issue", "comment", str(issue.number), "--repo", self._repository), body)

    def send(self, change: Change) -> str:
        """Make a change; returns the address that `gh` prints.

        Raises:
            GitHubError: `gh` failed.
        """
        with tempfile.TemporaryDirectory(prefix="bnb4-fuzz-") as folder:
            file = Path(folder) / "body.md"
            file.write_text(change.body, encoding="utf-8", errors="replace")
            return short(_gh(*change.arguments, "--body-file", str(file)))


def _issue(data: Any) -> Issue:
    return Issue(int(data["number"]), str(data["url"]), str(data["body"]), tuple(str(comment["body"]) for comment in data["comments"]))


def _gh(*arguments: str) -> str:
    """What `gh` prints.

    Raises:
        GitHubError: it failed, or did not end in time.
    """
    name = f"gh {' '.join(arguments[:2])}"
    quiet = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and every text of a finding is an argument or in a file
            ["gh", *arguments],  # noqa: S607 - the user's own
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **quiet},
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GitHubError(f"{name} did not end within {TIMEOUT:g} seconds") from None
    except OSError as error:
        raise GitHubError(f"{name} could not be started: {error.strerror}") from None
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise GitHubError(f"{name} ended with exit status {done.returncode}: {short(words[-1])}")
    return done.stdout

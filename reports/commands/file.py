"""Files findings as issues on GitHub. Exit status: 0 done, 1 GitHub failed in the middle, 2 could not begin."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from pathlib import Path

from reports.commands.console import count, say, warn
from reports.filing import Done, Step, Wanted, file, to_file
from reports.finding import Finding
from reports.github import Change, GitHub, GitHubError, GitHubUnusableError, is_repository
from reports.issue import title
from reports.run import ReportsError
from reports.stored import StoredRun, read_run
from reports.text import short

_DONE = {Step.CREATE: "created", Step.COMMENT: "commented", Step.TOLD: "reported already", Step.PUT_OFF: "put off"}
_WOULD = {**_DONE, Step.CREATE: "would create", Step.COMMENT: "would comment"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The command line of `file`."""
    parser = commands.add_parser(
        "file",
        help="file findings as issues on GitHub",
        description="File the verified findings of a reports directory as issues, through `gh`. Without --send nothing is changed: "
        "it asks GitHub what is there, and prints what it would do. "
        "Exit status: 0 done, 1 GitHub failed in the middle, 2 could not begin.",
    )
    parser.add_argument("root", type=Path, metavar="DIR", help="a reports directory")
    parser.add_argument("--repo", type=_repository, required=True, metavar="OWNER/NAME", help="where the issues go")
    parser.add_argument("--send", action="store_true", help="do it; without this it is a dry run")
    parser.add_argument("--most", type=count, default=5, metavar="N", help="new issues in one run at most (default: 5)")
    parser.add_argument("--label", action="extend", nargs="+", default=[], metavar="L", help="labels of new issues; they must exist")
    return parser


def _repository(text: str) -> str:
    if not is_repository(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OWNER/NAME")
    return text


def run(options: argparse.Namespace) -> int:
    """File what is to be filed, say so line by line, and return the exit status."""
    github = GitHub(options.repo)
    try:
        stored = read_run(options.root, warn)
        github.check()
    except (ReportsError, GitHubUnusableError) as error:
        say(f"could not file: {error}", error=True)
        return 2
    return _file(stored, github, Wanted(labels=options.label, most=options.most, send=options.send))


def _file(stored: StoredRun, github: GitHub, wanted: Wanted) -> int:
    steps: Counter[Step] = Counter()
    try:
        for done in file(to_file(stored, _left_out), github, wanted):
            steps[done.plan.step] += 1
            _tell(done, sent=wanted.send)
    except GitHubError as error:
        say(_total(steps, wanted), error=True)
        say(f"stopped: {error}; what is said above is done, run it again for the rest", error=True)
        return 1
    say(_total(steps, wanted))
    return 0


def _left_out(finding: Finding, reason: str) -> None:
    say(f"left out: {short(finding.signature)}: {short(reason)}")


def _tell(done: Done, *, sent: bool) -> None:
    plan = done.plan
    place = done.url or ("" if plan.issue is None else plan.issue.url)
    say(f"{(_DONE if sent else _WOULD)[plan.step]}: {title(plan.finding)}{f'  {place}' if place else ''}")
    if plan.change is not None and not sent:
        _show(plan.change)


def _show(change: Change) -> None:
    """The command that would be run, and the text that it would send."""
    say(f"  gh {shlex.join(change.arguments)} --body-file FILE, where FILE is:")
    for line in change.body.splitlines():
        say(f"    {line}".rstrip())


def _total(steps: Counter[Step], wanted: Wanted) -> str:
    numbers = f"{steps[Step.CREATE]} new issues, {steps[Step.COMMENT]} comments, {steps[Step.TOLD]} reported already"
    put_off = f", {steps[Step.PUT_OFF]} put off (--most {wanted.most})" if steps[Step.PUT_OFF] else ""
    return f"{numbers}{put_off}{'' if wanted.send else '; a dry run, nothing was sent: --send does it'}"

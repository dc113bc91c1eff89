"""`python -m reports file`: each defect becomes one issue, each machine is told of once, and nothing is sent unasked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from reports.__main__ import main
from reports.finding import Finding
from reports.issue import body, title
from reports.marker import digest, marker
from tests.reports.commands.conftest import Standin
from tests.reports.helpers import NASTY, SYSTEM, finding, hostile
from tests.reports.stored_runs import SCRIPT, record, unverified, write_run

REPO = "someone/tracker"


def told(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err.splitlines()


def several(count: int) -> list[Finding]:
    return [finding(how=f"Error{number}") for number in range(count)]


def run(root: Path, *arguments: str) -> int:
    return main(["file", str(root), "--repo", REPO, *arguments])


def written(root: Path, items: list[Finding]) -> Path:
    """The directory of a run that found these."""
    return write_run(root, items, run=record(findings=[{"signature": item.signature, "slug": item.slug} for item in items]))


def elsewhere(item: Finding) -> Finding:
    return dataclasses.replace(item, system={**SYSTEM, "bitsandbytes": "0.49.2"})


def test_a_dry_run_prints_everything_and_changes_nothing(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    item = finding()
    root = written(tmp_path / "a", [item])
    assert run(root, "--label", "bug", "fuzz") == 0
    out, err = told(capsys)
    assert err == []
    assert out[0] == f"would create: {title(item)}"
    assert out[1].startswith(f"  gh issue create --repo {REPO} --title '")
    assert out[1].endswith("--label bug --label fuzz --body-file FILE, where FILE is:")
    assert out[2:-1] == [f"    {line}".rstrip() for line in body(item, SCRIPT).splitlines()]
    assert out[-1] == "1 new issues, 0 comments, 0 reported already; a dry run, nothing was sent: --send does it"
    assert gh.issues == []
    assert [call[:2] for call in gh.calls] == [["auth", "status"], ["issue", "list"]]


def test_an_issue_has_title_body_and_labels(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    item = finding()
    root = written(tmp_path / "a", [item])
    assert run(root, "--send", "--label", "bug", "--label", "fuzz") == 0
    (issue,) = gh.issues
    assert (issue["title"], issue["body"], issue["labels"], issue["repo"]) == (title(item), body(item, SCRIPT), ["bug", "fuzz"], REPO)
    assert issue["body"].count(marker(item)) == 1
    assert told(capsys)[0] == [f"created: {title(item)}  {issue['url']}", "1 new issues, 0 comments, 0 reported already"]
    assert [call[:2] for call in gh.calls] == [["auth", "status"], ["issue", "list"], ["issue", "create"]]


def test_a_second_time_nothing_is_sent(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    root = written(tmp_path / "a", several(2))
    assert run(root, "--send") == run(root, "--send") == 0
    assert len(gh.issues) == 2
    assert [issue["comments"] for issue in gh.issues] == [[], []]
    assert told(capsys)[0][-1] == "0 new issues, 0 comments, 2 reported already"


def test_another_release_is_one_comment_and_no_second_issue(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    item = finding()
    here, there = written(tmp_path / "a", [item]), written(tmp_path / "b", [elsewhere(item)])
    for root in (here, there, there, here):
        assert run(root, "--send") == 0
    (issue,) = gh.issues
    (comment,) = issue["comments"]
    assert "- bitsandbytes: 0.49.2" in comment["body"].splitlines()
    assert f"commented: {title(item)}  {issue['url']}#issuecomment-1" in told(capsys)[0]


def test_an_issue_that_is_closed_or_quotes_the_digest_is_not_taken_for_it(tmp_path: Path, gh: Standin) -> None:
    item = finding()
    base = {"repo": REPO, "url": "u", "title": "t", "comments": [], "labels": []}
    closed = {**base, "number": 1, "closed": True, "body": marker(item)}
    quoting = {**base, "number": 2, "closed": False, "body": f"like {digest(item)} of the other tracker"}
    gh.begin([closed, quoting])
    assert run(written(tmp_path / "a", [item]), "--send") == 0
    assert [issue["number"] for issue in gh.issues] == [1, 2, 3]
    assert [issue["comments"] for issue in gh.issues] == [[], [], []]


@pytest.mark.parametrize(("most", "created"), [(None, 5), ("2", 2), ("0", 0)])
def test_new_issues_are_few_and_the_rest_is_put_off(
    tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str], most: str | None, created: int
) -> None:
    root = written(tmp_path / "a", several(7))
    assert run(root, "--send", *([] if most is None else ["--most", most])) == 0
    assert len(gh.issues) == created
    out, _ = told(capsys)
    assert sum(line.startswith("put off: ") for line in out) == 7 - created
    assert out[-1].endswith(f"{7 - created} put off (--most {created})")


def test_comments_are_not_new_issues(tmp_path: Path, gh: Standin) -> None:
    items = several(3)
    assert run(written(tmp_path / "a", items), "--send") == 0
    assert run(written(tmp_path / "b", [elsewhere(item) for item in items]), "--send", "--most", "0") == 0
    assert [len(issue["comments"]) for issue in gh.issues] == [1, 1, 1]


def test_only_what_is_verified_reduced_and_new_is_filed(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    items = several(5)
    changed = [
        unverified(items[0]),
        dataclasses.replace(items[1], minimal=False),
        dataclasses.replace(items[2], known="https://example.org/1"),
        items[3],
        items[4],
    ]
    root = written(tmp_path / "a", changed)
    (root / "findings" / items[3].slug / "repro.py").unlink()
    assert run(root, "--send") == 0
    assert [issue["title"] for issue in gh.issues] == [title(items[4])]
    nameless = "not reduced to the end, so that it has no name that lasts"
    reasons = sorted(line.rpartition(": ")[2] for line in told(capsys)[0] if line.startswith("left out: "))
    assert reasons == ["https://example.org/1", "its repro.py is missing", nameless, "not verified"]


@pytest.mark.parametrize(("fails", "left"), [({"issue create": 2}, 2), ({"issue list": 1}, 1), ({"issue list": 0}, 0)])
def test_a_failure_in_the_middle_keeps_what_was_done(
    tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str], fails: dict[str, int], left: int
) -> None:
    gh.begin(fails=fails)
    root = written(tmp_path / "a", several(4))
    assert run(root, "--send") == 1
    out, err = told(capsys)
    assert len(gh.issues) == left
    assert [line.rpartition("  ")[2] for line in out] == [issue["url"] for issue in gh.issues]
    (name,) = fails
    assert err[0] == f"{left} new issues, 0 comments, 0 reported already"
    assert err[1].startswith(f"stopped: gh {name} ended with exit status 1: HTTP 502: Bad Gateway ({name}); what is said above is done")
    gh.begin(gh.issues)
    assert run(root, "--send") == 0
    assert len(gh.issues) == 4


def test_a_label_that_does_not_exist_is_said_by_its_name(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(tmp_path / "a", [finding()]), "--send", "--label", "nonesuch") == 1
    assert "could not add label: 'nonesuch' not found" in told(capsys)[1][-1]
    assert gh.issues == []


def test_an_answer_that_is_no_list_of_issues(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    (gh.folder / "gh").write_text("#!/bin/sh\necho '[{}]'\n", encoding="utf-8")
    assert run(written(tmp_path / "a", [finding()])) == 1
    assert "gh issue list answered something else than a list of issues" in told(capsys)[1][-1]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        ("no gh", "there is no gh on PATH: install GitHub's command line, https://cli.github.com"),
        ("nobody", "gh is not logged in to github.com: run `gh auth login`, or set GH_TOKEN (gh auth status ended with exit status 1: "),
        ("nowhere", "is no reports directory: it has neither run.json nor findings nor observations.jsonl"),
        ("empty", "is no reports directory: it has neither run.json nor findings nor observations.jsonl"),
    ],
)
def test_what_cannot_begin_is_one_sentence_and_status_2(
    tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str], make: str, sentence: str
) -> None:
    root = written(tmp_path / "a", [finding()])
    (tmp_path / "empty").mkdir()
    if make == "no gh":
        (gh.folder / "gh").unlink()
    gh.begin(host="elsewhere" if make == "nobody" else "github.com")
    assert run({"nowhere": tmp_path / "none", "empty": tmp_path / "empty"}.get(make, root), "--send") == 2
    out, err = told(capsys)
    assert out == []
    (line,) = err
    assert line.startswith("could not file: ")
    assert sentence in line
    assert gh.issues == []


@pytest.mark.parametrize("repo", ["", "name", "a/b/c", "a b/c", "-a/b", "https://github.com/a/b", "a/b;ls", "a/b\n"])
def test_a_repository_of_another_form_is_a_usage_error(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str], repo: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["file", str(tmp_path), f"--repo={repo}"])
    assert ended.value.code == 2
    assert "is not of the form OWNER/NAME" in capsys.readouterr().err
    assert gh.calls == []


@pytest.mark.parametrize("most", ["-1", "many", "1.5"])
def test_a_number_that_is_none_is_a_usage_error(tmp_path: Path, most: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["file", str(tmp_path), "--repo", REPO, "--most", most])
    assert ended.value.code == 2


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile)
@example("--label=x $(id) `id` ; id | id\n'\"")
@example(NASTY)
def test_no_text_of_a_finding_is_run_or_taken_for_an_option(tmp_path_factory: pytest.TempPathFactory, gh: Standin, text: str) -> None:
    gh.begin()
    item = finding(surface=f"--{text}", how=text, got=text)
    assert run(written(tmp_path_factory.mktemp("run") / "a", [item]), "--send") == 0
    (issue,) = gh.issues
    assert (issue["title"], issue["body"]) == (title(item), body(item, SCRIPT))


def test_what_an_earlier_run_left_in_the_directory_is_not_filed(tmp_path: Path, gh: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    earlier, item = several(2)
    written(tmp_path / "a", [earlier])
    assert run(written(tmp_path / "a", [item]), "--send") == 0
    assert [issue["title"] for issue in gh.issues] == [title(item)]
    assert f"left out: {earlier.signature}: of an earlier run; the last one in this directory did not see it" in told(capsys)[0]


def test_what_a_killed_run_has_verified_is_filed(tmp_path: Path, gh: Standin) -> None:
    item = finding()
    assert run(write_run(tmp_path / "a", [item], run=record(stop_reason="running")), "--send") == 0
    assert [issue["title"] for issue in gh.issues] == [title(item)]

"""Known issues: what is read, and one sentence for everything that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.triage.known import KnownIssue, KnownIssuesError, load

ROW = """
[[issue]]
signature = "functional.gemv_4bit | gemv_4bit | missing error | triggers: weight.layout=in_out"
link = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"
versions = ">=0.48,<0.51"
reason = "gemv_4bit does not check the activation's length"
"""
SIGNATURE = "functional.gemv_4bit | gemv_4bit | missing error | triggers: weight.layout=in_out"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known.toml"


def only(file: Path, text: str) -> KnownIssue:
    file.write_text(text, encoding="utf-8")
    (issue,) = load(file)
    return issue


def refusal(file: Path) -> str:
    with pytest.raises(KnownIssuesError) as caught:
        load(file)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    return message.replace(str(file), "FILE")


def refused(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return refusal(file)


def test_a_row(file: Path) -> None:
    issue = only(file, ROW)
    assert issue.signature == SIGNATURE
    assert issue.link.endswith("/1862")
    assert issue.reason == "gemv_4bit does not check the activation's length"


def test_rows_keep_their_order(file: Path) -> None:
    file.write_text(ROW + ROW.replace("1862", "1863"), encoding="utf-8")
    assert [issue.link[-4:] for issue in load(file)] == ["1862", "1863"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "issue = []\n"])
def test_no_rows(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert load(file) == ()


@pytest.mark.parametrize(
    ("version", "covered"),
    [
        ("0.47.9", False),
        ("0.48.0", True),
        ("0.48", True),
        ("0.50.2", True),
        ("0.50.2.dev0", True),
        ("0.50.0rc1", True),
        ("0.50.2+cu128", True),
        ("0.51.0", False),
        ("1.0", False),
    ],
)
def test_a_row_covers_its_signature_in_its_versions(file: Path, version: str, covered: bool) -> None:  # noqa: FBT001
    issue = only(file, ROW)
    assert issue.covers(SIGNATURE, version) is covered
    assert not issue.covers(SIGNATURE + " ", version)
    assert not issue.covers(SIGNATURE.replace("missing error", "wrong value"), version)


def test_a_missing_file(file: Path) -> None:
    assert refusal(file) == "cannot read the known-issues file FILE: No such file or directory"


def test_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "cannot read the known-issues file FILE: Is a directory"


@pytest.mark.parametrize("text", ["[[issue", "signature", '[[issue]]\nlink = "a\n"', "a = 1\na = 2\n"])
def test_not_toml(file: Path, text: str) -> None:
    assert refused(file, text).startswith("the known-issues file FILE is not TOML: ")


def test_not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    assert refusal(file).startswith("the known-issues file FILE is not TOML: ")


def test_an_unknown_table(file: Path) -> None:
    assert refused(file, ROW.replace("[[issue]]", "[[issues]]")) == "FILE: unknown table 'issues', rows are [[issue]]"


@pytest.mark.parametrize("text", [ROW.replace("[[issue]]", "[issue]"), 'issue = "text"', "issue = 3"])
def test_rows_that_are_no_list(file: Path, text: str) -> None:
    assert refused(file, text) == "FILE: rows are [[issue]], with two brackets"


@pytest.mark.parametrize("text", ["issue = [1]", 'issue = ["reason"]', "issue = [[]]"])
def test_rows_that_are_no_tables(file: Path, text: str) -> None:
    assert refused(file, text).startswith("FILE: ")


def test_an_unknown_key_is_named_with_its_row(file: Path) -> None:
    message = refused(file, ROW + ROW + 'colour = "red"\n')
    assert message == "FILE: issue 2 has an unknown key 'colour'; known are signature, link, versions, reason"


@pytest.mark.parametrize("key", ["signature", "link", "versions", "reason"])
def test_a_missing_key_is_named_with_its_row(file: Path, key: str) -> None:
    lines = [line for line in ROW.splitlines() if not line.startswith(key)]
    assert refused(file, ROW + "\n".join(lines)) == f"FILE: issue 2 lacks {key!r}"


@pytest.mark.parametrize("key", ["signature", "link", "versions", "reason"])
@pytest.mark.parametrize("value", ["1", "true", "[]", "{}", "0.48", "2026-01-01"])
def test_a_value_that_is_not_text_is_named_with_its_row(file: Path, key: str, value: str) -> None:
    lines = [f"{key} = {value}" if line.startswith(key) else line for line in ROW.splitlines()]
    assert refused(file, "\n".join(lines)) == f"FILE: issue 1: {key!r} is not text"


@pytest.mark.parametrize("versions", ["0.50", "newer", ">=", ">=0.48 <0.51", "=>0.48"])
def test_a_bad_version_range(file: Path, versions: str) -> None:
    message = refused(file, ROW.replace(">=0.48,<0.51", versions))
    assert message == f"FILE: issue 1: {versions!r} is not a version range such as '>=0.49,<0.51'"

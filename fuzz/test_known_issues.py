"""The known-issues file is in force: no row of it has to be looked at again."""

from __future__ import annotations

import pytest

from fuzz.triage.known import KnownIssue


def test_no_known_issue_has_expired(expired_issues: list[KnownIssue], subtests: pytest.Subtests) -> None:
    """No row for this release and device is past its date."""
    for issue in expired_issues:
        with subtests.test(msg=issue.title):
            pytest.fail(f"{issue.title} expired on {issue.expires}: look whether it is still there, then renew the row", pytrace=False)

"""What is written to a tensor of the caller is what would have been returned."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.case import Mode
from strategies.cases import cases_in


@pytest.mark.draws(cases_in(Mode.OUT))
def test_results_are_written_where_the_caller_says(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No `out=` or `absmax=` is ignored, written beside, left unwritten, or filled with other numbers."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

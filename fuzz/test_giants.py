"""A weight of more elements than 32 bits count gives what the small weight gives of whose rows it is made, again and again."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.giant import giant_cases


@pytest.mark.draws(giant_cases(), cuda=True, giant=True)
def test_giants_are_as_right_as_what_they_are_made_of(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No repetition of what a giant gives differs from what is right for the small weight (`strategies.giant`)."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

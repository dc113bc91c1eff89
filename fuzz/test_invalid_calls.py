"""A call that cannot be right raises a Python exception: a wrong length, dtype, device, or a state of another weight."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.cases import misused_cases


@pytest.mark.draws(misused_cases())
def test_calls_that_cannot_be_right_raise(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No path is silent, returns garbage, ends its process or loses the context."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

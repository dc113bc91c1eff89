"""A tensor that cannot take the result is refused, whether it is of another shape, dtype or device or has no room of its own."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.cases import wrong_out_cases


@pytest.mark.draws(wrong_out_cases())
def test_what_cannot_take_the_result_is_refused(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No `out=` is silently converted, broadcast to or dropped, and none that is also read spoils the result."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

"""Triton's functions for the 4-bit ops quantize, decode and multiply as the ops are meant to, where they can be called."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.cases import triton_cases


@pytest.mark.draws(triton_cases(), slow=True)
def test_triton_functions_do_what_the_ops_are_for(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No scale but the largest magnitude, no code but a nearest one, no number beyond the rounding of their arithmetic."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

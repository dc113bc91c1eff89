"""Every gemv way and every matrix way in computes x @ W.T + bias, within the rounding of its own arithmetic."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.cases import cases


@pytest.mark.draws(cases(), share=4)
def test_gemv_and_matrix_paths_agree(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No path returns another shape, dtype or number than the reference, raises without cause, or keeps silent."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

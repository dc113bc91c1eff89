"""What follows from a result without any reference holds bit for bit: sign, scale, order, rerun and the like."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.cases import related_cases


@pytest.mark.draws(related_cases(), share=2)
def test_exact_relations_hold(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No path breaks a relation between two results that must be equal (`fuzz.engine.relations` says when)."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

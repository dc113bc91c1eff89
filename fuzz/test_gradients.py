"""Gradients of activation and bias are those of x @ W.T + bias, of the right shape and dtype."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.case import Mode
from strategies.cases import cases_in


@pytest.mark.draws(cases_in(Mode.BACKWARD))
def test_gradients_are_those_of_the_product(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No gradient is missing, of another shape or dtype, or beyond the rounding of a dense product."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

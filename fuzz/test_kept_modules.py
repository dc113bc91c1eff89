"""A Linear4bit that was saved and loaded, copied or pickled computes what it did before."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.case import Mode
from strategies.cases import cases_in


@pytest.mark.draws(cases_in(Mode.KEPT))
def test_a_kept_module_computes_what_it_did(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No way to keep a module loses its weight, its scales or their meaning."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

"""What goes through torch.compile gives what it gives without."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.case import Mode
from strategies.cases import cases_in


@pytest.mark.draws(cases_in(Mode.COMPILED), slow=True)
def test_compiled_calls_compute_what_they_do_without(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """No fake kernel contradicts its kernel, and nothing is lost between a traced call and the call."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

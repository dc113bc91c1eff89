"""What is captured as a CUDA graph gives, replayed, what it gives when it is called."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.case import Mode
from strategies.cases import cases_in


@pytest.mark.draws(cases_in(Mode.GRAPH), cuda=True)
def test_replayed_calls_compute_what_they_do_without_a_graph(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """A replay reads what is then in the captured memory, writes all of its result, and does the same twice."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

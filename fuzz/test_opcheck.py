"""What bitsandbytes' ops say of themselves is true: their schemas and their fake kernels."""

from __future__ import annotations

import pytest

from fuzz.plugin import CampaignHandle, describe
from strategies.case import Mode
from strategies.cases import cases_in


@pytest.mark.draws(cases_in(Mode.OPCHECK), slow=True)
def test_ops_keep_to_their_schemas_and_fake_kernels(campaign: CampaignHandle, subtests: pytest.Subtests) -> None:
    """`torch.library.opcheck` has nothing to say against any op."""
    for finding in campaign.findings():
        with subtests.test(msg=finding.slug):
            pytest.fail(describe(finding), pytrace=False)

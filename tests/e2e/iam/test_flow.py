"""The whole way of a video under the synthesised roles and policies, nothing refused to anyone."""

import pytest

from tests.e2e.iam.flow import EnforcedStage, run_flow

pytestmark = pytest.mark.embedded_cloud


def test_every_way_of_a_video_is_open_to_the_roles_that_go_it(enforced: EnforcedStage) -> None:
    assert run_flow(enforced, "flow", patience_s=60) == []
    enforced.quieten()

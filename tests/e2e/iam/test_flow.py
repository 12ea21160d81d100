"""The whole way of a video under the synthesised roles and policies, nothing refused to anyone."""

import pytest

from tests.e2e.iam.enforced import EnforcedStage
from tests.e2e.iam.flow import run_flow
from tests.e2e.stage import PATIENCE_S

pytestmark = pytest.mark.embedded_cloud


def test_every_way_of_a_video_is_open_to_the_roles_that_go_it(enforced: EnforcedStage) -> None:
    assert run_flow(enforced, "flow", patience_s=PATIENCE_S) == []
    enforced.quieten()
